"""Reading orders: as they stand, with their timeline, and as a receipt."""

from __future__ import annotations

from tillhook.core.domain.completed import CompletedOrder
from tillhook.core.domain.money import Money
from tillhook.core.domain.payment import PaymentStatus
from tillhook.core.domain.problems import Problem, order_not_complete
from tillhook.core.domain.receipt import Receipt, ReceiptType, Rule
from tillhook.core.domain.store import Store
from tillhook.core.plugins.shop import Shop
from tillhook.core.roles.offers import Principal
from tillhook.core.roles.people import SHOPPERS
from tillhook.core.services.access import customer_of, may_act_in, own_order
from tillhook.core.services.announcing import SHADOWS, read_subscriber
from tillhook.core.services.completing import completed
from tillhook.core.services.platform import Platform
from tillhook.core.services.resolving import resolve_order
from tillhook.core.services.settling import Case, load_case
from tillhook.core.services.wire import (
    OrderCreated,
    OrderView,
    TaxView,
    TimelineEntry,
    line_view,
    payment_view,
    receipt_url,
)
from tillhook.core.storage.events import DeliveryState, DeliveryView, deliveries_of
from tillhook.core.storage.orders import orders_of
from tillhook.core.storage.payments import Ledgered, operations_of

_UNSETTLED = frozenset({PaymentStatus.PENDING, PaymentStatus.PSP_CAPTURE_WAITING, PaymentStatus.ACTION_REQUIRED})


def own_case(platform: Platform, who: Principal, order_id: str) -> Case:
    """The caller's order, its open payment settled first if that is possible."""
    case = load_case(platform, order_id)
    own_order(case.order, who, order_id)
    may_act_in(case.store, who, case.shop)
    return resolve_order(platform, case) if case.payment.status in _UNSETTLED else case


def order(platform: Platform, who: Principal, order_id: str) -> OrderView:
    """One order with everything that happened to it so far."""
    case = own_case(platform, who, order_id)
    operations, deliveries = platform.db.read(
        lambda tx: (operations_of(tx, case.payment.payment_id), deliveries_of(tx, order_id))
    )
    found, currency = case.order, case.order.total.currency
    return OrderView(
        order_id=found.order_id,
        o_id=found.o_id,
        store_id=found.store_id,
        customer_id=found.customer_id,
        basket_id=found.basket_id,
        platform=found.platform.value,
        order_status=found.status.value,
        payment_status=found.payment_status.value,
        payment=payment_view(found, case.payment),
        items=tuple(line_view(line, currency) for line in found.lines),
        total_price=found.total,
        total_tax=Money(found.tax.total_tax, currency),
        tax_included=found.tax.included,
        tax_breakup=tuple(
            TaxView(row.code, row.label, f"{row.percent:f}", Money(row.taxable, currency), Money(row.tax, currency))
            for row in found.tax.breakup
        ),
        created_at=found.created_at,
        completion_date=found.completed_at,
        business_day_date=found.business_day_date,
        transaction_id_poslog=found.transaction_id_poslog,
        receipt_url=receipt_url(found),
        timeline=_timeline(case, operations, _shown(who, deliveries)),
    )


def orders(platform: Platform, who: Principal, limit: int) -> tuple[OrderCreated, ...]:
    """The caller's own orders, newest first."""
    found = platform.db.read(lambda tx: orders_of(tx, customer_of(who), limit))
    return tuple(
        OrderCreated(at.order_id, at.o_id, at.basket_id, at.status.value, at.payment_status.value, at.total)
        for at in found
        if _speaks_for(platform, who, at.store_id)
    )


def _speaks_for(platform: Platform, who: Principal, store_id: str) -> bool:
    """Whether the caller's issuer counts in a store: two retailers may call two people by the same id."""
    try:
        return who.vouched_by(platform.host.shop(platform.store(store_id)).identity_providers)
    except Problem:
        return False


def receipt(platform: Platform, who: Principal, order_id: str) -> Receipt:
    """The order's receipt. Raises ``order_not_complete`` before it is paid."""
    case = own_case(platform, who, order_id)
    if case.order.completed_at is None:
        raise order_not_complete(
            f"Order {order_id} is {case.order.status.value}; there is no receipt yet.", order_id=order_id
        )
    return build_receipt(case.shop, completed(case.order, case.payment, case.store), case.store, ReceiptType.ORDER)


def build_receipt(shop: Shop, sale: CompletedOrder, store: Store, receipt_type: ReceiptType) -> Receipt:
    """The receipt of the first plugin that answers, with every plugin's further rows above its footer.

    Raises ``order_not_complete`` when no plugin of the store type makes receipts of this type.
    """
    found: Receipt | None = shop.ask("receipt_for", receipt_type=receipt_type, order=sale, store=store)
    if found is None:
        raise order_not_complete(f"No plugin of this store makes receipts of type {receipt_type.value}.")
    extra = shop.ask_all("receipt_fields_for", receipt_type=receipt_type, order=sale, store=store)
    more = [row for rows in extra for row in rows]
    if not more:
        return found
    rules = [place for place, row in enumerate(found.rows) if isinstance(row, Rule)]
    at = rules[-1] if rules else len(found.rows)
    rows = (*found.rows[:at], *more, *found.rows[at:])
    return Receipt(found.receipt_type, found.title, found.language, rows)


def _shown(who: Principal, deliveries: tuple[DeliveryView, ...]) -> tuple[DeliveryView, ...]:
    """What a second plugin would have said is for those who try it, not for shoppers."""
    if not who.roles <= SHOPPERS:
        return deliveries
    return tuple(at for at in deliveries if at.subscriber not in SHADOWS)


def _timeline(
    case: Case, operations: tuple[Ledgered, ...], deliveries: tuple[DeliveryView, ...]
) -> tuple[TimelineEntry, ...]:
    entries = [TimelineEntry(case.order.created_at, "order_created", "DONE", detail=f"o_id {case.order.o_id}")]
    entries.extend(
        TimelineEntry(
            at=entry.created_at,
            step=f"payment.{entry.operation.verb.value.lower()}",
            state=entry.operation.status.value,
            plugin=case.payment.gateway,
            attempts=entry.operation.attempts + 1,
            detail=entry.reason or entry.operation.psp_reference,
            next_try=entry.inquire_at,
        )
        for entry in operations
    )
    if case.order.completed_at is not None:
        number = f"transaction {case.order.transaction_id_poslog}"
        entries.append(TimelineEntry(case.order.completed_at, "order_completed", "DONE", detail=number))
    for at in deliveries:
        hook, plugin = read_subscriber(at.subscriber)
        entries.append(
            TimelineEntry(
                at=at.finished_at or at.created_at,
                step=hook,
                state=at.state.name,
                plugin=plugin,
                attempts=at.attempts,
                duration_ms=at.duration_ms,
                detail=at.last_error or at.result,
                next_try=at.available_at if at.state is DeliveryState.PENDING else None,
            )
        )
    return tuple(sorted(entries, key=lambda entry: entry.at))
