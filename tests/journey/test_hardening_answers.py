"""What a provider says late, twice, oddly or about something else: money is neither lost nor taken twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tillhook.core.domain.money import Money
from tillhook.core.domain.payment import (
    ActionRequired,
    Cancelled,
    Captured,
    Declined,
    NotSent,
    OperationStatus,
    Outcome,
    Pending,
    Refunded,
)
from tillhook.core.domain.problems import Problem
from tillhook.core.roles.outside import NotReached
from tillhook.core.services import ordering, resolving, settling
from tillhook.core.services.settling import load_case
from tillhook.core.storage import payments
from tillhook.core.storage.payments import Ledgered, operations_of
from tillhook.core.testing.shop import Till, TillShop
from tillhook_sandbox.ledger import Ledger

BANANAS = "9521234001010"
PRICE = Money(1800, "DKK")


@pytest.fixture
def till(shop: TillShop) -> Till:
    return shop("demo/DK").scan(BANANAS)


def not_reached(*_: Any) -> Outcome:
    raise NotReached("connection refused")


def operations(till: Till) -> tuple[Ledgered, ...]:
    platform = till.shop.platform
    payment = load_case(platform, till.order_id).payment
    return platform.db.read(lambda tx: operations_of(tx, payment.payment_id))


def captures(ledger: Ledger) -> int:
    return sum(charge.captures for charge in ledger.charges())


# --- an inquiry


def test_an_inquiry_that_does_not_reach_the_provider_says_nothing_about_the_charge(
    shop: TillShop, till: Till, ledger: Ledger, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert till.paid(token="tok_timeout").status == "PENDING"
    provider(shop, inquire=not_reached)
    shop.clock.advance(3600)
    shop.dispatcher.keep_house()
    assert till.order().payment.status == "PENDING", "the money was taken: nobody may be asked to pay again"
    with pytest.raises(Problem, match="payment_in_progress"):
        till.paid(token="tok_approve")
    monkeypatch.undo()
    shop.clock.advance(90_000)
    assert till.order().order_status == "COMPLETED"
    assert captures(ledger) == 1


def test_a_provider_that_knew_nothing_while_the_call_could_be_under_way_is_not_believed(
    shop: TillShop, till: Till, provider: Any
) -> None:
    till.paid(token="tok_timeout_before")

    def slow(*_: Any) -> Outcome:
        shop.clock.advance(60)
        return NotSent("never heard of it")

    provider(shop, inquire=slow)
    shop.clock.advance(1.5)  # payments.call_seconds is 2: the call itself may still arrive
    assert till.order().payment.status == "PENDING"


def test_reading_an_order_often_does_not_put_its_next_inquiry_off(shop: TillShop, till: Till) -> None:
    till.paid(token="tok_pending")
    gateway = shop.platform.host.shop(till.store).gateway
    asked: list[str] = []
    real = gateway.inquire

    def still_pending(request: Any, outside: Any) -> Outcome:
        asked.append(request.operation_id)
        return Pending("psp")

    gateway.inquire = still_pending  # type: ignore[method-assign]
    for _ in range(12):
        shop.clock.advance(1.1)
        till.order()
    gateway.inquire = real  # type: ignore[method-assign]
    assert len(asked) == 12
    [operation] = operations(till)
    assert operation.inquire_at is not None
    assert operation.inquire_at - shop.clock() <= timedelta(minutes=1), "the shopper has closed the app by now"


def test_a_payment_is_asked_about_where_it_was_begun_not_where_new_ones_go(
    shop: TillShop, till: Till, ledger: Ledger
) -> None:
    """The store type has moved to another gateway while a payment was open at the old one."""
    till.paid(token="tok_timeout")
    _begun_at(shop, "before")
    gateway = shop.platform.host.shop(till.store).gateway
    real = gateway.inquire
    gateway.inquire = lambda *_: NotSent("not one of mine")  # type: ignore[method-assign]
    shop.clock.advance(3600)
    shop.dispatcher.keep_house()
    assert till.order().payment.status == "PENDING"
    gateway.inquire = real  # type: ignore[method-assign]
    _begun_at(shop, "sandbox")  # the old plugin is enabled again
    shop.clock.advance(90_000)
    assert till.order().order_status == "COMPLETED"
    assert captures(ledger) == 1


def test_no_payment_begins_at_a_gateway_that_is_not_offered_any_more(shop: TillShop, till: Till) -> None:
    till.session()
    _begun_at(shop, "before")
    with pytest.raises(Problem, match="gateway_unavailable"):
        till.paid(token="tok_approve")
    assert till.order().payment.status == "WAITING"
    ordering.cancel(shop.platform, till.who, till.order_id, None)


def test_one_shop_that_is_out_of_order_does_not_keep_the_inquiries_of_others_waiting(
    shop: TillShop, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = shop("demo/DK").scan(BANANAS)
    broken.paid(token="tok_timeout")
    shop.clock.advance(1)
    till.paid(token="tok_timeout")
    monkeypatch.setattr(resolving, "BATCH", 1)
    real = resolving.load_case

    def out_of_order(platform: Any, order_id: str) -> Any:
        if order_id == broken.order_id:
            raise RuntimeError("its plugin is quarantined")
        return real(platform, order_id)

    monkeypatch.setattr(resolving, "load_case", out_of_order)
    shop.clock.advance(10)
    rounds = 0
    while shop.dispatcher.keep_house():
        rounds += 1
        assert rounds < 10, "the keeper runs in circles"
    assert load_case(shop.platform, till.order_id).order.status.value == "COMPLETED"


def _begun_at(shop: TillShop, gateway: str) -> None:
    shop.platform.db.write(lambda tx: tx.execute(sa.text("UPDATE payment SET gateway = :name"), {"name": gateway}))


# --- answers that come when nobody waits for them any more


def test_a_capture_that_is_told_after_it_was_given_up_completes_the_order(
    shop: TillShop, till: Till, ledger: Ledger, provider: Any
) -> None:
    gateway = shop.platform.host.shop(till.store).gateway
    real = gateway.authorise

    def very_slow(request: Any, outside: Any) -> Outcome:
        shop.clock.advance(60)  # far longer than any call should take
        assert till.order().payment.status == "ERROR", "the provider had never heard of it, and was believed"
        answer: Outcome = real(request, outside)
        return answer

    till.session()
    provider(shop, authorise=very_slow)
    assert till.paid(token="tok_approve").order_complete
    assert till.order().order_status == "COMPLETED"
    assert captures(ledger) == 1
    provider(shop, authorise=real)
    with pytest.raises(Problem, match="already_paid"):
        till.paid(token="tok_approve")


def test_a_capture_that_is_told_after_another_card_has_paid_is_shown_to_people(
    shop: TillShop, till: Till, ledger: Ledger, provider: Any
) -> None:
    gateway = shop.platform.host.shop(till.store).gateway
    real = gateway.authorise

    def very_slow(request: Any, outside: Any) -> Outcome:
        shop.clock.advance(60)
        assert till.order().payment.status == "ERROR"
        provider(shop, authorise=real)
        assert till.paid(token="tok_approve").order_complete
        answer: Outcome = real(request, outside)
        return answer

    till.session()
    provider(shop, authorise=very_slow)
    till.paid(token="tok_approve")
    assert captures(ledger) == 2, "what the framework could not prevent"
    assert till.order().transaction_id_poslog == "000001"
    [found] = shop.published("discrepancy_found")
    assert (found["kind"], found["reference"]) == ("unexpected_payment_answer", till.order_id)
    assert {entry.operation.status for entry in operations(till)} == {OperationStatus.SUCCEEDED}


def test_without_overruling_a_late_capture_is_lost(
    shop: TillShop, till: Till, ledger: Ledger, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_settle = payments.settle_operation

    def deaf(*arguments: Any, **more: Any) -> bool:
        more.pop("overruling", None)
        return real_settle(*arguments, **more)

    monkeypatch.setattr(settling, "settle_operation", deaf)
    real = shop.platform.host.shop(till.store).gateway.authorise

    def very_slow(request: Any, outside: Any) -> Outcome:
        shop.clock.advance(60)
        till.order()
        answer: Outcome = real(request, outside)
        return answer

    till.session()
    provider(shop, authorise=very_slow)
    assert till.paid(token="tok_approve").status == "ERROR"
    assert captures(ledger) == 1


def test_an_order_cancelled_before_its_late_capture_stays_cancelled_and_is_shown(
    shop: TillShop, till: Till, ledger: Ledger, provider: Any
) -> None:
    real = shop.platform.host.shop(till.store).gateway.authorise

    def very_slow(request: Any, outside: Any) -> Outcome:
        shop.clock.advance(60)
        till.order()
        ordering.cancel(shop.platform, till.who, till.order_id, None)
        answer: Outcome = real(request, outside)
        return answer

    till.session()
    provider(shop, authorise=very_slow)
    assert till.paid(token="tok_approve").order_status == "CANCELLED"
    assert captures(ledger) == 1
    assert [found["reference"] for found in shop.published("discrepancy_found")] == [till.order_id]


# --- answers that fit no question


@pytest.mark.parametrize("answer", [Refunded("psp", PRICE), ActionRequired("psp", "https://x.invalid/" + "y" * 3000)])
def test_an_answer_that_is_none_to_this_question_stays_open(
    shop: TillShop, till: Till, provider: Any, answer: Outcome
) -> None:
    till.paid(token="tok_timeout")
    provider(shop, inquire=lambda *_: answer)
    shop.clock.advance(10)
    assert till.order().payment.status == "PENDING"
    [entry] = operations(till)
    assert entry.operation.status is OperationStatus.UNKNOWN
    assert entry.inquire_at is not None


def test_a_payment_that_the_provider_cancelled_may_be_paid_again(shop: TillShop, till: Till, provider: Any) -> None:
    till.paid(token="tok_timeout_before")
    provider(shop, inquire=lambda *_: Cancelled("psp"))
    shop.clock.advance(10)
    assert till.order().payment.status == "REJECTED"
    assert till.paid(token="tok_approve").order_complete


def test_a_challenge_that_the_provider_suddenly_does_not_know_stays_open(
    shop: TillShop, till: Till, provider: Any
) -> None:
    till.paid(token="tok_3ds")
    provider(shop, inquire=lambda *_: NotSent("never heard of it"))
    shop.clock.advance(10)
    assert till.order().payment.status == "ACTION_REQUIRED"
    [entry] = operations(till)
    assert entry.inquire_at is not None, "somebody must go on asking"
    assert till.confirmed(result="ok").order_complete


def test_another_amount_than_was_asked_for_is_shown_once_and_stays_open(
    shop: TillShop, till: Till, provider: Any
) -> None:
    provider(shop, authorise=lambda *_: Captured("psp", Money(1799, "DKK")))
    provider(shop, inquire=lambda *_: Captured("psp", Money(1799, "DKK")))
    assert till.paid(token="tok_approve").status == "PENDING"
    for _ in range(3):
        shop.clock.advance(3600)
        shop.dispatcher.keep_house()
    assert till.order().order_status == "CREATED"
    [found] = shop.published("discrepancy_found")
    assert (found["expected"], "17.99" in found["found"]) == (str(PRICE), True)


@pytest.mark.parametrize(
    "answer",
    [
        Captured(None, PRICE),  # type: ignore[arg-type]
        Captured("psp", 1800),  # type: ignore[arg-type]
        Captured("psp\0", PRICE),
        Captured("p" * 201, PRICE),
        Declined(51),  # type: ignore[arg-type]
        "captured",
        None,
    ],
)
def test_a_malformed_answer_is_neither_a_failure_nor_a_success(
    shop: TillShop, till: Till, provider: Any, ledger: Ledger, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shop.platform.host.shop(till.store).gateway.authorise
    till.session()

    def garbled(request: Any, outside: Any) -> Any:
        real(request, outside)
        return answer

    provider(shop, authorise=garbled)
    assert till.paid(token="tok_approve").status == "PENDING"
    monkeypatch.undo()
    shop.clock.advance(10)
    assert till.order().order_status == "COMPLETED"
    assert captures(ledger) == 1


@pytest.mark.parametrize("more", [{"card_last4": "457100 0005"}, {"card_brand": "v" * 99}, {"card_brand": "vi\0sa"}])
def test_a_card_that_is_described_oddly_has_paid_all_the_same(
    shop: TillShop, till: Till, provider: Any, more: dict[str, str]
) -> None:
    provider(shop, authorise=lambda request, _: Captured("psp", request.amount, **more))
    assert till.paid(token="tok_approve").order_complete
    assert till.order().payment.status == "CAPTURED"


def test_a_decline_with_an_odd_text_is_a_decline(shop: TillShop, till: Till, provider: Any) -> None:
    provider(shop, authorise=lambda *_: Declined("x\0" * 400, "\0" * 3000))
    assert till.paid(token="tok_approve").status == "REJECTED"
