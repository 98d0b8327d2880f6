"""Publishing: a message is an event in our tables before it is anything else.

While a duty runs, its messages are named after its delivery: a second run of the same duty names them the same, so
that it publishes nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Final

import msgspec

from tillhook.core.storage.database import Database
from tillhook.core.storage.events import Event, emit

_IN_DELIVERY: Final[ContextVar[list[str] | None]] = ContextVar("tillhook_delivery", default=None)


@contextmanager
def delivery(delivery_id: int, subscriber: str) -> Iterator[None]:
    """Name what is published inside after this delivery."""
    token = _IN_DELIVERY.set([f"{subscriber}:{delivery_id}"])
    try:
        yield
    finally:
        _IN_DELIVERY.reset(token)


class Bus:
    """Stores messages for the bus; who carries them further is a subscriber of the event table."""

    def __init__(self, db: Database, clock: Callable[[], datetime], new_id: Callable[[str], str]) -> None:
        self._db = db
        self._clock = clock
        self._new_id = new_id

    def publish(self, topic: str, key: str, value: Any) -> None:
        """Store one message. Raises TypeError for a value that is not JSON."""
        names = _IN_DELIVERY.get()
        if names is None:
            message_id = self._new_id("msg")
        else:
            message_id = f"{names[0]}:{len(names)}"
            names.append(message_id)
        event = Event(message_id, topic, key, msgspec.json.encode(value).decode(), source="bus")
        now = self._clock()
        self._db.write(lambda tx: emit(tx, event, (), now))
