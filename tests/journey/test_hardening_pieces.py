"""One tagged piece in the baskets of several shoppers is paid for once."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tests.journey.test_hardening_answers import captures
from tests.journey.together import at_once, codes
from tillhook.core.domain.problems import Problem
from tillhook.core.services import ordering, paying
from tillhook.core.testing.shop import Till, TillShop
from tillhook_demo import epcs
from tillhook_sandbox.ledger import Ledger


def both_ordered(shop: TillShop, shoppers: int = 2) -> list[Till]:
    tag = epcs(1)[0]
    tills = [shop("demo/SE").scan(epc=tag) for _ in range(shoppers)]
    for till in tills:
        till.session()
    return tills


def test_a_tagged_piece_in_two_baskets_is_paid_for_once(shop: TillShop, ledger: Ledger) -> None:
    first, second = both_ordered(shop)
    first.pay(token="tok_approve")
    with pytest.raises(Problem, match="epc_already_sold"):
        second.paid(token="tok_approve")
    assert captures(ledger) == 1
    assert second.order().payment.status == "WAITING"
    ordering.cancel(shop.platform, second.who, second.order_id, None)


def test_while_one_payment_of_a_piece_is_open_nobody_else_pays_for_it(shop: TillShop, ledger: Ledger) -> None:
    first, second = both_ordered(shop)
    assert first.paid(token="tok_timeout").status == "PENDING"
    with pytest.raises(Problem, match="epc_already_sold"):
        second.paid(token="tok_approve")
    shop.clock.advance(10)
    assert first.order().order_status == "COMPLETED"
    assert captures(ledger) == 1


@pytest.mark.parametrize("token", ["tok_decline", "tok_unreachable"])
def test_a_payment_that_failed_lets_go_of_the_piece(shop: TillShop, token: str) -> None:
    first, second = both_ordered(shop)
    with suppress(Problem):  # it says that the provider was not reached
        first.paid(token=token)
    assert first.order().payment.status in {"REJECTED", "ERROR"}
    assert second.paid(token="tok_approve").order_complete
    with pytest.raises(Problem, match="epc_already_sold"):
        first.paid(token="tok_approve")


def test_eight_shoppers_with_the_same_piece_pay_for_it_once(shop: TillShop, ledger: Ledger) -> None:
    tills = both_ordered(shop, 8)
    results = at_once(lambda number: tills[number].paid(token="tok_approve"), callers=8)
    assert codes(results) == {"PaymentView", "epc_already_sold"}
    assert captures(ledger) == 1


def test_without_the_claim_of_the_piece_several_shoppers_pay_for_it_and_it_is_shown(
    shop: TillShop, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paying, "take_epcs", lambda *_: None)
    tills = both_ordered(shop)
    at_once(lambda number: tills[number].paid(token="tok_approve"), callers=2)
    assert captures(ledger) == 2
    assert [found["kind"] for found in shop.published("discrepancy_found")] == ["epc_paid_twice"]


def test_two_orders_with_the_same_pieces_the_other_way_round_do_not_lock_each_other_out(
    shop: TillShop, ledger: Ledger
) -> None:
    tags = epcs(6)
    tills = [shop("demo/SE"), shop("demo/SE")]
    for tag in tags:
        tills[0].scan(epc=tag)
    for tag in reversed(tags):
        tills[1].scan(epc=tag)
    for till in tills:
        till.session()
    results = at_once(lambda number: tills[number].paid(token="tok_approve"), callers=2)
    assert codes(results) == {"PaymentView", "epc_already_sold"}
    assert captures(ledger) == 1
