"""Publishing: a message is an event in our tables before it is anything else.

While a duty runs, its messages are named after its delivery: a second run of the same duty names them the same, so
that it publishes nothing twice. Who consumes a topic gets one delivery of each message, stored together with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from tillhook.core.roles.duties import Permanent
from tillhook.core.roles.outside import own_work
from tillhook.core.services.rooms import Rooms
from tillhook.core.storage.database import Database
from tillhook.core.storage.events import Event, emit
from tillhook.core.storage.messages import named_after

BUS: Final = "bus"
"""The source of what this process published itself."""
LARGEST: Final = 1_000_000
"""Bytes of a message: what a broker takes by default, and what a worker may have to hold many of."""
_LONGEST: Final = 100
"""Characters of a topic's name and of a key: what their columns hold."""


class _Delivery(Struct, frozen=True):
    """What publishes just now: its name, the topics of the messages that led to it, what it has published."""

    name: str
    topics: tuple[str, ...]
    published: list[tuple[str, str]]


_IN_DELIVERY: Final[ContextVar[_Delivery | None]] = ContextVar("tillhook_delivery", default=None)


@contextmanager
def delivery(delivery_id: int, subscriber: str, topics: Sequence[str] = ()) -> Iterator[None]:
    """Name what is published inside after this delivery; a message came to it by these ``topics``."""
    token = _IN_DELIVERY.set(_Delivery(named_after(subscriber, delivery_id), tuple(topics), []))
    try:
        yield
    finally:
        _IN_DELIVERY.reset(token)


def encoded(topic: str, key: str, value: Any) -> bytes:
    """A message as it is stored. Raises TypeError for a value that is not JSON, ValueError for one that is too large
    and for a topic or key that is too long."""
    for name, text in (("topic", topic), ("key", key)):
        if not 0 < len(text) <= _LONGEST:
            raise ValueError(f"topic {topic[:_LONGEST]!r}: its {name} must have 1 to {_LONGEST} characters")
    payload = msgspec.json.encode(value)
    if len(payload) > LARGEST:
        raise ValueError(f"topic {topic!r}: the message has {len(payload)} bytes, {LARGEST} are the most")
    return payload


class Bus:
    """Stores messages for the bus; who carries them further is a subscriber of the event table.

    ``rooms`` knows who produces and consumes; until it is set nobody does. ``wake`` is called after a commit.
    """

    def __init__(
        self,
        db: Database,
        clock: Callable[[], datetime],
        new_id: Callable[[str], str],
        *,
        wake: Callable[[], None] = lambda: None,
        rooms: Rooms | None = None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._new_id = new_id
        self.wake = wake
        self.rooms = rooms

    def publish(self, topic: str, key: str, value: Any) -> None:
        """Store one message, with what a plugin writes to its own tables if it does so just now.

        Raises as ``encoded`` does, ValueError for what does not fit the type that a plugin declares for the topic, and
        Permanent for a message that has come about by one of the same topic: they would never end.
        """
        payload = encoded(topic, key, value)
        self._check(topic, payload)
        within, unit = _IN_DELIVERY.get(), own_work("outside.publish")
        published = [] if within is None else within.published
        so_far = (*published, *(unit.published if unit is not None else ()))
        event = self._event(topic, key, payload, within, so_far.count((topic, key)) + 1)
        consumers = self.rooms.consumers(topic) if self.rooms is not None else ()
        now = self._clock()

        def stored() -> None:
            published.append((topic, key))
            if consumers:
                self.wake()

        if unit is None:
            self._db.write(lambda tx: emit(tx, event, consumers, now))
            stored()
        else:
            emit(unit.tx, event, consumers, now)
            unit.published.append((topic, key))
            unit.committed.append(stored)

    def _event(self, topic: str, key: str, payload: bytes, within: _Delivery | None, number: int) -> Event:
        """``number`` counts the delivery's messages of this topic and key: one more of another kind, published by a
        second run only, must not pass for the first run's."""
        text = payload.decode()
        if within is None:
            return Event(self._new_id("msg"), topic, key, text, source=BUS)
        if topic in within.topics:
            way = " → ".join((*within.topics, topic))
            raise Permanent(f"topic {topic!r}: its messages would cause each other for ever ({way})")
        kind = hashlib.sha256(f"{topic}\n{key}".encode()).hexdigest()[:12]
        headers = msgspec.json.encode({"topics": within.topics}).decode() if within.topics else "{}"
        return Event(f"{within.name}{kind}:{number}", topic, key, text, source=BUS, headers=headers)

    def _check(self, topic: str, payload: bytes) -> None:
        reasons = []
        for declared in self.rooms.payloads(topic) if self.rooms is not None else ():
            try:
                msgspec.json.decode(payload, type=declared)
            except msgspec.ValidationError as error:
                reasons.append(f"{declared.__name__}: {error}")
            else:
                return
        if reasons:
            raise ValueError(f"topic {topic!r}: the message is not what is declared, {'; '.join(reasons)}")
