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

from tillhook.core.domain.order import Order, OrderStatus
from tillhook.core.domain.payment import (
    OPEN_OPERATIONS,
    ActionRequired,
    Authorised,
    Captured,
    Declined,
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
from tillhook.core.services.announcing import announce, subscriber
from tillhook.core.services.completing import Completion, complete
from tillhook.core.services.once import remember_open
from tillhook.core.services.platform import Platform
from tillhook.core.services.wire import Reply, payment_view, reply
from tillhook.core.storage.database import Tx
from tillhook.core.storage.events import Event, emit
from tillhook.core.storage.idempotency import Once, release_key
from tillhook.core.storage.orders import load_order
from tillhook.core.storage.payments import (
    insert_operation,
    load_payment,
    payment_of_order,
    save_payment,
    settle_operation,
)

log = structlog.get_logger("tillhook.payments")

ATTEMPTS: Final = 8
MAX_REFERENCE: Final = 200
MAX_URL: Final = 2000
COMPLETE_LATER: Final = subscriber("complete_order", "core")
_FINAL_ANSWERS: Final = frozenset({PaymentStatus.CAPTURED, PaymentStatus.REJECTED, PaymentStatus.CONFIRMED})


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
    store = platform.store(order.store_id)
    return Case(order, payment, store, platform.host.shop(store))


def first_inquiry(platform: Platform, now: datetime) -> datetime:
    """When to ask about a call that nobody settled: after it must have ended one way or the other."""
    return now + timedelta(seconds=platform.system.payments.call_seconds * 1.5)


def next_inquiry(platform: Platform, attempts: int, now: datetime) -> datetime:
    pauses = platform.system.payments.inquire_seconds
    return now + timedelta(seconds=pauses[min(attempts, len(pauses) - 1)])


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


def settle(platform: Platform, case: Case, operation: Operation, answer: Outcome, once: Once | None) -> Reply:
    """Record what became of ``operation`` and everything that follows from it, once."""
    outcome = _understood(answer, operation)
    platform.observe_payment(case.payment.gateway, type(outcome).__name__)
    completing = True
    for _ in range(ATTEMPTS):
        try:
            return _settle(platform, case, operation, outcome, once, completing=completing)
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
        return complete(tx, Completion(platform, case.shop, case.store, payment, case.order, now))

    order = platform.db.write(work)
    platform.observe_order(case.store.store_type)
    platform.wake()
    return replace(case, order=order, payment=payment)


def finish_order(platform: Platform, order_id: str) -> None:
    """Complete an order whose capture is recorded; nothing to do when it is complete. The duty ``complete_order``."""
    case = load_case(platform, order_id)
    if case.order.status is not OrderStatus.CREATED:
        return
    now = platform.clock()
    completion = Completion(platform, case.shop, case.store, case.payment, case.order, now)
    platform.db.write(lambda tx: complete(tx, completion))
    platform.observe_order(case.store.store_type)
    platform.wake()


def _settle(
    platform: Platform, case: Case, operation: Operation, outcome: Outcome, once: Once | None, *, completing: bool
) -> Reply:
    now = platform.clock()

    def work(tx: Tx) -> Reply:
        platform.checkpoint("settle.begin")
        is_open = status_of(outcome) in OPEN_OPERATIONS
        settled = settle_operation(
            tx,
            operation.operation_id,
            status_of(outcome),
            psp_reference=getattr(outcome, "psp_reference", "") or operation.psp_reference,
            reason=_reason(outcome),
            inquire_at=next_inquiry(platform, operation.attempts, now) if is_open else None,
            now=now,
        )
        if not settled:
            return _present(tx, case, once)
        event = event_of(outcome)
        status = next_status(case.payment.status, event)
        if status is None:
            return _unexpected(tx, platform, case, operation, outcome, now, once)
        payment = _changed(case.payment, status, outcome)
        if event is PaymentEvent.AUTHORISED:
            payment = replace(payment, status=PaymentStatus.PSP_CAPTURE_WAITING)
        if payment != case.payment and not save_payment(tx, payment, now):
            raise PaymentMoved
        order = _follow(tx, platform, replace(case, payment=payment), event, now, completing=completing)
        answer = reply(payment_view(order, payment), 200 if status_of(outcome) not in _OPEN else 202)
        return _remember(tx, once, answer, payment, outcome, now)

    done = platform.db.write(work)
    platform.checkpoint("settle.committed")
    if isinstance(outcome, Captured) and completing:
        platform.observe_order(case.store.store_type)
    if status_of(outcome) not in _OPEN:
        platform.wake()
    return done


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
            announce(tx, case.shop, "payment_declined", order.order_id, facts, now, platform.new_id)
    return order


_OPEN: Final = (OperationStatus.UNKNOWN, OperationStatus.PENDING)


def _remember(tx: Tx, once: Once | None, answer: Reply, payment: Payment, outcome: Outcome, now: datetime) -> Reply:
    """Final answers are stored under the request's key; a request that certainly had no effect may be sent again."""
    if once is None:
        return answer
    if isinstance(outcome, NotSent):
        release_key(tx, once)
        return answer
    return remember_open(tx, once, answer) if payment.status in _FINAL_ANSWERS else answer


def _present(tx: Tx, case: Case, once: Once | None) -> Reply:
    """The payment as somebody else settled it."""
    order = load_order(tx, case.order.order_id)
    payment = load_payment(tx, case.payment.payment_id)
    assert order is not None, "orders are never deleted"
    assert payment is not None, "payments are never deleted"
    answer = reply(payment_view(order, payment))
    return remember_open(tx, once, answer) if once is not None and payment.status in _FINAL_ANSWERS else answer


def _unexpected(
    tx: Tx, platform: Platform, case: Case, operation: Operation, outcome: Outcome, now: datetime, once: Once | None
) -> Reply:
    """An answer that the payment's state has no place for: kept, and shown to people."""
    found = f"{type(outcome).__name__} while the payment is {case.payment.status.value}"
    log.error("unexpected payment answer", order_id=case.order.order_id, operation=operation.operation_id, found=found)
    facts = {
        "kind": "unexpected_payment_answer",
        "store_id": case.store.store_id,
        "reference": case.order.order_id,
        "expected": "an answer that the payment's state allows",
        "found": found,
    }
    announce(tx, case.shop, "discrepancy_found", case.order.order_id, facts, now, platform.new_id, always=True)
    return _present(tx, case, once)


def _understood(answer: Outcome, operation: Operation) -> Outcome:
    """An answer about another amount than was asked for is not understood; it stays open and is shown.

    A capture that was not sent stays open too: the money is held, and the resolver sends it again.
    """
    match answer:
        case Captured(amount=amount) | Authorised(amount=amount) if amount != operation.amount:
            return Unknown(f"the provider answered {amount} where {operation.amount} was asked for")
        case NotSent(reason) if operation.verb is Verb.CAPTURE:
            return Unknown(f"the capture was not sent: {reason}")
        case ActionRequired(redirect_url=url) if len(url) > MAX_URL:
            return Unknown(f"the provider answered an address of {len(url)} characters")
    if len(getattr(answer, "psp_reference", "")) > MAX_REFERENCE:
        return Unknown("the provider answered a reference that is too long to be one")
    return answer


def _changed(payment: Payment, status: PaymentStatus, outcome: Outcome) -> Payment:
    match outcome:
        case Captured(psp_reference, amount, brand, last4):
            return replace(
                payment,
                status=status,
                authorised=amount.minor,
                captured=amount.minor,
                psp_reference=psp_reference,
                card_brand=brand,
                card_last4=last4,
                redirect_url="",
                message="",
            )
        case Authorised(psp_reference, amount):
            return replace(
                payment,
                status=status,
                authorised=amount.minor,
                psp_reference=psp_reference,
                redirect_url="",
                message="",
            )
        case ActionRequired(psp_reference, redirect_url):
            return replace(payment, status=status, psp_reference=psp_reference, redirect_url=redirect_url, message="")
        case Declined() | NotSent():
            return replace(payment, status=status, redirect_url="", message=_reason(outcome))
        case _:
            return payment


def _reason(outcome: Outcome) -> str:
    match outcome:
        case Declined(code, message):
            return f"{code}: {message}" if message else code
        case NotSent(reason) | Unknown(reason):
            return reason
        case _:
            return ""
