"""Events and who is told: one durable delivery per duty and plugin, one for a piece of news."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from tillhook.core.domain.money import Money
from tillhook.core.plugins.shop import Shop
from tillhook.core.storage.database import Tx
from tillhook.core.storage.events import Event, emit


def subscriber(hook: str, plugin: str) -> str:
    """How a delivery names its receiver; ``read_subscriber`` takes it apart."""
    return f"{hook}:{plugin}"


def read_subscriber(name: str) -> tuple[str, str]:
    hook, _, plugin = name.partition(":")
    return hook, plugin


CORE: Final = "core"
"""In the place of a plugin's name: the core itself receives it."""
SHADOW_ORDER: Final = subscriber("shadow_order", CORE)
SHADOW_PAYMENT: Final = subscriber("shadow_payment", CORE)
SHADOWS: Final = frozenset({SHADOW_ORDER, SHADOW_PAYMENT})
"""Receivers whose failure is nobody's loss: they go last, and are let go of."""
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
    also: Sequence[str] = (),
    always: bool = False,
    event_id: str | None = None,
) -> None:
    """Store what happened for those who want to know; with ``always`` also when nobody does yet.

    ``also`` are further receivers, as ``subscriber`` names them. What may be found more than once and is told once has
    an ``event_id``.
    """
    receivers = [subscriber(duty, plugin) for duty in duties for plugin in shop.implementers(duty)]
    receivers += also
    if shop.implementers(news):
        receivers.append(subscriber(news, EVERYONE))
    if receivers or always:
        event = Event(event_id or new_id("evt"), news, stream_key, msgspec.json.encode(facts).decode())
        emit(tx, event, receivers, now)


def order_shadows(shop: Shop, order_id: str) -> tuple[str, ...]:
    """The receivers of ``order_created`` that compare the order's tax and discounts."""
    wanted = shop.shadow.tax is not None or shop.shadow.promotions is not None
    return (SHADOW_ORDER,) if wanted and _chosen(shop, order_id) else ()


def payment_shadows(shop: Shop, order_id: str, amount: Money) -> tuple[str, ...]:
    """The receivers of the news of a settled payment that compare it; of nothing to pay there is nothing to ask."""
    wanted = shop.shadow.gateway is not None and amount.minor > 0
    return (SHADOW_PAYMENT,) if wanted and _chosen(shop, order_id) else ()


def _chosen(shop: Shop, order_id: str) -> bool:
    return zlib.crc32(order_id.encode()) % 100 < shop.settings.shadow.percent
