"""Paying an order: session, payment, confirmation. The provider is never called inside a transaction.

First the payment is claimed and the operation is written down (one transaction), then the provider is called, then
its answer is settled (one transaction). Only one claim can win, so only one call is ever made at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from tillhook.core.domain.order import Order, OrderStatus
from tillhook.core.domain.payment import (
    OPEN,
    PAID,
    Authorised,
    NotSent,
    Operation,
    OperationStatus,
    Payment,
    PaymentEvent,
    PaymentStatus,
    Verb,
    next_status,
)
from tillhook.core.domain.problems import (
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
from tillhook.core.services.access import may_act_in, own_order, owns
from tillhook.core.services.asking import ask_gateway, gateway_of, open_session, payment_request
from tillhook.core.services.completing import take_epcs
from tillhook.core.services.once import begin_open, earlier_open
from tillhook.core.services.platform import Platform
from tillhook.core.services.settling import (
    Case,
    PaymentMoved,
    bypass,
    case_of,
    confirmed_by,
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
    opened = open_session(platform, case, asked)
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
    earlier = _earlier(platform, case.order.order_id, once, PaymentStatus.ERROR)
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
    earlier = _earlier(platform, case.order.order_id, once, PaymentStatus.ACTION_REQUIRED)
    if earlier is not None:
        return earlier
    gateway_of(case)
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


def capture(platform: Platform, case: Case, once: Once | None) -> Reply:
    """Take what was authorised: the operation was written down with the authorisation."""
    entries = platform.db.read(lambda tx: operations_of(tx, case.payment.payment_id))
    started = [at.operation for at in entries if at.operation.status is OperationStatus.STARTED]
    waiting = next((at for at in started if at.verb is Verb.CAPTURE), None)
    if waiting is None:
        return _standing(platform, case.order.order_id)
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
            "The payment provider could not be reached; this request charged nothing. Try again.",
            order_id=case.order.order_id,
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
        payment = replace(payment, psp_reference="", redirect_url="")
    operation = new_operation(platform, payment, Verb.AUTHORISE)
    claimed = replace(payment, status=status, payment_method=method, message="")
    # A key that is still at work although its attempt is over: its server died, or nobody told it of the end.
    over = PaymentStatus.ACTION_REQUIRED if event is PaymentEvent.CONFIRM else PaymentStatus.ERROR

    def work(tx: Tx) -> Reply | None:
        twin = begin_open(tx, once, now)
        if twin is not None and (twin.body or payment.status is not over):
            return twin
        if event is PaymentEvent.CONFIRM:
            # Before the payment, as every answer does it: else the two could wait for each other.
            _close_challenge(tx, payment.payment_id, operation, now)
        if not save_payment(tx, claimed, now):
            raise PaymentMoved
        if event is PaymentEvent.AUTHORISE:
            take_epcs(tx, case.order, now)
        insert_operation(tx, operation, first_inquiry(platform, now), now)
        return None

    platform.checkpoint("claim.before")
    try:
        twin = platform.db.write(work)
    except PaymentMoved:
        return _turned_away(platform, case.order.order_id, once)
    if twin is not None:
        return twin if twin.body else _standing(platform, case.order.order_id)
    platform.checkpoint("claim.committed")
    return replace(case, payment=replace(claimed, version=payment.version + 1)), operation


def _turned_away(platform: Platform, order_id: str, once: Once | None) -> Reply:
    """The answer where somebody else changed the payment first: the same request, or another one."""
    mine = _earlier(platform, order_id, once, None)
    if mine is not None:
        return mine
    _must_be_payable(load_case(platform, order_id))
    raise payment_in_progress(
        f"Another payment of order {order_id} is under way; read the order until it is settled.", order_id=order_id
    )


def _close_challenge(tx: Tx, payment_id: str, successor: Operation, now: datetime) -> None:
    """The operation that asked for the shopper's action is over: another one goes on with its result."""
    for entry in operations_of(tx, payment_id):
        if entry.operation.status is OperationStatus.ACTION_REQUIRED:
            settle_operation(
                tx,
                entry.operation.operation_id,
                OperationStatus.SUCCEEDED,
                psp_reference=entry.operation.psp_reference,
                reason=confirmed_by(successor.operation_id),
                inquire_at=None,
                now=now,
            )


def _earlier(platform: Platform, order_id: str, once: Once | None, over: PaymentStatus | None) -> Reply | None:
    """The answer to a repeated request: the stored one, or the payment as it stands while there is none.

    None for a request that may begin: a new one, or one whose attempt is over without effect, which ``over`` tells.
    """
    found = platform.db.read(lambda tx: earlier_open(tx, once))
    if found is None or found.body:
        return found
    if over is not None and load_case(platform, order_id).payment.status is over:
        return None
    return _standing(platform, order_id)


def _standing(platform: Platform, order_id: str) -> Reply:
    """The payment as it stands; 202 while it is not settled."""
    now = load_case(platform, order_id)
    unsettled = now.payment.status in OPEN and now.payment.status is not PaymentStatus.ACTION_REQUIRED
    return replace(reply(payment_view(now.order, now.payment), 202 if unsettled else 200), replayed=True)


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
    methods = case.shop.settings.payment.methods or gateway_of(case).capabilities.methods
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
