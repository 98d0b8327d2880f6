"""Events and who is told: one durable delivery per duty and plugin, one for a piece of news."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from tillhook.core.plugins.shop import Shop
from tillhook.core.storage.database import Tx
from tillhook.core.storage.events import Event, emit


def subscriber(hook: str, plugin: str) -> str:
    """How a delivery names its receiver; ``read_subscriber`` takes it apart."""
    return f"{hook}:{plugin}"


def read_subscriber(name: str) -> tuple[str, str]:
    hook, _, plugin = name.partition(":")
    return hook, plugin


EVERYONE: Final = "*"
"""News goes to all plugins at once: it is told, not owed."""


def announce(
    tx: Tx,
    shop: Shop,
    news: str,
    stream_key: str,
    facts: dict[str, Any],
    now: datetime,
    new_id: Callable[[str], str],
    *,
    duties: Sequence[str] = (),
    always: bool = False,
    event_id: str | None = None,
) -> None:
    """Store what happened for those who want to know; with ``always`` also when nobody does yet.

    What may be found more than once and is told once has an ``event_id``.
    """
    receivers = [subscriber(duty, plugin) for duty in duties for plugin in shop.implementers(duty)]
    if shop.implementers(news):
        receivers.append(subscriber(news, EVERYONE))
    if receivers or always:
        event = Event(event_id or new_id("evt"), news, stream_key, msgspec.json.encode(facts).decode())
        emit(tx, event, receivers, now)
