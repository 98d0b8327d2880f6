"""What every loyalty plugin keeps: points are given once and never taken, coupons used up only where they helped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from tillhook.core.domain.basket import BasketLine
from tillhook.core.domain.completed import CompletedOrder
from tillhook.core.domain.store import Store
from tillhook.core.testing.contracts.plugin import PluginContract, Sale
from tillhook.core.testing.strategies import many_lines, sales
from tillhook.core.testing.subject import Subject
from tillhook.core.testing.troubles import Line

_HOOKS = ("update_loyalty", "redeem_coupons")


class LoyaltyContract(PluginContract):
    """For plugins that answer ``update_loyalty`` or ``redeem_coupons``::

    class TestStamps(LoyaltyContract):
        plugin = Stamps
        settings = {"url": "https://stamps.example/v1", "api_key": "env:STAMPS_KEY"}
        guests = ("",)
        programs = ("summer", "members")
    """

    proves: ClassVar[tuple[str, ...]] = _HOOKS
    guests: ClassVar[Sequence[str]] = ()
    """Customer ids of shoppers who take no part: their sales must call nobody."""
    programs: ClassVar[Sequence[str]] = ()
    """Promotions that it uses up, by the names that they have on the lines of an order; at least one."""

    def points_in(self, text: str) -> Sequence[float]:
        """The points that the body of a call, or a message, gives. Override it for a body that is not JSON.

        Understood is JSON in which a name with ``point`` in it stands before a number.
        """
        try:
            return list(_points(json.loads(text)))
        except ValueError:
            return []

    def balance(self, subject: Subject, line: Line, order: CompletedOrder, store: Store) -> int | None:
        """Override it to read the points that the customer of ``order`` has, from the plugin's own tables
        (``line.tables``) or from the simulator behind ``lend``; None: it cannot be read."""
        return None

    # --- points

    def test_points_are_never_negative(self, subject: Subject) -> None:
        self.needs(subject, "update_loyalty")

        @self.for_any(self.any_sale())
        def check(sale: Sale) -> None:
            order, store = self.numbered(subject, sale)
            given = self.points_of(self.done(subject, "update_loyalty", order, store))
            assert [points for points in given if points < 0] == []

        check()

    def test_an_order_gives_its_points_once_however_often_it_is_told(self, subject: Subject) -> None:
        self.needs(subject, "update_loyalty")

        @self.for_any(self.any_sale())
        def check(sale: Sale) -> None:
            order, store = self.numbered(subject, sale)
            line = self.done(subject, "update_loyalty", order, store)
            once = self.balance(subject, line, order, store)
            if once is None:
                keys = {at.idempotency_key for at in line.changing}
                assert len(keys) == len(line.changing), f"two calls of one order share a key: {keys}"
                return
            self.ask(subject, "update_loyalty", order=order, store=store, outside=line)
            assert self.balance(subject, line, order, store) == once, "points were given twice for one order"

        check()

    def test_a_guest_calls_nobody(self, subject: Subject) -> None:
        self.needs(subject, *_HOOKS)
        if not self.guests:
            pytest.skip("it does not declare guests")
        hooks = [hook for hook in _HOOKS if hook in subject.hooks]

        @self.for_any(self.any_sale(), st.sampled_from(tuple(self.guests)), st.sampled_from(hooks))
        def check(sale: Sale, guest: str, hook: str) -> None:
            order, store = self.numbered(subject, sale)
            line = self.done(subject, hook, replace(order, customer_id=guest), store)
            assert line.said == [], f"{hook} tells of the guest {guest!r}"

        check()

    # --- coupons

    def test_only_what_discounted_the_order_is_used_up(self, subject: Subject) -> None:
        self.needs(subject, "redeem_coupons")
        if not self.programs:
            pytest.skip("it does not declare programs")

        @self.for_any(st.sets(st.sampled_from(tuple(self.programs))), st.data())
        def check(used: set[str], data: st.DataObject) -> None:
            order, store = self.numbered(subject, data.draw(self.discounted_sale(used)))
            line = self.done(subject, "redeem_coupons", order, store)
            named = {name for name in self.programs if any(name in text for text in line.said)}
            assert named == used, f"the order was discounted by {sorted(used)}, used up are {sorted(named)}"
            assert used or line.said == [], "nothing discounted the order, and somebody is called"

        check()

    # --- words of this suite

    def discounted_sale(self, programs: set[str]) -> st.SearchStrategy[Sale]:
        """Sales of which each line was discounted by these promotions; by none, if there are none."""
        return sales(self.currencies, many_lines().map(partial(_discounted_by, programs)))

    def done(self, subject: Subject, hook: str, order: CompletedOrder, store: Store) -> Line:
        """The line after a duty was done for the order."""
        line = self.line()
        self.ask(subject, hook, order=order, store=store, outside=line)
        return line

    def points_of(self, line: Line) -> list[float]:
        bodies = (*(at.body for at in line.changing), *(at.value for at in line.messages))
        return [points for body in bodies for points in self.points_in(body.decode(errors="replace"))]


def _discounted_by(programs: set[str], lines: Sequence[BasketLine]) -> tuple[BasketLine, ...]:
    """The lines with these promotions on each, and no others; without any, nothing was taken off."""
    names = tuple(sorted(programs))
    return tuple(
        replace(at, unit_price=at.unit_price + 10, discount=10 if names else 0, promotions=names) for at in lines
    )


def _points(value: Any, name: str = "") -> Iterator[float]:
    match value:
        case dict():
            for key, at in value.items():
                yield from _points(at, key)
        case list():
            for at in value:
                yield from _points(at, name)
        case bool() | None:
            return
        case int() | float() if "point" in name.lower():
            yield value
