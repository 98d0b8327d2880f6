"""Whatever is done to a basket, in whatever order: the audit rows explain its total."""

from collections.abc import Callable

import hypothesis.strategies as st
import msgspec
from hypothesis import event, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.domain.goods import empty_basket, epc, item
from tillhook.core.domain.basket import (
    Basket,
    Changed,
    Discount,
    PriceModification,
    add_item,
    apply_discounts,
    change_quantity,
    remove_line,
)
from tillhook.core.domain.problems import Problem

MAX_LINES = 6
numbers = st.integers(1, 4)
prices = st.sampled_from([0, 1, 250, 999])
quantities = st.integers(-1, 8)


class ShoppersHands(RuleBasedStateMachine):
    """Scans, changes, removals and promotions, possible and impossible ones."""

    def __init__(self) -> None:
        super().__init__()
        self.basket: Basket = empty_basket()
        self.audit: list[PriceModification] = []
        self.line_numbers_seen: dict[int, str] = {}

    @rule(number=numbers, price=prices, quantity=quantities)
    def scan(self, number: int, price: int, quantity: int) -> None:
        goods = item(number, price, limit=number * 3)
        self.decide(lambda: add_item(self.basket, goods, quantity, max_lines=MAX_LINES))

    @rule(number=numbers, price=prices, tag=st.integers(1, 6))
    def scan_a_tag(self, number: int, price: int, tag: int) -> None:
        self.decide(lambda: add_item(self.basket, item(number, price), 1, epc=epc(tag), max_lines=MAX_LINES))

    @rule(data=st.data(), quantity=quantities)
    def change(self, data: st.DataObject, quantity: int) -> None:
        line_no = self.some_line(data)
        self.decide(lambda: change_quantity(self.basket, line_no, quantity))

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        line_no = self.some_line(data)
        self.decide(lambda: remove_line(self.basket, line_no))

    @rule(data=st.data())
    def remove_a_tag(self, data: st.DataObject) -> None:
        line_no = self.some_line(data)
        present = [tag for line in self.basket.lines if line.line_no == line_no for tag in line.epcs]
        tag = data.draw(st.sampled_from([*present, epc(1)]))
        self.decide(lambda: remove_line(self.basket, line_no, epc=tag))

    @rule(data=st.data())
    def promote(self, data: st.DataObject) -> None:
        discounts = {
            line.line_no: Discount(line.unit_price * line.quantity * quarters // 4, ("promotion",))
            for line in self.basket.lines
            if (quarters := data.draw(st.integers(-1, 4))) >= 0
        }
        self.decide(lambda: apply_discounts(self.basket, discounts))

    @rule(data=st.data(), too_much=st.integers(1, 10))
    def promote_beyond_the_price(self, data: st.DataObject, too_much: int) -> None:
        line_no = self.some_line(data)
        price = sum(line.unit_price * line.quantity for line in self.basket.lines if line.line_no == line_no)
        self.decide(lambda: apply_discounts(self.basket, {line_no: Discount(price + too_much, ("odd",))}))

    def some_line(self, data: st.DataObject) -> int:
        """A line's number: most often of one that is there."""
        return data.draw(
            st.sampled_from([*(line.line_no for line in self.basket.lines), 1, self.basket.last_line_no + 1])
        )

    def decide(self, decision: Callable[[], Changed]) -> None:
        """Take the decision as the core does: what fails changes nothing, what succeeds is kept with its audit rows."""
        before, written = self.basket, msgspec.json.encode(self.basket)
        try:
            after, rows = decision()
        except (Problem, ValueError) as refused:
            event(f"refused: {getattr(refused, 'code', 'ValueError')}")
            assert msgspec.json.encode(self.basket) == written
            return
        assert msgspec.json.encode(before) == written
        assert after.version == before.version, "the version counts what was saved, which is for the storage to say"
        assert after.last_line_no >= before.last_line_no
        assert after.last_sequence == before.last_sequence + len(rows)
        assert (after == before) == (not rows)
        self.basket = after
        self.audit.extend(rows)

    @invariant()
    def the_audit_rows_sum_to_the_total_and_so_do_the_lines(self) -> None:
        total = self.basket.total.minor
        assert sum(row.amount for row in self.audit) == total
        assert sum(line.amount for line in self.basket.lines) == total

    @invariant()
    def each_audit_row_holds_the_total_after_it(self) -> None:
        running = 0
        for row in self.audit:
            running += row.amount
            assert row.total == running >= 0

    @invariant()
    def audit_rows_are_numbered_without_a_gap(self) -> None:
        assert [row.sequence for row in self.audit] == list(range(1, self.basket.last_sequence + 1))

    @invariant()
    def no_line_is_empty_or_below_zero(self) -> None:
        for line in self.basket.lines:
            assert line.quantity >= 1
            assert line.amount >= 0
            assert line.discount >= 0

    @invariant()
    def a_line_number_names_one_item_for_ever(self) -> None:
        present = [line.line_no for line in self.basket.lines]
        assert present == sorted(set(present))
        for line in self.basket.lines:
            assert self.line_numbers_seen.setdefault(line.line_no, line.item_id) == line.item_id
        for gone in self.line_numbers_seen.keys() - set(present):
            self.line_numbers_seen[gone] = "gone"

    @invariant()
    def a_tagged_piece_is_in_the_basket_once_and_is_one_piece(self) -> None:
        tags = [tag for line in self.basket.lines for tag in line.epcs]
        assert len(tags) == len(set(tags))
        assert all(len(line.epcs) in {0, line.quantity} for line in self.basket.lines)

    @invariant()
    def the_limits_hold(self) -> None:
        assert len(self.basket.lines) <= MAX_LINES


TestShoppersHands = ShoppersHands.TestCase
TestShoppersHands.settings = settings(max_examples=150, stateful_step_count=40)
