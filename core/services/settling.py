"""What a provider's answer does to a payment, whoever brings it: the call itself, an inquiry, a webhook.

The answer, the payment's new state and the completion of the order are one transaction. If completing fails, the
capture alone is recorded and completing becomes a duty of its own: money that was taken is never forgotten.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from tillhook.core.domain.aftersale import Discrepancy
from tillhook.core.domain.order import Order, OrderStatus
from tillhook.core.domain.payment import (
    OPEN,
    OPEN_OPERATIONS,
    Authorised,
    Captured,
    NotSent,
    Operation,
    OperationStatus,
    Outcome,
    Payment,
    PaymentEvent,
    PaymentStatus,
    Unknown,
    Verb,
    event_of,
    next_status,
    status_of,
)
from tillhook.core.domain.problems import order_not_found
from tillhook.core.domain.store import Store
from tillhook.core.plugins.shop import Shop
from tillhook.core.services.announcing import CORE, announce, payment_shadows, subscriber
from tillhook.core.services.answers import changed, reason_of, tells_of_money, understood
from tillhook.core.services.completing import Completion, complete, take_epcs
from tillhook.core.services.once import remember_open
from tillhook.core.services.platform import Platform
from tillhook.core.services.wire import Reply, payment_view, reply
from tillhook.core.storage.database import Tx
from tillhook.core.storage.events import Event, emit
from tillhook.core.storage.idempotency import Once, release_key
from tillhook.core.storage.orders import free_epcs, load_order
from tillhook.core.storage.payments import (
    insert_operation,
    load_payment,
    payment_of_order,
    reopen_challenge,
    save_payment,
    settle_operation,
)
from tillhook.core.telemetry.logs import note

log = structlog.get_logger("tillhook.payments")

ATTEMPTS: Final = 8
COMPLETE_LATER: Final = subscriber("complete_order", CORE)
GIVEN_UP: Final = frozenset({PaymentStatus.REJECTED, PaymentStatus.ERROR})
"""An attempt ended without money, as far as is known; the next one may begin."""


class Case(Struct, frozen=True):
    """One order with its payment, its store and the store's plugins."""

    order: Order
    payment: Payment
    store: Store
    shop: Shop


class PaymentMoved(Exception):
    """Somebody else changed the payment first: read it and decide anew."""


def load_case(platform: Platform, order_id: str) -> Case:
    """Raises ``order_not_found``."""
    order, payment = platform.db.read(lambda tx: (load_order(tx, order_id), payment_of_order(tx, order_id)))
    if order is None or payment is None:
        raise order_not_found(f"There is no order {order_id!r}.", order_id=order_id)
    return case_of(platform, order, payment)


def case_of(platform: Platform, order: Order, payment: Payment) -> Case:
    """The order with all that belongs to it; from here on the log carries its id."""
    note(order_id=order.order_id)
    store = platform.store(order.store_id)
    return Case(order, payment, store, platform.host.shop(store))


def first_inquiry(platform: Platform, now: datetime) -> datetime:
    """When to ask about a call that nobody settled: after it must have ended one way or the other."""
    return now + timedelta(seconds=platform.system.payments.call_seconds * 1.5)


def next_inquiry(platform: Platform, age: timedelta, now: datetime) -> datetime:
    """When to ask next about an operation of this age; how often it was read meanwhile does not count."""
    pauses = [timedelta(seconds=pause) for pause in platform.system.payments.inquire_seconds]
    waited = timedelta(0)
    for pause in pauses:
        waited += pause
        if waited > age:
            return now + pause
    return now + pauses[-1]


def confirmed_by(operation_id: str) -> str:
    """What is written to a challenge when another operation goes on with its result."""
    return f"confirmed by {operation_id}"


def new_operation(platform: Platform, payment: Payment, verb: Verb) -> Operation:
    operation_id = platform.new_id("op")
    return Operation(
        operation_id=operation_id,
        payment_id=payment.payment_id,
        verb=verb,
        amount=payment.amount,
        idempotency_key=operation_id,
        status=OperationStatus.STARTED,
        psp_reference=payment.psp_reference,
    )


def settle(
    platform: Platform,
    case: Case,
    operation: Operation,
    answer: Outcome,
    once: Once | None,
    ask_again: datetime | None = None,
) -> Reply:
    """Record what became of ``operation`` and everything that follows from it, once.

    If it stays open, it is inquired about at ``ask_again``, or after the first pause.
    """
    outcome = understood(answer, operation)
    platform.observe_payment(case.payment.gateway, type(outcome).__name__)
    again = ask_again or next_inquiry(platform, timedelta(0), platform.clock())
    misread = reason_of(outcome) if isinstance(outcome, Unknown) and tells_of_money(answer) else ""
    completing = True
    for _ in range(ATTEMPTS):
        try:
            return _settle(platform, case, operation, outcome, once, again, misread, completing=completing)
        except PaymentMoved:
            case = load_case(platform, case.order.order_id)
        except Exception:  # whatever it is, see below
            if not completing or not isinstance(outcome, Captured):
                raise
            # The money was taken; whatever kept the order from completing must not hide that.
            log.exception("order paid but not completed", order_id=case.order.order_id)
            completing = False
    raise PaymentMoved(case.payment.payment_id)


def bypass(platform: Platform, case: Case) -> Case:
    """Complete an order of nothing to pay without any provider."""
    now = platform.clock()
    payment = replace(case.payment, status=PaymentStatus.CONFIRMED)

    def work(tx: Tx) -> Order:
        if not save_payment(tx, payment, now):
            raise PaymentMoved
        take_epcs(tx, case.order, now)
        return complete(tx, Completion(platform, case.shop, case.store, payment, case.order, now))

    order = platform.db.write(work)
    platform.observe_order(case.store.store_type)
    platform.wake()
    return replace(case, order=order, payment=payment)


def finish_order(platform: Platform, order_id: str) -> str:
    """Complete an order whose capture is recorded; nothing to do when it is complete. The duty ``complete_order``."""
    case = load_case(platform, order_id)
    if case.order.status is not OrderStatus.CREATED:
        return ""
    now = platform.clock()
    completion = Completion(platform, case.shop, case.store, case.payment, case.order, now)
    platform.db.write(lambda tx: complete(tx, completion))
    platform.observe_order(case.store.store_type)
    platform.wake()
    return ""


def _settle(
    platform: Platform,
    case: Case,
    operation: Operation,
    outcome: Outcome,
    once: Once | None,
    again: datetime,
    misread: str,
    *,
    completing: bool,
) -> Reply:
    now = platform.clock()
    event = event_of(outcome)
    status = _after(case.payment.status, outcome)
    # Money may be moving, and this answer does not say whether: somebody must go on asking.
    lost = status is None and case.payment.status in OPEN
    standing = OperationStatus.UNKNOWN if lost else status_of(outcome)

    def work(tx: Tx) -> tuple[Reply, Order]:
        platform.checkpoint("settle.begin")
        settled = settle_operation(
            tx,
            operation.operation_id,
            standing,
            psp_reference=getattr(outcome, "psp_reference", "") or operation.psp_reference,
            reason=reason_of(outcome),
            inquire_at=again if standing in OPEN_OPERATIONS else None,
            now=now,
            overruling=isinstance(outcome, Captured),
        )
        if not settled:
            return _present(tx, case, once), case.order
        if misread:
            _disagree(tx, platform, case, operation, "charge_not_understood", str(operation.amount), misread, now)
        if status is None:
            return _unexpected(tx, platform, case, operation, outcome, now, once), case.order
        payment = _moved(tx, case, operation, outcome, status, again, now)
        if payment != case.payment and not save_payment(tx, payment, now):
            raise PaymentMoved
        if payment.status in GIVEN_UP:
            free_epcs(tx, case.order.epcs, case.order.order_id)
        order = _follow(tx, platform, replace(case, payment=payment), event, now, completing=completing)
        answer = reply(payment_view(order, payment), 200 if standing not in _OPEN else 202)
        return _remember(tx, once, answer, order, payment, outcome), order

    done, order = platform.db.write(work)
    platform.checkpoint("settle.committed")
    if order.completed_at is not None and case.order.completed_at is None:
        platform.observe_order(case.store.store_type)
    if standing not in _OPEN:
        platform.wake()
    return done


def _moved(
    tx: Tx, case: Case, operation: Operation, outcome: Outcome, status: PaymentStatus, again: datetime, now: datetime
) -> Payment:
    """The payment as an answer leaves it."""
    payment = changed(case.payment, status, outcome)
    if isinstance(outcome, Authorised):
        return replace(payment, status=PaymentStatus.PSP_CAPTURE_WAITING)
    confirmation = confirmed_by(operation.operation_id)
    if isinstance(outcome, NotSent) and reopen_challenge(tx, payment.payment_id, confirmation, again, now):
        # Only the confirmation was not sent; the provider may still take the money for the challenge itself.
        return replace(case.payment, status=PaymentStatus.ACTION_REQUIRED, message=payment.message)
    return payment


def _after(current: PaymentStatus, outcome: Outcome) -> PaymentStatus | None:
    """The payment's state after an answer; None where the table has no place for it.

    A capture that is told after the attempt was given up takes that attempt up again: what was taken was taken.
    """
    if isinstance(outcome, Captured) and current in GIVEN_UP:
        current = next_status(current, PaymentEvent.AUTHORISE) or current
    return next_status(current, event_of(outcome))


def _follow(tx: Tx, platform: Platform, case: Case, event: PaymentEvent, now: datetime, *, completing: bool) -> Order:
    """What an answer calls for, in its transaction; the order as it then stands."""
    order, payment, facts = case.order, case.payment, {"order_id": case.order.order_id}
    match event:
        case PaymentEvent.AUTHORISED:
            # Written down with the hold itself: after a crash the resolver finds it and takes the money.
            insert_operation(tx, new_operation(platform, payment, Verb.CAPTURE), first_inquiry(platform, now), now)
        case PaymentEvent.CAPTURED if completing:
            return complete(tx, Completion(platform, case.shop, case.store, payment, order, now))
        case PaymentEvent.CAPTURED:
            payload = msgspec.json.encode(facts).decode()
            emit(tx, Event(platform.new_id("evt"), "payment_captured", order.order_id, payload), [COMPLETE_LATER], now)
        case PaymentEvent.DECLINED:
            also = payment_shadows(case.shop, order.order_id, payment.amount)
            announce(tx, case.shop, "payment_declined", order.order_id, facts, now, platform.new_id, also=also)
    return order


_OPEN: Final = (OperationStatus.UNKNOWN, OperationStatus.PENDING)


def _remember(tx: Tx, once: Once | None, answer: Reply, order: Order, payment: Payment, outcome: Outcome) -> Reply:
    """Final answers are stored under the request's key; a request that certainly had no effect may be sent again."""
    if once is None:
        return answer
    if isinstance(outcome, NotSent):
        release_key(tx, once)
        return answer
    return remember_open(tx, once, answer) if _is_final(order, payment) else answer


def _is_final(order: Order, payment: Payment) -> bool:
    return order.completed_at is not None or payment.status is PaymentStatus.REJECTED


def _present(tx: Tx, case: Case, once: Once | None) -> Reply:
    """The payment as somebody else settled it."""
    order = load_order(tx, case.order.order_id)
    payment = load_payment(tx, case.payment.payment_id)
    assert order is not None, "orders are never deleted"
    assert payment is not None, "payments are never deleted"
    answer = reply(payment_view(order, payment))
    return remember_open(tx, once, answer) if once is not None and _is_final(order, payment) else answer


def _unexpected(
    tx: Tx, platform: Platform, case: Case, operation: Operation, outcome: Outcome, now: datetime, once: Once | None
) -> Reply:
    """An answer that the payment's state has no place for: kept, and shown to people unless nothing can have moved."""
    current = load_payment(tx, case.payment.payment_id)
    if current is None or current.version != case.payment.version:
        raise PaymentMoved
    if current.status in OPEN or tells_of_money(outcome):
        found = f"{type(outcome).__name__} while the payment is {current.status.value}"
        expected = "an answer that the payment's state allows"
        _disagree(tx, platform, case, operation, "unexpected_payment_answer", expected, found, now)
    return _present(tx, case, once)


def _disagree(
    tx: Tx, platform: Platform, case: Case, operation: Operation, kind: str, expected: str, found: str, now: datetime
) -> None:
    """Tell people, once for each operation, that the provider's books and ours differ."""
    order_id = case.order.order_id
    log.error("discrepancy", kind=kind, order_id=order_id, operation=operation.operation_id, found=found)
    facts = msgspec.to_builtins(Discrepancy(kind, case.store.store_id, order_id, expected, found))
    event_id = f"{kind}:{operation.operation_id}"
    announce(tx, case.shop, "discrepancy_found", order_id, facts, now, platform.new_id, always=True, event_id=event_id)
