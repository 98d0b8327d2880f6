"""Every way in which a payment can end, and that what is not known is neither failed nor done."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tillhook.core.domain.problems import Problem
from tillhook.core.services import ordering
from tillhook.core.storage.idempotency import Once
from tillhook.core.testing.shop import Till, TillShop
from tillhook_sandbox.ledger import Ledger

BANANAS = "9521234001010"


@pytest.fixture
def till(shop: TillShop) -> Till:
    return shop("demo/DK").scan(BANANAS)


def test_an_approved_payment_completes_the_order(till: Till, ledger: Ledger) -> None:
    view = till.paid(token="tok_approve")
    assert (view.status, view.order_complete) == ("CAPTURED", True)
    assert [charge.captures for charge in ledger.charges()] == [1]


def test_a_declined_payment_says_why_and_may_be_tried_again(till: Till, ledger: Ledger) -> None:
    view = till.paid(token="tok_decline_insufficient_funds")
    assert view.status == "REJECTED"
    assert "insufficient_funds" in view.error_message
    assert not ledger.charges()
    assert till.paid(token="tok_approve").order_complete


def test_three_d_secure_asks_the_shopper_and_goes_on_after_the_confirmation(till: Till, ledger: Ledger) -> None:
    view = till.paid(token="tok_3ds")
    assert view.status == "ACTION_REQUIRED"
    assert view.action is not None
    assert not ledger.charges()
    done = till.confirmed(result="ok")
    assert done.order_complete
    assert [charge.captures for charge in ledger.charges()] == [1]


def test_a_failed_three_d_secure_is_a_decline(till: Till, ledger: Ledger) -> None:
    till.paid(token="tok_3ds")
    assert till.confirmed(result="failed").status == "REJECTED"
    assert not ledger.charges()


def test_confirming_twice_is_refused_the_second_time(till: Till) -> None:
    till.paid(token="tok_3ds")
    till.confirmed(result="ok")
    with pytest.raises(Problem, match="payment_not_confirmable"):
        till.confirmed(result="ok")


def test_a_timeout_after_the_charge_is_unknown_then_resolved_by_reading_the_order(
    shop: TillShop, till: Till, ledger: Ledger
) -> None:
    assert till.paid(token="tok_timeout").status == "PENDING"
    assert [charge.captures for charge in ledger.charges()] == [1]
    with pytest.raises(Problem, match="payment_in_progress"):
        till.paid(token="tok_approve")
    shop.clock.advance(3)
    order = till.order()
    assert order.order_status == "COMPLETED"
    assert [charge.captures for charge in ledger.charges()] == [1]


def test_a_timeout_after_the_charge_is_resolved_on_schedule_without_anybody_reading(
    shop: TillShop, till: Till, ledger: Ledger
) -> None:
    till.paid(token="tok_timeout")
    assert shop.dispatcher.keep_house() == 0, "too early to ask"
    shop.clock.advance(6)
    assert shop.dispatcher.keep_house() == 1
    assert till.order().order_status == "COMPLETED"
    assert [charge.captures for charge in ledger.charges()] == [1]


def test_a_timeout_before_the_charge_lets_the_shopper_pay_again_once_it_is_certain(
    shop: TillShop, till: Till, ledger: Ledger
) -> None:
    assert till.paid(token="tok_timeout_before").status == "PENDING"
    shop.clock.advance(1)
    assert till.order().payment.status == "PENDING", "the provider may not know it yet"
    shop.clock.advance(5)
    assert till.order().payment.status == "ERROR"
    assert till.paid(token="tok_approve").order_complete
    assert [charge.captures for charge in ledger.charges()] == [1]


def test_half_an_answer_is_unknown(till: Till) -> None:
    assert till.paid(token="tok_garbled").status == "PENDING"


def test_a_pending_payment_completes_when_the_provider_says_so(shop: TillShop, till: Till) -> None:
    assert till.paid(token="tok_pending").status == "PENDING"
    for _ in range(3):
        shop.clock.advance(20)
        shop.dispatcher.keep_house()
    assert till.order().order_status == "COMPLETED"


def test_a_provider_that_is_certainly_not_reached_charges_nothing_and_can_be_tried_again(
    till: Till, ledger: Ledger
) -> None:
    with pytest.raises(Problem, match="gateway_unavailable"):
        till.paid(token="tok_unreachable")
    assert not ledger.charges()
    assert till.paid(token="tok_approve").order_complete


def test_authorising_first_then_capturing_takes_the_money_once(
    open_shop: Callable[..., TillShop], ledger: Ledger
) -> None:
    shop = open_shop('\n["demo/DK".sandbox]\nseparate_capture = true\n')
    till = shop("demo/DK").scan(BANANAS)
    assert till.paid(token="tok_approve").order_complete
    assert [charge.captures for charge in ledger.charges()] == [1]


def test_a_paid_order_is_not_charged_again(till: Till, ledger: Ledger) -> None:
    till.pay(token="tok_approve")
    with pytest.raises(Problem, match="already_paid"):
        till.paid(token="tok_approve")
    with pytest.raises(Problem, match="already_paid"):
        till.session()
    assert [charge.captures for charge in ledger.charges()] == [1]


def test_the_same_request_with_the_same_key_gets_the_same_answer(till: Till, ledger: Ledger) -> None:
    till.session()
    once = Once("me", "key-1", "fingerprint")
    first = till.paid(once=once, token="tok_approve")
    again = till.paid(once=once, token="tok_approve")
    assert first == again
    assert [charge.captures for charge in ledger.charges()] == [1]


def test_the_same_key_with_another_request_is_refused(till: Till) -> None:
    till.session()
    till.paid(once=Once("me", "key-1", "fingerprint"), token="tok_approve")
    with pytest.raises(Problem, match="idempotency_key_reused"):
        till.paid(once=Once("me", "key-1", "another"), token="tok_approve")


def test_a_key_whose_request_never_reached_the_provider_can_be_used_again(till: Till, ledger: Ledger) -> None:
    till.session()
    once = Once("me", "key-1", "fingerprint")
    with pytest.raises(Problem, match="gateway_unavailable"):
        till.paid(once=once, token="tok_unreachable")
    assert till.paid(once=once, token="tok_approve").order_complete


def test_an_open_payment_keeps_the_order_from_being_cancelled(shop: TillShop, till: Till) -> None:
    till.paid(token="tok_timeout")
    with pytest.raises(Problem, match="order_not_cancellable"):
        ordering.cancel(shop.platform, till.who, till.order_id, None)


def test_a_cancelled_order_gives_the_basket_back_and_cannot_be_paid(shop: TillShop, till: Till) -> None:
    till.session()
    ordering.cancel(shop.platform, till.who, till.order_id, None)
    with pytest.raises(Problem, match="order_not_payable"):
        till.paid(token="tok_approve")
    first = till.order_id
    till.session_id = ""
    till.scan(BANANAS)
    till.ordered()
    assert till.order_id != first
    assert till.paid(token="tok_approve").order_complete


def test_a_free_basket_is_completed_without_any_provider(shop: TillShop, ledger: Ledger) -> None:
    till = shop("demo/DK").scan(_free_item(shop))
    view = till.session()
    assert (view.by_pass_payment, view.order_complete) == (True, True)
    assert till.order().payment.status == "CONFIRMED"
    assert till.order().payment_status == "CAPTURED_DEMO_MODE", "the store is a demonstration, whatever is charged"
    assert not ledger.charges()


def _free_item(shop: TillShop) -> str:
    from tillhook.core.domain.money import Money
    from tillhook.core.domain.store import Item
    from tillhook.core.storage.items import upsert_items

    item = Item("itm_free", "demo_dk", "09521234999997", "9521234999997", "Sample", Money(0, "DKK"), "standard")
    shop.platform.db.write(lambda tx: upsert_items(tx, [(item, "hash")]))
    return "9521234999997"


def test_a_shopper_who_passes_three_d_secure_and_closes_the_app_is_not_forgotten(
    shop: TillShop, till: Till, ledger: Ledger
) -> None:
    till.paid(token="tok_3ds")
    shop.clock.advance(10)
    shop.dispatcher.keep_house()
    assert till.order().payment.status == "ACTION_REQUIRED", "still with the shopper"
    assert till.confirmed(result="ok").order_complete
    shop.clock.advance(100)
    assert shop.dispatcher.keep_house() == 0, "nothing is open any more"
    assert [charge.captures for charge in ledger.charges()] == [1]


def test_after_a_failed_three_d_secure_another_card_can_pay(till: Till, ledger: Ledger) -> None:
    till.paid(token="tok_3ds")
    assert till.confirmed(result="failed").status == "REJECTED"
    assert till.paid(token="tok_approve").order_complete
    assert [charge.captures for charge in ledger.charges()] == [1]
