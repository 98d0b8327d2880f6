"""One whole sale in this process, through the services that the HTTP API is made of, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from msgspec import Struct

from tillhook.core.cli.demonstration import load_into, offered_by, payments_of, sellable, unsold
from tillhook.core.cli.faults import Trouble, Unusable
from tillhook.core.cli.raised import collected
from tillhook.core.config.errors import nearest
from tillhook.core.domain.completed import PosLog
from tillhook.core.domain.problems import Problem
from tillhook.core.domain.receipt_render import render_text
from tillhook.core.domain.store import Store
from tillhook.core.messaging.bus import BUS
from tillhook.core.roles.offers import Principal
from tillhook.core.roles.people import SHOPPER
from tillhook.core.services import ordering, paying, reading, shopping
from tillhook.core.services.announcing import read_subscriber
from tillhook.core.services.wire import (
    AddPaymentRequest,
    CreateOrderRequest,
    OrderCreated,
    OrderView,
    PaymentView,
    Reply,
    ScanRequest,
    ScanView,
    SessionRequest,
    SessionView,
)
from tillhook.core.storage.events import DeliveryState, DeliveryView, deliveries_of
from tillhook.core.storage.messages import Published, messages_of
from tillhook.core.storage.orders import load_poslog
from tillhook.core.storage.stores import all_stores
from tillhook.core.telemetry.metrics import REGISTRY
from tillhook.hookspecs import HOOKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tillhook.app import Assembled
    from tillhook.core.plugins.shop import Shop
    from tillhook.core.roles.offers import Demonstration
    from tillhook.core.services.platform import Platform

V = TypeVar("V", bound=Struct)

CUSTOMER: Final = "cus_try"
PATIENCE: Final = 30.0
"""Seconds for duties that another process has taken."""
_ENDED: Final = frozenset({DeliveryState.DONE, DeliveryState.DISCARDED})


class Asked(Struct, frozen=True):
    """How often a plugin was asked one hook during the sale, and how long that took in all."""

    plugin: str
    hook: str
    times: int
    ms: float


class Trial(Struct, frozen=True, kw_only=True):
    """The sale. ``problems`` are the reasons why it did not go through as it should; none: it did."""

    store: Store
    order: OrderView
    asked: tuple[Asked, ...]
    receipt: str
    poslog: PosLog | None
    messages: tuple[Published, ...]
    problems: tuple[str, ...]


def sell(
    assembled: Assembled, store_type: str, region: str, store_id: str | None, pay: str, *, tracebacks: bool = False
) -> Trial:
    """Load the demonstrations of the store type, sell a few things in one of its stores and do the order's duties.

    Raises Trouble when there is nothing to try it with, and for whatever refuses a step, Unusable for a name that
    there is not.
    """
    platform = assembled.platform
    offered = offered_by(_shops(platform, store_type))
    load_into(platform, offered, {at.store_id: at for one in offered for at in one.stores})
    store = _store(platform.db.read(all_stores), store_type, region, store_id)
    shop = platform.host.shop(store)
    payment = _payment(shop, pay)
    who = _shopper(shop)
    before = _hook_calls()
    with collected(tracebacks=tracebacks) as raised:
        order_id = _ordered(platform, who, store, _goods(platform, offered, store))
        _paid(platform, who, order_id, payment)
        _do_duties(assembled, order_id)
        order = reading.order(platform, who, order_id)
        receipt, without = _receipt(platform, who, order)
    asked = _asked(before, shop)
    deliveries = platform.db.read(lambda tx: deliveries_of(tx, order_id))
    return Trial(
        store=store,
        order=order,
        asked=asked,
        receipt=receipt,
        poslog=platform.db.read(lambda tx: load_poslog(tx, order_id)),
        messages=tuple(
            message
            for at in deliveries
            for message in platform.db.read(lambda tx, one=at: messages_of(tx, BUS, one.subscriber, one.delivery_id))  # type: ignore[misc]
        ),
        problems=(*_problems(order, deliveries), *without, *raised),
    )


# --- what to try it with


def _shops(platform: Platform, store_type: str) -> list[Shop]:
    faults = [fault for fault in platform.host.problems() if fault.place[0] == store_type]
    found = [shop for shop in platform.host.shops() if shop.store_type == store_type]
    if faults and not found:
        raise Trouble("; ".join(map(str, faults)))
    if not found:
        known = {shop.store_type for shop in platform.host.shops()}
        raise Unusable(f"the configuration has no store type {store_type!r}{nearest(store_type, known)}")
    return found


def _store(stores: Sequence[Store], store_type: str, region: str, store_id: str | None) -> Store:
    ours = [at for at in stores if at.store_type == store_type]
    if not ours:
        raise Trouble(
            f"there is no store of type {store_type!r}: let a plugin offer one (`demonstrations`), "
            "or bring one in with `tillhook stores import`"
        )
    found = [at for at in ours if region in {"", at.region} and store_id in {None, at.store_id}]
    if not found:
        wanted = " ".join(word for word in (store_id and f"{store_id!r}", region and f"in {region}") if word)
        known = ", ".join(f"{at.store_id} in {at.region}" for at in ours)
        raise Unusable(f"{store_type} has no store {wanted} (known: {known})")
    in_play = [at for at in found if at.demo and at.active]
    if not in_play:
        raise Trouble(
            f"{found[0].store_id} is no demonstration store (`demo = true`), so nothing is sold in it for trial"
        )
    return in_play[0]


def _payment(shop: Shop, name: str) -> Mapping[str, Any]:
    payments = payments_of(shop)
    if not payments:
        raise Trouble(
            f"the gateway {shop.gateway.name!r} offers no demonstration payments (`demonstrations`): "
            f"switch on one that does, and name it as payment.gateway of {shop.store_type}"
        )
    if name not in payments:
        raise Unusable(f"--pay {name}: the gateway {shop.gateway.name!r} has no such payment{nearest(name, payments)}")
    return payments[name]


def _shopper(shop: Shop) -> Principal:
    if not shop.identity_providers:
        raise Trouble(f"no plugin of store type {shop.store_type} has an identity provider: switch one on")
    return Principal(CUSTOMER, frozenset({SHOPPER}), shop.identity_providers[0].issuer, CUSTOMER)


def _goods(platform: Platform, offered: Sequence[Demonstration], store: Store) -> list[ScanRequest]:
    """Two pieces of one thing and one of another; tags instead, where the store has some that are not sold yet."""
    codes = list(islice(sellable(offered, store), 2))
    tags = unsold(platform, (epc for one in offered for epc in one.epcs))[:2] if store.rfid else []
    scans = [ScanRequest(store_id=store.store_id, epc=epc) for epc in tags]
    scans += [
        ScanRequest(store_id=store.store_id, barcode=code, quantity=2 - place)
        for place, code in enumerate(codes[: 3 - len(tags)])
    ]
    if not scans:
        raise Trouble(
            f"no demonstration of {store.store_type} has goods for {store.store_id} (catalogue {store.catalogue!r})"
        )
    return scans


# --- the sale


def _ordered(platform: Platform, who: Principal, store: Store, scans: Sequence[ScanRequest]) -> str:
    basket_id: str | None = None
    for scan in scans:
        with _step(f"scanning {scan.barcode or scan.epc}"):
            request = msgspec.structs.replace(scan, basket_id=basket_id)
            basket_id = _decoded(shopping.scan(platform, who, request, None), ScanView).basket_id
    with _step("making the order"):
        wanted = CreateOrderRequest(basket_id=basket_id or "", store_id=store.store_id)
        return _decoded(ordering.create_order(platform, who, wanted, None), OrderCreated).order_id


def _paid(platform: Platform, who: Principal, order_id: str, payment: Mapping[str, Any]) -> None:
    with _step("opening the payment session"):
        session = _decoded(paying.create_session(platform, who, SessionRequest(order_id=order_id)), SessionView)
    if session.order_complete:
        return  # nothing to pay
    with _step("paying"):
        request = msgspec.convert({"session_id": session.session_id, **payment}, AddPaymentRequest)
        _decoded(paying.add_payment(platform, who, request, None), PaymentView)


def _do_duties(assembled: Assembled, order_id: str) -> None:
    """Until each of the order's duties has ended or waits for a later try; also those that others have taken.

    Those of other orders are left to the workers: they are of real sales, perhaps, and held back for a reason.
    """
    platform, until = assembled.platform, time.monotonic() + PATIENCE
    while True:
        assembled.dispatcher.run_until_idle(stream=order_id)
        now = platform.clock()
        under_way = [
            at
            for at in platform.db.read(lambda tx: deliveries_of(tx, order_id))
            if at.state is DeliveryState.RUNNING or (at.state is DeliveryState.PENDING and at.available_at <= now)
        ]
        if not under_way or time.monotonic() > until:
            return
        time.sleep(0.05)


@contextmanager
def _step(what: str) -> Iterator[None]:
    """What refuses a step is raised as Trouble that names the step."""
    try:
        yield
    except Problem as problem:
        raise Trouble(f"{what}: {problem.detail}") from problem


def _decoded(reply: Reply, view: type[V]) -> V:
    return msgspec.json.decode(reply.body, type=view)


# --- what came of it


def _receipt(platform: Platform, who: Principal, order: OrderView) -> tuple[str, tuple[str, ...]]:
    """(the receipt as text, why a complete order has none)."""
    if order.completion_date is None:
        return "", ()
    try:
        return render_text(reading.receipt(platform, who, order.order_id)), ()
    except Problem as problem:
        return "", (f"no receipt: {problem.detail}",)


def _problems(order: OrderView, deliveries: Sequence[DeliveryView]) -> Iterator[str]:
    if not order.payment.order_complete:
        why = f": {order.payment.error_message}" if order.payment.error_message else ""
        later = f"; look again with `tillhook orders show {order.order_id}`" if _open(order) else ""
        yield f"the order is not complete: payment {order.payment.status}{why}{later}"
    for at in deliveries:
        if at.state not in _ENDED:
            hook, plugin = read_subscriber(at.subscriber)
            why = f": {at.last_error}" if at.last_error else ""
            yield f"{hook} of {plugin} has not ended ({at.state.name}){why}"


def _open(order: OrderView) -> bool:
    """Whether the provider will be asked again how the payment ended."""
    return any(at.next_try for at in order.timeline if at.step.startswith("payment."))


def _asked(before: Mapping[tuple[str, str], tuple[float, float]], shop: Shop) -> tuple[Asked, ...]:
    """In the order of the hooks and of the plugins."""
    found = []
    for (plugin, hook), (times, seconds) in _hook_calls().items():
        times_before, seconds_before = before.get((plugin, hook), (0.0, 0.0))
        if times > times_before and plugin in shop.plugins:
            found.append(Asked(plugin, hook, round(times - times_before), round((seconds - seconds_before) * 1000, 1)))
    hooks = list(HOOKS)
    place: Callable[[str], int] = lambda hook: hooks.index(hook) if hook in HOOKS else -1  # noqa: E731
    return tuple(sorted(found, key=lambda at: (place(at.hook), shop.plugins.index(at.plugin))))


def _hook_calls() -> dict[tuple[str, str], tuple[float, float]]:
    """(plugin, hook) → (calls, seconds) so far in this process, as the metric ``tillhook_hook_seconds`` counts them."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for metric in REGISTRY.collect():
        for sample in metric.samples:
            if sample.name in {"tillhook_hook_seconds_count", "tillhook_hook_seconds_sum"}:
                key = sample.labels["plugin"], sample.labels["hook"]
                times, seconds = found.get(key, (0.0, 0.0))
                counts = sample.name.endswith("_count")
                found[key] = (times + sample.value, seconds) if counts else (times, seconds + sample.value)
    return found
