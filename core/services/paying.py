"""Paying an order: session, payment, confirmation. The provider is never called inside a transaction.

First the payment is claimed and the operation is written down (one transaction), then the provider is called, then
its answer is settled (one transaction). Only one claim can win, so only one call is ever made at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog
from msgspec.structs import replace

from tillhook.core.domain.order import Order, OrderStatus
from tillhook.core.domain.payment import (
    OPEN,
    PAID,
    Authorised,
    NotSent,
    Operation,
    OperationStatus,
    Outcome,
    Payment,
    PaymentEvent,
    PaymentStatus,
    Unknown,
    Verb,
    next_status,
)
from tillhook.core.domain.problems import (
    Problem,
    already_paid,
    amount_mismatch,
    gateway_unavailable,
    order_not_payable,
    payment_in_progress,
    payment_method_unknown,
    payment_not_confirmable,
    session_not_found,
    wrong_currency,
)
from tillhook.core.roles import gateway as role
from tillhook.core.roles.offers import Principal
from tillhook.core.roles.outside import NotReached, Outside
from tillhook.core.services.access import may_act_in, own_order, owns
from tillhook.core.services.once import begin_open, earlier_open
from tillhook.core.services.platform import Platform
from tillhook.core.services.settling import (
    Case,
    PaymentMoved,
    bypass,
    case_of,
    first_inquiry,
    load_case,
    new_operation,
    settle,
)
from tillhook.core.services.wire import (
    AddPaymentRequest,
    PaymentDetailsRequest,
    Reply,
    SessionRequest,
    SessionView,
    payment_view,
    reply,
)
from tillhook.core.storage.database import Tx
from tillhook.core.storage.idempotency import Once
from tillhook.core.storage.orders import load_order
from tillhook.core.storage.payments import (
    insert_operation,
    operations_of,
    payment_of_session,
    save_payment,
    settle_operation,
)

log = structlog.get_logger("tillhook.payments")


def create_session(platform: Platform, who: Principal, request: SessionRequest) -> Reply:
    """Open the order's payment session, or return the one it has. An order of zero is completed without a provider."""
    case = _own_case(platform, who, request.order_id)
    _must_be_payable(case)
    payment = case.payment
    if not payment.amount:
        return _bypassed(platform, case)
    asked = role.SessionRequest(
        payment_id=payment.payment_id,
        order_id=case.order.order_id,
        amount=payment.amount,
        store_id=case.store.store_id,
        platform=case.order.platform.value,
    )
    gateway = case.shop.gateway
    try:
        opened = gateway.create_session(asked, _lent(case))
    except Problem:
        raise
    except Exception as error:
        log.warning("payment session failed", order_id=case.order.order_id, error=type(error).__name__)
        raise gateway_unavailable(
            "The payment provider did not open a session; nothing was charged. Try again.", gateway=gateway.name
        ) from error
    session_id = payment.session_id or platform.new_id("ses")
    if not payment.session_id:
        now = platform.clock()
        named = replace(payment, session_id=session_id)
        if not platform.db.write(lambda tx: save_payment(tx, named, now)):
            return create_session(platform, who, request)
    methods = case.shop.settings.payment.methods or opened.payment_methods
    view = SessionView(
        session_id=session_id,
        client_secret=opened.client_secret,
        payment_methods=methods,
        amount=payment.amount,
        order_id=case.order.order_id,
        by_pass_payment=False,
        order_complete=False,
    )
    return reply(view)


def add_payment(platform: Platform, who: Principal, request: AddPaymentRequest, once: Once | None) -> Reply:
    """Charge the order's total. Answers 202 while the outcome is not known: it is neither failed nor done."""
    case = _session_case(platform, who, request.session_id)
    earlier = _earlier(platform, case, once)
    if earlier is not None:
        return earlier
    _must_be_payable(case)
    _check(case, request)
    if not case.payment.amount:
        return _confirmed(platform, case)
    claimed = _claim(platform, case, PaymentEvent.AUTHORISE, once, method=request.payment_method)
    if isinstance(claimed, Reply):
        return claimed
    return _authorise(platform, *claimed, request.payment_details, request.return_url, once)


def confirm(platform: Platform, who: Principal, request: PaymentDetailsRequest, once: Once | None) -> Reply:
    """Go on after the shopper's action (3-D Secure). Raises ``payment_not_confirmable``."""
    case = _session_case(platform, who, request.session_id)
    earlier = _earlier(platform, case, once)
    if earlier is not None:
        return earlier
    if case.payment.status is not PaymentStatus.ACTION_REQUIRED:
        raise payment_not_confirmable(
            f"The payment of order {case.order.order_id} is {case.payment.status.value}; there is nothing to confirm.",
            order_id=case.order.order_id,
            status=case.payment.status.value,
        )
    claimed = _claim(platform, case, PaymentEvent.CONFIRM, once, method=case.payment.payment_method)
    if isinstance(claimed, Reply):
        return claimed
    return _authorise(platform, *claimed, request.payment_details, "", once)


def ask_gateway(platform: Platform, case: Case, verb: str, request: role.PaymentRequest) -> Outcome:
    """Call one verb. Whatever happens becomes an outcome: certainly not reached, or not known."""
    gateway = case.shop.gateway
    call = getattr(gateway, verb)
    platform.checkpoint(f"gateway.{verb}.before")
    try:
        outcome = call(request, _lent(case))
    except NotReached as error:
        outcome = NotSent(f"not reached: {error}")
    except Exception as error:  # noqa: BLE001 - what is not understood is unknown, whatever it is
        # The text of a foreign exception may hold what it must not; its type and ours are enough to go on.
        log.warning("gateway call failed", gateway=gateway.name, verb=verb, error=type(error).__name__)
        outcome = Unknown(f"{verb} ended in {type(error).__name__}")
    platform.checkpoint(f"gateway.{verb}.after")
    if not isinstance(outcome, Outcome):
        return Unknown(f"{verb} answered {type(outcome).__name__}, which is no outcome")
    return outcome


def payment_request(
    case: Case, operation: Operation, details: Mapping[str, Any] | None = None, return_url: str = ""
) -> role.PaymentRequest:
    """An operation as the gateway is asked for it."""
    return role.PaymentRequest(
        operation_id=operation.operation_id,
        merchant_reference=case.payment.payment_id,
        idempotency_key=operation.idempotency_key,
        amount=operation.amount,
        payment_method=case.payment.payment_method,
        psp_reference=operation.psp_reference,
        details=details or {},
        return_url=return_url,
    )


def capture(platform: Platform, case: Case, once: Once | None) -> Reply:
    """Take what was authorised: the operation was written down with the authorisation."""
    operations = platform.db.read(lambda tx: operations_of(tx, case.payment.payment_id))
    waiting = operations[-1].operation
    outcome = ask_gateway(platform, case, "capture", payment_request(case, waiting))
    return settle(platform, case, waiting, outcome, once)


def _authorise(
    platform: Platform,
    case: Case,
    operation: Operation,
    details: Mapping[str, Any],
    return_url: str,
    once: Once | None,
) -> Reply:
    outcome = ask_gateway(platform, case, "authorise", payment_request(case, operation, details, return_url))
    answer = settle(platform, case, operation, outcome, once)
    if isinstance(outcome, NotSent):
        raise gateway_unavailable(
            "The payment provider could not be reached; nothing was charged. Try again.", order_id=case.order.order_id
        )
    after = load_case(platform, case.order.order_id) if isinstance(outcome, Authorised) else case
    if after.payment.status is PaymentStatus.PSP_CAPTURE_WAITING:
        return capture(platform, after, once)
    return answer


def _claim(
    platform: Platform, case: Case, event: PaymentEvent, once: Once | None, *, method: str
) -> tuple[Case, Operation] | Reply:
    """Take the payment for one attempt and write the operation down; everybody else is turned away."""
    payment = case.payment
    status = next_status(payment.status, event)
    if status is None:
        raise payment_in_progress(
            f"The payment of order {case.order.order_id} is {payment.status.value}.", order_id=case.order.order_id
        )
    now = platform.clock()
    if event is PaymentEvent.AUTHORISE:
        # A new attempt is a new payment at the provider, not the rest of an earlier one.
        payment = replace(payment, psp_reference="")
    operation = new_operation(platform, payment, Verb.AUTHORISE)
    claimed = replace(payment, status=status, payment_method=method, message="", redirect_url="")

    def work(tx: Tx) -> Reply | None:
        twin = begin_open(tx, once, now)
        if twin is not None:
            return twin
        if not save_payment(tx, claimed, now):
            raise PaymentMoved
        if event is PaymentEvent.CONFIRM:
            _close_challenge(tx, payment.payment_id, operation, now)
        insert_operation(tx, operation, first_inquiry(platform, now), now)
        return None

    platform.checkpoint("claim.before")
    try:
        twin = platform.db.write(work)
    except PaymentMoved:
        fresh = load_case(platform, case.order.order_id)
        _must_be_payable(fresh)
        raise payment_in_progress(
            f"Another payment of order {case.order.order_id} is under way; read the order until it is settled.",
            order_id=case.order.order_id,
        ) from None
    if twin is not None:
        return twin if twin.body else reply(payment_view(case.order, case.payment), 202)
    platform.checkpoint("claim.committed")
    return replace(case, payment=replace(claimed, version=payment.version + 1)), operation


def _close_challenge(tx: Tx, payment_id: str, successor: Operation, now: datetime) -> None:
    """The operation that asked for the shopper's action is over: another one goes on with its result."""
    for entry in operations_of(tx, payment_id):
        if entry.operation.status is OperationStatus.ACTION_REQUIRED:
            settle_operation(
                tx,
                entry.operation.operation_id,
                OperationStatus.SUCCEEDED,
                psp_reference=entry.operation.psp_reference,
                reason=f"confirmed by {successor.operation_id}",
                inquire_at=None,
                now=now,
            )


def _earlier(platform: Platform, case: Case, once: Once | None) -> Reply | None:
    """The answer to a repeated request: the stored one, or the payment as it stands while it is not final."""
    found = platform.db.read(lambda tx: earlier_open(tx, once))
    if found is None or found.body:
        return found
    return replace(reply(payment_view(case.order, case.payment), 202), replayed=True)


def _lent(case: Case) -> Outside:
    return case.shop.outside(case.shop.owner(case.shop.gateway))


def _own_case(platform: Platform, who: Principal, order_id: str) -> Case:
    case = load_case(platform, order_id)
    own_order(case.order, who, order_id)
    may_act_in(case.store, who, case.shop)
    return case


def _session_case(platform: Platform, who: Principal, session_id: str) -> Case:
    def look_up(tx: Tx) -> tuple[Payment | None, Order | None]:
        payment = payment_of_session(tx, session_id)
        return payment, None if payment is None else load_order(tx, payment.order_id)

    payment, order = platform.db.read(look_up)
    if payment is None or order is None or not owns(who, order.customer_id, order.store_id):
        raise session_not_found(f"There is no payment session {session_id!r} of yours.", session_id=session_id)
    case = case_of(platform, order, payment)
    may_act_in(case.store, who, case.shop)
    return case


def _must_be_payable(case: Case) -> None:
    order_id, payment = case.order.order_id, case.payment
    if payment.status in PAID or case.order.status in (OrderStatus.COMPLETED, OrderStatus.VERIFIED):
        raise already_paid(f"Order {order_id} was paid already; it is not charged again.", order_id=order_id)
    if case.order.status is not OrderStatus.CREATED:
        raise order_not_payable(f"Order {order_id} is {case.order.status.value}.", order_id=order_id)
    if payment.status in OPEN:
        raise payment_in_progress(
            f"A payment of order {order_id} is {payment.status.value}; read the order until it is settled.",
            order_id=order_id,
            status=payment.status.value,
        )


def _check(case: Case, request: AddPaymentRequest) -> None:
    total = case.payment.amount
    if request.amount is not None and request.amount.currency != total.currency:
        raise wrong_currency(
            f"The order is in {total.currency}, not {request.amount.currency}.", expected=total.currency
        )
    if request.amount is not None and request.amount != total:
        raise amount_mismatch(f"The order's total is {total}, not {request.amount}.", expected=total.minor)
    methods = case.shop.settings.payment.methods or case.shop.gateway.capabilities.methods
    if request.payment_method not in methods:
        raise payment_method_unknown(
            f"{request.payment_method!r} is not offered here; offered: {', '.join(methods)}.", methods=list(methods)
        )


def _bypassed(platform: Platform, case: Case) -> Reply:
    done = _bypass(platform, case)
    view = SessionView(
        session_id=done.payment.session_id,
        client_secret="",
        payment_methods=(),
        amount=done.payment.amount,
        order_id=done.order.order_id,
        by_pass_payment=True,
        order_complete=True,
    )
    return reply(view)


def _confirmed(platform: Platform, case: Case) -> Reply:
    done = _bypass(platform, case)
    return reply(payment_view(done.order, done.payment))


def _bypass(platform: Platform, case: Case) -> Case:
    try:
        return bypass(platform, case)
    except PaymentMoved:
        fresh = load_case(platform, case.order.order_id)
        if fresh.payment.status in PAID:
            return fresh
        raise payment_in_progress(f"Order {case.order.order_id} is changing; read it and try again.") from None
