"""The tables of states, read aloud."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

import pytest

from tillhook.core.domain.money import Money
from tillhook.core.domain.order import ORDER_TRANSITIONS, OrderStatus, may_become
from tillhook.core.domain.payment import (
    OPEN,
    OPEN_OPERATIONS,
    PAID,
    PAYMENT_TRANSITIONS,
    ActionRequired,
    Authorised,
    Cancelled,
    Captured,
    Declined,
    NotSent,
    OperationStatus,
    Outcome,
    PaymentEvent,
    PaymentStatus,
    Pending,
    Refunded,
    Unknown,
    event_of,
    next_status,
    status_of,
)

S = PaymentStatus
State = TypeVar("State", bound=StrEnum)
EURO = Money(100, "EUR")
OUTCOMES: tuple[Outcome, ...] = (
    Authorised("psp", EURO),
    Captured("psp", EURO),
    ActionRequired("psp", "https://bank.example/3ds"),
    Declined("insufficient_funds"),
    Pending("psp"),
    Refunded("psp", EURO),
    Cancelled("psp"),
    NotSent("connection refused"),
    Unknown("read timeout"),
)
NO_FLOW_YET = {S.PARTIAL_CAPTURED, S.AUTHORISED_AT_HOOK}
"""States that the platform names and that no step of our table enters."""

PAYMENT_STEPS: dict[PaymentStatus, set[PaymentStatus]] = {
    state: {after for (before, _), after in PAYMENT_TRANSITIONS.items() if before is state} for state in S
}


def reachable(start: State, steps: Mapping[State, Iterable[State]], *, without: Iterable[State] = ()) -> set[State]:
    seen: set[State] = set()
    ahead = [start]
    while ahead:
        state = ahead.pop()
        if state not in seen and state not in without:
            seen.add(state)
            ahead.extend(steps[state])
    return seen


# --- orders


def test_every_order_state_has_its_row_and_can_be_reached() -> None:
    assert set(ORDER_TRANSITIONS) == set(OrderStatus)
    assert reachable(OrderStatus.CREATED, ORDER_TRANSITIONS) == set(OrderStatus)


def test_a_refunded_or_cancelled_order_stays_so() -> None:
    final = {state for state, after in ORDER_TRANSITIONS.items() if not after}
    assert final == {OrderStatus.REFUNDED, OrderStatus.CANCELLED}


def test_a_completed_order_is_never_cancelled_and_a_cancelled_one_never_completed() -> None:
    completed = reachable(OrderStatus.COMPLETED, ORDER_TRANSITIONS)
    assert OrderStatus.CANCELLED not in completed
    assert OrderStatus.CREATED not in completed
    assert not may_become(OrderStatus.CANCELLED, OrderStatus.COMPLETED)


def test_no_order_is_refunded_before_it_was_complete() -> None:
    paid = {OrderStatus.COMPLETED, OrderStatus.VERIFIED}
    assert OrderStatus.REFUNDED not in reachable(OrderStatus.CREATED, ORDER_TRANSITIONS, without=paid)


# --- payments


def test_every_payment_state_can_be_reached() -> None:
    assert reachable(S.WAITING, PAYMENT_STEPS) == set(S) - NO_FLOW_YET


def test_what_is_over_stays_over() -> None:
    final = {state for state in set(S) - NO_FLOW_YET if not PAYMENT_STEPS[state]}
    assert final == {S.CONFIRMED, S.ABANDONED, S.REFUNDED}
    assert PAYMENT_STEPS[S.CAPTURED] == {S.REFUNDED}


def test_money_is_captured_only_through_a_claimed_attempt() -> None:
    before = {state for state in S if S.CAPTURED in PAYMENT_STEPS[state]}
    assert before == {S.PENDING, S.ACTION_REQUIRED, S.PSP_CAPTURE_WAITING}
    into_challenge = {state for (state, _), after in PAYMENT_TRANSITIONS.items() if after is S.ACTION_REQUIRED}
    assert into_challenge == {S.PENDING, S.ACTION_REQUIRED}, "a challenge belongs to an attempt that was claimed"
    claims = {S.PENDING: PaymentEvent.AUTHORISE, S.PSP_CAPTURE_WAITING: PaymentEvent.CAPTURE}
    assert S.CAPTURED not in reachable(S.WAITING, PAYMENT_STEPS, without=claims)
    for claimed, claim in claims.items():
        fresh = {state for (state, event), after in PAYMENT_TRANSITIONS.items() if after is claimed and event is claim}
        assert fresh, f"{claim} claims {claimed}"
        assert claimed not in fresh, "an attempt that is claimed cannot be claimed by a second caller"


def test_nothing_but_a_claim_starts_an_attempt() -> None:
    started = {event for (before, event), after in PAYMENT_TRANSITIONS.items() if after in OPEN and before not in OPEN}
    assert started == {PaymentEvent.AUTHORISE}


def test_a_second_attempt_starts_only_when_the_first_certainly_took_nothing() -> None:
    may_start = {before for before, event in PAYMENT_TRANSITIONS if event is PaymentEvent.AUTHORISE}
    assert may_start == {S.WAITING, S.REJECTED, S.ERROR}
    assert not may_start & (OPEN | PAID)


def test_no_payment_is_both_open_and_paid() -> None:
    assert not OPEN & PAID


@pytest.mark.parametrize("outcome", [Pending("psp"), Unknown("half an answer")], ids=["pending", "unknown"])
@pytest.mark.parametrize("state", S)
def test_what_is_not_understood_is_neither_a_failure_nor_a_success(state: PaymentStatus, outcome: Outcome) -> None:
    after = next_status(state, event_of(outcome))
    assert after in {None, state}, "the payment stays where it is until an inquiry settles it"


def test_only_a_providers_no_rejects_and_only_what_was_not_sent_is_an_error() -> None:
    causes = {
        failed: {event for (_, event), after in PAYMENT_TRANSITIONS.items() if after is failed}
        for failed in (S.REJECTED, S.ERROR)
    }
    assert causes == {S.REJECTED: {PaymentEvent.DECLINED}, S.ERROR: {PaymentEvent.NOT_SENT}}
    assert [outcome for outcome in OUTCOMES if event_of(outcome) is PaymentEvent.DECLINED] == [OUTCOMES[3]]
    assert [outcome for outcome in OUTCOMES if event_of(outcome) is PaymentEvent.NOT_SENT] == [OUTCOMES[7]]


def test_a_capture_that_was_not_sent_leaves_the_authorisation_standing() -> None:
    assert next_status(S.PSP_CAPTURE_WAITING, PaymentEvent.NOT_SENT) is S.PREAUTH


def test_only_money_that_was_captured_is_refunded() -> None:
    assert {before for (before, _), after in PAYMENT_TRANSITIONS.items() if after is S.REFUNDED} == {S.CAPTURED}


def test_a_captured_payment_is_deaf_to_every_later_answer() -> None:
    answers = {event_of(outcome) for outcome in OUTCOMES}
    assert {next_status(S.CAPTURED, event) for event in answers} == {None}


def test_an_operation_stays_open_until_its_answer_is_understood() -> None:
    open_outcomes = {type(outcome) for outcome in OUTCOMES if status_of(outcome) in OPEN_OPERATIONS}
    assert open_outcomes == {Pending, Unknown, ActionRequired}
    assert OperationStatus.STARTED in OPEN_OPERATIONS


def test_the_outcomes_tried_here_are_all_there_are() -> None:
    assert {type(outcome) for outcome in OUTCOMES} == set(Outcome.__args__)
