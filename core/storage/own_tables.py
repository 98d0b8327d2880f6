"""A plugin's own tables, as ``outside.tables`` lends them: whole units of work, with nothing of the world in them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

import structlog

from tillhook.core.roles.outside import OWN_WORK, OwnWork
from tillhook.core.storage.database import Database, Tx
from tillhook.core.storage.guests import in_time, kept_open

T = TypeVar("T")

SLOW_SECONDS: Final = 0.25
"""A unit of work that takes longer is logged: on SQLite every sale waits for it."""

_log = structlog.get_logger("tillhook.plugins")


class PluginDatabase:
    """``OwnTables`` of one plugin in the core's database."""

    def __init__(self, db: Database, plugin: str) -> None:
        self._db = db
        self._plugin = plugin

    def write(self, work: Callable[[Tx], T]) -> T:
        """Raises whatever ``work`` raises, after nothing of it was kept, and RuntimeError inside another one."""
        kept: list[OwnWork] = []

        def run(tx: Tx) -> T:
            unit = OwnWork(tx)
            kept[:] = [unit]  # it may be run again: what a run that was undone wanted is forgotten
            with in_time(tx, writing=True), kept_open(tx, "work in outside.tables"):
                return self._run(work, tx, unit)

        done = self._db.write_here(run)
        for act in kept[0].committed:
            act()
        return done

    def read(self, work: Callable[[Tx], T]) -> T:
        """Raises whatever ``work`` raises, RuntimeError inside another one, DBAPIError when it tries to write."""

        def run(tx: Tx) -> T:
            with in_time(tx, writing=False):
                return self._run(work, tx, OwnWork(None))

        return self._db.read(run)

    def _run(self, work: Callable[[Tx], T], tx: Tx, unit: OwnWork) -> T:
        began = time.perf_counter()
        token = OWN_WORK.set(unit)
        try:
            return work(tx)
        finally:
            OWN_WORK.reset(token)
            seconds = time.perf_counter() - began
            if unit.tx is not None and seconds > SLOW_SECONDS:
                _log.warning("plugin_tables_slow", plugin=self._plugin, milliseconds=round(seconds * 1000))
