"""What a delivery means: which hook of which plugin is called, and with what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from tillhook.core.domain.aftersale import Discrepancy
from tillhook.core.domain.completed import CompletedOrder
from tillhook.core.domain.order import OrderStatus
from tillhook.core.domain.problems import Problem
from tillhook.core.domain.receipt import Receipt, ReceiptType
from tillhook.core.messaging.bus import delivery
from tillhook.core.messaging.topics import consume
from tillhook.core.roles.duties import Permanent
from tillhook.core.roles.grammar import Kind, kind_of
from tillhook.core.services.announcing import CORE, read_subscriber
from tillhook.core.services.completing import completed
from tillhook.core.services.platform import Platform
from tillhook.core.services.reading import build_receipt
from tillhook.core.services.rooms import read_consumer
from tillhook.core.services.settling import Case, finish_order, load_case
from tillhook.core.services.shadowing import shadow_order, shadow_payment
from tillhook.core.storage.events import Claimed
from tillhook.hookspecs import HOOKS

_OF_THE_CORE: Final[dict[str, Callable[[Platform, str], str]]] = {
    "complete_order": finish_order,
    "shadow_order": shadow_order,
    "shadow_payment": shadow_payment,
}
"""What the core itself does after a commit: given the order's id, it answers with a few words for the timeline."""


def perform(platform: Platform, claimed: Claimed) -> str:
    """Run one delivery; what it returns is shown in the order's timeline.

    Raises Permanent for what no retry can mend, Parked while the plugin is switched off, and whatever it raises.
    """
    if read_consumer(claimed.subscriber):
        return consume(platform, claimed)
    hook, plugin = read_subscriber(claimed.subscriber)
    facts: dict[str, Any] = msgspec.json.decode(claimed.payload)
    if plugin == CORE:
        if hook not in _OF_THE_CORE:
            raise Permanent(f"the core has no duty {hook!r}")
        return _OF_THE_CORE[hook](platform, facts["order_id"])
    if hook not in HOOKS:
        raise Permanent(f"there is no hook {hook!r}; the plugin that wanted it was built for another version")
    case = load_case(platform, facts.get("order_id", claimed.stream_key))
    case.shop.wait_for_muted(plugin, hook)
    arguments = _arguments(hook, case, facts)
    if kind_of(HOOKS[hook]).kind is Kind.NEWS:
        case.shop.tell(hook, **arguments)
        return ""
    if plugin not in case.shop.implementers(hook):
        raise Permanent(f"plugin {plugin!r} no longer does {hook!r} for {case.store.store_type}; enable it and replay")
    with delivery(claimed.delivery_id, claimed.subscriber):
        done = case.shop.perform(plugin, hook, **arguments)
    return "" if done is None else str(getattr(done, "reference", getattr(done, "fiscalisation_id", "")))


def _arguments(hook: str, case: Case, facts: Mapping[str, Any]) -> dict[str, Any]:
    if hook == "order_created":
        return {"order": case.order, "store": case.store}
    if hook == "payment_declined":
        return {"order": case.order, "payment": case.payment, "store": case.store}
    if hook == "discrepancy_found":
        return {"discrepancy": msgspec.convert(facts, Discrepancy)}
    if case.order.status is OrderStatus.CREATED:
        raise Permanent(f"order {case.order.order_id} is not complete")
    sale = completed(case.order, case.payment, case.store)
    arguments: dict[str, Any] = {"order": sale, "store": case.store}
    if hook == "send_receipt":
        arguments["receipt"] = _receipt(case, sale)
    return arguments


def _receipt(case: Case, sale: CompletedOrder) -> Receipt:
    """The order's receipt. Raises Parked when who makes it is switched off."""
    try:
        return build_receipt(case.shop, sale, case.store, ReceiptType.ORDER)
    except Problem:
        for silent in case.shop.muted("receipt_for"):
            case.shop.wait_for_muted(silent, "receipt_for")
        raise
