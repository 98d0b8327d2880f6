"""The decisions of a basket, one by one."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from tests.domain.goods import NOW, empty_basket, epc, item
from tillhook.core.domain.basket import (
    MAX_QUANTITY,
    Basket,
    BasketStatus,
    ChangeKind,
    Discount,
    PriceModification,
    add_item,
    apply_discounts,
    change_quantity,
    must_be_open,
    remove_line,
)
from tillhook.core.domain.money import Money
from tillhook.core.domain.problems import Problem


def filled() -> Basket:
    """Line 1: two of item 1 at 2.50; line 2: the tagged pieces 1 and 2 of item 2 at 10.00."""
    basket, _ = add_item(empty_basket(), item(1, 250), 2)
    basket, _ = add_item(basket, item(2, 1000), 1, epc=epc(1))
    basket, _ = add_item(basket, item(2, 1000), 1, epc=epc(2))
    return basket


def refusal(code: str, decide: Callable[[], Any]) -> Problem:
    with pytest.raises(Problem) as refused:
        decide()
    assert refused.value.code == code
    return refused.value


def test_a_scan_puts_the_item_on_a_line_and_writes_an_audit_row() -> None:
    basket, rows = add_item(empty_basket(), item(1, 250), 2)
    assert [(line.line_no, line.quantity, line.amount) for line in basket.lines] == [(1, 2, 500)]
    assert rows == (PriceModification(1, ChangeKind.SCAN, 1, 500, 500, "2 x Item 1"),)
    assert basket.total == Money(500, "EUR")


def test_the_same_item_at_the_same_price_joins_its_line() -> None:
    basket, _ = add_item(empty_basket(), item(1, 250), 2)
    basket, rows = add_item(basket, item(1, 250), 1)
    assert [(line.line_no, line.quantity) for line in basket.lines] == [(1, 3)]
    assert (rows[0].amount, rows[0].total) == (250, 750)


def test_a_price_that_changed_since_the_last_scan_takes_a_new_line() -> None:
    basket, _ = add_item(empty_basket(), item(1, 250), 1)
    basket, _ = add_item(basket, item(1, 199), 1)
    assert [(line.line_no, line.unit_price) for line in basket.lines] == [(1, 250), (2, 199)]


def test_a_price_in_the_code_goes_before_the_price_of_the_item() -> None:
    basket, _ = add_item(empty_basket(), item(1, 250), 1, unit_price=Money(173, "EUR"))
    assert basket.total == Money(173, "EUR")


def test_tagged_and_untagged_pieces_of_an_item_stand_on_different_lines() -> None:
    basket, _ = add_item(empty_basket(), item(2, 1000), 1, epc=epc(1))
    basket, _ = add_item(basket, item(2, 1000), 3)
    assert [(line.quantity, line.epcs) for line in basket.lines] == [(1, (epc(1),)), (3, ())]


def test_the_same_tagged_piece_counts_once() -> None:
    refusal("epc_already_in_basket", lambda: add_item(filled(), item(2, 1000), 1, epc=epc(1)))
    refusal("epc_already_in_basket", lambda: add_item(filled(), item(2, 900), 1, epc=epc(1)))


@pytest.mark.parametrize("quantity", [-1, 0, 2])
def test_a_tag_names_exactly_one_piece(quantity: int) -> None:
    refusal("quantity_invalid", lambda: add_item(empty_basket(), item(2), quantity, epc=epc(1)))


@pytest.mark.parametrize("quantity", [0, -1, MAX_QUANTITY + 1])
def test_an_impossible_quantity_is_refused(quantity: int) -> None:
    refusal("quantity_invalid", lambda: add_item(empty_basket(), item(1), quantity))
    refusal("quantity_invalid", lambda: change_quantity(filled(), 1, quantity))


def test_an_items_own_limit_counts_all_of_its_lines() -> None:
    basket, _ = add_item(empty_basket(), item(1, 250, limit=3), 2)
    basket, _ = add_item(basket, item(1, 199, limit=3), 1)
    assert refusal("quantity_invalid", lambda: add_item(basket, item(1, 199, limit=3), 1)).facts == {"maximum": 3}
    refusal("quantity_invalid", lambda: change_quantity(basket, 1, 3))
    basket, _ = change_quantity(basket, 1, 1)
    add_item(basket, item(1, 199, limit=3), 1)


def test_a_blocked_item_is_not_for_sale() -> None:
    problem = refusal("item_not_for_sale", lambda: add_item(empty_basket(), item(1, blocked="recalled"), 1))
    assert "recalled" in problem.detail


def test_a_price_in_another_currency_is_refused() -> None:
    refusal("wrong_currency", lambda: add_item(empty_basket(), item(1, currency="SEK"), 1))
    refusal("wrong_currency", lambda: add_item(empty_basket(), item(1), 1, unit_price=Money(1, "SEK")))


def test_a_price_below_zero_is_a_defect_of_whoever_named_it() -> None:
    with pytest.raises(ValueError, match="prices are not negative"):
        add_item(empty_basket(), item(1), 1, unit_price=Money(-1, "EUR"))


def test_a_full_basket_takes_more_of_what_it_has_but_no_new_line() -> None:
    basket, _ = add_item(empty_basket(), item(1), 1, max_lines=1)
    add_item(basket, item(1), 1, max_lines=1)
    refusal("basket_full", lambda: add_item(basket, item(2), 1, max_lines=1))


def test_tagged_pieces_are_removed_one_by_one() -> None:
    refusal("quantity_invalid", lambda: change_quantity(filled(), 2, 1))
    basket, rows = remove_line(filled(), 2, epc=epc(1))
    assert basket.line(2).epcs == (epc(2),)
    assert (basket.line(2).quantity, rows[0].amount) == (1, -1000)
    basket, rows = remove_line(basket, 2, epc=epc(2))
    assert [line.line_no for line in basket.lines] == [1]
    assert (rows[0].amount, rows[0].total) == (-1000, 500)


def test_a_line_is_removed_whole_with_its_tags_and_its_discount() -> None:
    basket, _ = apply_discounts(filled(), {2: Discount(300, ("ten percent",))})
    basket, rows = remove_line(basket, 2)
    assert (rows[0].amount, rows[0].total) == (-1700, 500)
    add_item(basket, item(2, 1000), 1, epc=epc(1))


def test_a_line_number_is_never_given_again() -> None:
    basket, _ = remove_line(filled(), 2)
    basket, _ = add_item(basket, item(3), 1)
    assert [line.line_no for line in basket.lines] == [1, 3]


def test_what_is_not_in_the_basket_cannot_be_changed() -> None:
    refusal("line_not_found", lambda: change_quantity(filled(), 9, 1))
    refusal("line_not_found", lambda: remove_line(filled(), 9))
    refusal("line_not_found", lambda: remove_line(filled(), 2, epc=epc(9)))
    refusal("line_not_found", lambda: remove_line(filled(), 1, epc=epc(1)))


def test_discounts_replace_the_ones_before_and_only_changes_are_written_down() -> None:
    basket, rows = apply_discounts(filled(), {1: Discount(100, ("two for 4",))})
    assert [(row.line_no, row.amount, row.reason) for row in rows] == [(1, -100, "two for 4")]
    assert apply_discounts(basket, {1: Discount(100, ("two for 4",))}) == (basket, ())
    basket, rows = apply_discounts(basket, {2: Discount(1, ("cent",))})
    assert [(row.line_no, row.amount, row.total) for row in rows] == [(1, 100, 2500), (2, -1, 2499)]
    assert basket.line(1).promotions == ()


@pytest.mark.parametrize(("line_no", "amount"), [(1, 501), (1, -1), (7, 1)])
def test_a_discount_that_fits_no_line_is_a_defect_of_its_engine(line_no: int, amount: int) -> None:
    with pytest.raises(ValueError, match=f"{line_no}"):
        apply_discounts(filled(), {line_no: Discount(amount, ("odd",))})


def test_a_discount_never_outlives_the_goods_it_was_given_for() -> None:
    basket, _ = apply_discounts(filled(), {1: Discount(500, ("free",))})
    basket, rows = change_quantity(basket, 1, 1)
    assert (basket.line(1).amount, rows[0].amount) == (0, 0)


def test_a_basket_can_be_changed_until_it_expires_or_is_ordered() -> None:
    basket = empty_basket()
    must_be_open(basket, NOW)
    must_be_open(basket, basket.expires_at - timedelta(microseconds=1))
    refusal("basket_expired", lambda: must_be_open(basket, basket.expires_at))
    refusal("basket_expired", lambda: must_be_open(replace(basket, status=BasketStatus.EXPIRED), NOW))
    refusal("basket_ordered", lambda: must_be_open(replace(basket, status=BasketStatus.ORDERED), NOW))
