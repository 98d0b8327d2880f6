"""What every service is handed: the database, the plugins, the clock and the maker of ids."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from tillhook.core.config.system import System
from tillhook.core.domain.problems import store_inactive, store_not_found
from tillhook.core.domain.store import Store
from tillhook.core.plugins.host import Host
from tillhook.core.plugins.shop import Shop
from tillhook.core.services.rooms import Rooms
from tillhook.core.storage.database import Database
from tillhook.core.storage.stores import load_store

STORE_MEMORY: Final = timedelta(seconds=5)
"""How long a store is believed before its row is read again: a switched-off store stops within this time."""


class Platform:
    """The running system. ``checkpoint`` is called between steps, so that a test can stop the process there."""

    def __init__(
        self,
        *,
        db: Database,
        host: Host,
        system: System,
        clock: Callable[[], datetime],
        new_id: Callable[[str], str],
        wake: Callable[[], None] = lambda: None,
        checkpoint: Callable[[str], None] = lambda name: None,
        observe_payment: Callable[[str, str], None] = lambda gateway, outcome: None,
        observe_order: Callable[[str], None] = lambda store_type: None,
    ) -> None:
        self.db = db
        self.host = host
        self.system = system
        self.clock = clock
        self.new_id = new_id
        self.wake = wake
        self.checkpoint = checkpoint
        self.observe_payment = observe_payment
        self.observe_order = observe_order
        self.rooms = Rooms(host, db, clock)
        self.comparing = threading.Lock()
        """Held while a shadow is asked: one at a time, so that slow ones leave the other threads to duties."""
        self._stores: dict[str, tuple[datetime, Store]] = {}
        self._lock = threading.Lock()

    def store(self, store_id: str) -> Store:
        """The store by its id, active or not. Raises ``store_not_found``."""
        now = self.clock()
        known = self._stores.get(store_id)
        if known is not None and abs(now - known[0]) < STORE_MEMORY:  # abs: a clock may be set back
            return known[1]
        found = self.db.read(lambda tx: load_store(tx, store_id))
        if found is None:
            raise store_not_found(f"No store has the id {store_id!r}.", store_id=store_id)
        with self._lock:
            self._stores[store_id] = (now, found)
        return found

    def open_store(self, store_id: str) -> tuple[Store, Shop]:
        """An active store and its plugins. Raises ``store_not_found``, ``store_inactive`` or as ``Host.shop``."""
        store = self.store(store_id)
        if not store.active:
            raise store_inactive(f"{store.name} ({store_id}) is not active.", store_id=store_id)
        return store, self.host.shop(store)
