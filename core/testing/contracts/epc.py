"""What every plugin for tagged goods keeps: it names exactly the pieces, each once, and calls nobody without need."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Final

import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from tillhook.core.domain.completed import CompletedOrder
from tillhook.core.domain.epc import read_epc
from tillhook.core.domain.problems import Problem
from tillhook.core.domain.store import Store
from tillhook.core.testing.contracts.plugin import PluginContract, Sale
from tillhook.core.testing.strategies import refunds, sales, tagged_lines
from tillhook.core.testing.subject import Subject
from tillhook.core.testing.troubles import Line

MANY: Final = 500
"""Tags of a large order."""
_WRITTEN: Final = re.compile(
    r"urn:epc:id:sgtin:[0-9]+\.[0-9]+\.[^\s\"'<>,;&\]\\]+|(?<![0-9A-Fa-f])[0-9A-Fa-f]{24}(?![0-9A-Fa-f])", re.IGNORECASE
)


class EpcContract(PluginContract):
    """For plugins that answer ``mark_epcs_sold`` or ``mark_epcs_unsold``::

    class TestGates(EpcContract):
        plugin = Gates
        settings = {"url": "https://gates.example/v1", "api_key": "env:GATES_KEY"}
    """

    proves: ClassVar[tuple[str, ...]] = ("mark_epcs_sold", "mark_epcs_unsold")
    most_calls: ClassVar[int | None] = None
    """For an order with 500 tags; None: as many as it likes."""

    def epcs_in(self, text: str) -> Sequence[str]:
        """The tags that a call (address and body) or a message names, as SGTIN URIs, in any order.

        Understood are SGTIN URIs and 24 hexadecimal digits; override it for a vendor who writes them otherwise.
        """
        found = (_uri(match) for match in _WRITTEN.findall(text))
        return [uri for uri in found if uri]

    # --- sold

    def test_every_piece_of_the_order_is_named_once_and_no_other(self, subject: Subject) -> None:
        self.needs(subject, "mark_epcs_sold")

        @self.for_any(self.tagged_sale(st.integers(1, 12)))
        def check(sale: Sale) -> None:
            order, store = self.numbered(subject, sale)
            line = self.sold(subject, order, store)
            assert self.named(line) == sorted(order.epcs)

        check()

    def test_an_order_without_tags_calls_nobody(self, subject: Subject) -> None:
        self.needs(subject, "mark_epcs_sold")

        @self.for_any(self.tagged_sale(st.just(0)))
        def check(sale: Sale) -> None:
            order, store = self.numbered(subject, sale)
            assert self.sold(subject, order, store).said == []

        check()

    def test_a_large_order_is_named_whole_in_few_calls(self, subject: Subject) -> None:
        self.needs(subject, "mark_epcs_sold")

        @self.for_any(self.tagged_sale(st.just(MANY)), share=10)
        def check(sale: Sale) -> None:
            order, store = self.numbered(subject, sale)
            line = self.sold(subject, order, store)
            assert self.named(line) == sorted(order.epcs)
            made = len(line.said)
            assert self.most_calls is None or made <= self.most_calls, f"{made} calls for {MANY} tags"

        check()

    # --- back in the store

    def test_only_the_pieces_of_the_refund_are_named(self, subject: Subject) -> None:
        self.needs(subject, "mark_epcs_unsold")

        @self.for_any(self.tagged_sale(st.integers(2, 12)), st.data())
        def check(sale: Sale, data: st.DataObject) -> None:
            order, store = self.numbered(subject, sale)
            refund = data.draw(refunds(order))
            line = self.line()
            self.ask(subject, "mark_epcs_unsold", refund=refund, order=order, store=store, outside=line)
            assert self.named(line) == sorted(epc for at in refund.lines for epc in at.epcs)

        check()

    def test_a_refund_without_tags_calls_nobody(self, subject: Subject) -> None:
        self.needs(subject, "mark_epcs_unsold")

        @self.for_any(self.tagged_sale(st.integers(1, 12)), st.data())
        def check(sale: Sale, data: st.DataObject) -> None:
            order, store = self.numbered(subject, sale)
            refund = data.draw(refunds(order))
            untagged = replace(refund, lines=tuple(replace(at, epcs=()) for at in refund.lines))
            line = self.line()
            self.ask(subject, "mark_epcs_unsold", refund=untagged, order=order, store=store, outside=line)
            assert line.said == []

        check()

    def test_sold_and_back_are_told_apart(self, subject: Subject) -> None:
        if not set(self.proves) <= set(subject.hooks):
            pytest.skip("it does not implement mark_epcs_sold and mark_epcs_unsold")

        @self.for_any(self.tagged_sale(st.just(1)), st.data())
        def check(sale: Sale, data: st.DataObject) -> None:
            order, store = self.numbered(subject, sale)
            refund = data.draw(refunds(order))
            back = self.line()
            self.ask(subject, "mark_epcs_unsold", refund=refund, order=order, store=store, outside=back)
            assert self.sold(subject, order, store).effects != back.effects, "nobody can tell which of them it was"

        check()

    # --- words of this suite

    def tagged_sale(self, pieces: st.SearchStrategy[int]) -> st.SearchStrategy[Sale]:
        """Sales with so many tags."""
        return sales(self.currencies, pieces.flatmap(tagged_lines))

    def sold(self, subject: Subject, order: CompletedOrder, store: Store) -> Line:
        """The line after the order's pieces were marked as sold."""
        line = self.line()
        self.ask(subject, "mark_epcs_sold", order=order, store=store, outside=line)
        return line

    def named(self, line: Line) -> list[str]:
        """Every tag that was named, as often as it was, in order."""
        return sorted(epc for text in line.said for epc in self.epcs_in(text))


def _uri(text: str) -> str:
    """Empty for what only looks like a tag."""
    try:
        return read_epc(text).uri
    except Problem:
        return ""
