"""The generated sales are sales: what a plugin may trust about one, holds for each."""

from collections.abc import Callable
from typing import Any, get_type_hints

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from tillhook import CompletedOrder, Outside, Store, gtin14, read_epc
from tillhook.core.plugins.shapes import fits
from tillhook.core.roles.grammar import Kind, kind_of
from tillhook.core.testing.arguments import arguments_for
from tillhook.core.testing.outside import RecordingOutside
from tillhook.core.testing.strategies import refunds, sales
from tillhook.hookspecs import HOOKS

Sale = tuple[CompletedOrder, Store]
CALLED = [hook for hook in HOOKS if kind_of(HOOKS[hook]).kind is not Kind.OFFER]


@settings(deadline=None)
@given(sales())
def test_tenders_and_lines_sum_to_the_total(sale: Sale) -> None:
    order, store = sale
    on_top = 0 if order.tax.included else order.tax.total_tax
    assert sum(line.amount for line in order.lines) + on_top == order.total.minor >= 0
    assert sum(tender.amount.minor for tender in order.tenders) == order.total.minor
    assert {order.total.currency, *(tender.amount.currency for tender in order.tenders)} == {store.currency}


@settings(deadline=None)
@given(sales())
def test_codes_are_valid_and_tags_name_their_pieces(sale: Sale) -> None:
    for line in sale[0].lines:
        assert gtin14(line.barcode) == line.gtin
        assert line.epcs == () or len(line.epcs) == line.quantity
        assert {read_epc(epc).gtin for epc in line.epcs} <= {line.gtin}
    assert len(set(sale[0].epcs)) == len(sale[0].epcs)


@settings(deadline=None)
@given(st.data(), sales())
def test_a_refund_is_of_lines_of_its_order(data: st.DataObject, sale: Sale) -> None:
    refund = data.draw(refunds(sale[0]))
    assert {line.line_no for line in refund.lines} <= {line.line_no for line in sale[0].lines}
    assert refund.amount.minor == sum(line.amount for line in refund.lines)


@pytest.mark.parametrize(
    "happens",
    [
        lambda order: not order.total,
        lambda order: len(order.tenders) == 3,
        lambda order: order.epcs,
        lambda order: not order.tax.included,
        lambda order: len({line.tax_code for line in order.lines}) > 2,
        lambda order: any(line.discount for line in order.lines),
        lambda order: order.total.currency == "JPY",
        lambda order: order.total.currency == "KWD",
        lambda order: any(len(line.name) == 500 for line in order.lines),
        lambda order: order.business_day_date != order.completed_at.date(),
    ],
    ids=["nothing to pay", "split", "tagged", "tax on top", "mixed tax", "discount", "0 decimals", "3 decimals",
         "long name", "other day in the store"],
)  # fmt: skip
def test_sales_of_every_kind_are_generated(happens: Callable[[CompletedOrder], Any]) -> None:
    quickly = settings(deadline=None, max_examples=2000, database=None, phases=[Phase.generate])
    find(sales(), lambda sale: bool(happens(sale[0])), settings=quickly)


@pytest.mark.parametrize("hook", CALLED)
def test_there_are_arguments_of_the_right_type_for_every_hook(hook: str) -> None:
    hints = {name: hint for name, hint in get_type_hints(HOOKS[hook]).items() if name != "return"}

    @settings(deadline=None, max_examples=5)
    @given(st.data(), sales())
    def check(data: st.DataObject, sale: Sale) -> None:
        found = data.draw(arguments_for(hook, sale, RecordingOutside()))
        assert found.keys() == hints.keys()
        assert [name for name in found if hints[name] is not Outside and not fits(found[name], hints[name])] == []

    check()
