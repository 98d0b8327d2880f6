"""What every writer of receipts keeps: they fit the paper, show what was charged, and of a gift no price."""

from __future__ import annotations

from html import escape
from typing import ClassVar, Final

from hypothesis import strategies as st
from msgspec.structs import replace

from tillhook.core.domain.completed import CompletedOrder, PosLog
from tillhook.core.domain.money import Money
from tillhook.core.domain.receipt import Code, ItemRow, Pair, Receipt, ReceiptType, Row, Text
from tillhook.core.domain.receipt_render import columns, render_html, render_text
from tillhook.core.testing.contracts.plugin import PluginContract, Sale
from tillhook.core.testing.documents import shows_amount
from tillhook.core.testing.planted import PLANTED_CARD, shows_secret
from tillhook.core.testing.strategies import MARKUP, badly_named
from tillhook.core.testing.subject import Subject

PAPER: Final = (48, 42, 32)
"""Columns of the usual receipt printers."""
_UNLIKELY_PRICE: Final = 98_765_43
"""No date, number or quantity looks like this amount."""


class ReceiptContract(PluginContract):
    """For plugins that answer ``receipt_for`` or ``receipt_fields_for``::

    class TestSlips(ReceiptContract):
        plugin = Slips
        settings = {"footer": "Come again"}
    """

    proves: ClassVar[tuple[str, ...]] = ("receipt_for", "receipt_fields_for")

    def test_receipts_fit_the_paper(self, subject: Subject) -> None:
        self.needs(subject, "receipt_for", "receipt_fields_for")

        @self.for_any(self.any_sale(), st.sampled_from(ReceiptType))
        def check(sale: Sale, receipt_type: ReceiptType) -> None:
            for receipt in self.receipts(subject, sale, receipt_type):
                for width in PAPER:
                    lines = render_text(receipt, width).splitlines()
                    assert [line for line in lines if columns(line) > width] == []
                assert not shows_secret(render_html(receipt))

        check()

    def test_the_receipt_of_a_sale_shows_what_was_charged(self, subject: Subject) -> None:
        self.needs(subject, "receipt_for")

        @self.for_any(self.any_sale())
        def check(sale: Sale) -> None:
            order, store = self.numbered(subject, sale)
            receipt = self.ask(subject, "receipt_for", receipt_type=ReceiptType.ORDER, order=order, store=store)
            if receipt is not None:
                text = render_text(receipt, PAPER[0])
                assert shows_amount(PosLog("text/plain", text), order.total, minor=False), text

        check()

    def test_a_receipt_is_of_the_type_that_was_asked_for(self, subject: Subject) -> None:
        self.needs(subject, "receipt_for")

        @self.for_any(self.any_sale(), st.sampled_from(ReceiptType))
        def check(sale: Sale, receipt_type: ReceiptType) -> None:
            order, store = self.numbered(subject, sale)
            receipt = self.ask(subject, "receipt_for", receipt_type=receipt_type, order=order, store=store)
            if receipt is not None:
                assert receipt.receipt_type is receipt_type
                assert receipt.rows, "it has no rows"
                assert receipt.language, "it names no language"

        check()

    def test_a_receipt_for_a_gift_shows_no_price(self, subject: Subject) -> None:
        self.needs(subject, "receipt_for", "receipt_fields_for")

        @self.for_any(self.any_sale())
        def check(sale: Sale) -> None:
            order, store = sale
            priced = _dear(order)
            for receipt in self.receipts(subject, (priced, store), ReceiptType.GIFT):
                log = PosLog("text/plain", "\n".join(map(_words, receipt.rows)))
                currency = order.total.currency
                for minor in {_UNLIKELY_PRICE, *(line.amount for line in priced.lines), priced.total.minor}:
                    assert not shows_amount(log, Money(minor, currency)), f"it shows {minor} {currency}"

        check()

    def test_names_stand_on_the_receipt_as_they_are(self, subject: Subject) -> None:
        """Escaping is the work of whoever makes HTML of a receipt; a plugin that escapes prints ``&amp;`` on paper."""
        self.needs(subject, "receipt_for", "receipt_fields_for")

        @self.for_any(self.any_sale(), st.sampled_from(ReceiptType))
        def check(sale: Sale, receipt_type: ReceiptType) -> None:
            for receipt in self.receipts(subject, badly_named(sale), receipt_type):
                written = " ".join(map(_words, receipt.rows))
                assert escape(MARKUP) not in written, "a name was escaped"
                assert escape(MARKUP, quote=False) not in written, "a name was escaped"
                assert "<b>" not in render_html(receipt), "a name is markup in the page"

        check()

    def test_no_receipt_shows_a_whole_card_number(self, subject: Subject) -> None:
        """Also where a provider sends more of it than the last four digits."""
        self.needs(subject, "receipt_for", "receipt_fields_for")

        @self.for_any(self.any_sale(), st.sampled_from(ReceiptType))
        def check(sale: Sale, receipt_type: ReceiptType) -> None:
            order, store = sale
            paid = tuple(replace(tender, card_last4=PLANTED_CARD) for tender in order.tenders)
            self.receipts(subject, (replace(order, tenders=paid), store), receipt_type)

        check()

    def test_the_same_sale_gives_the_same_receipt(self, subject: Subject) -> None:
        self.needs(subject, "receipt_for", "receipt_fields_for")

        @self.for_any(self.any_sale(), st.sampled_from(ReceiptType))
        def check(sale: Sale, receipt_type: ReceiptType) -> None:
            first = self.receipts(subject, sale, receipt_type)
            assert self.receipts(subject, sale, receipt_type) == first

        check()

    # --- words of this suite

    def receipts(self, subject: Subject, sale: Sale, receipt_type: ReceiptType) -> list[Receipt]:
        """The plugin's receipt of a type, and one of only the rows that it adds to others' receipts."""
        order, store = self.numbered(subject, sale)
        arguments = {"receipt_type": receipt_type, "order": order, "store": store}
        found: list[Receipt] = []
        if "receipt_for" in subject.hooks:
            receipt = self.ask(subject, "receipt_for", **arguments)
            found += [] if receipt is None else [receipt]
        if "receipt_fields_for" in subject.hooks:
            rows = self.ask(subject, "receipt_fields_for", **arguments)
            found.append(Receipt(receipt_type, "Receipt", "en", tuple(rows)))
        return found


def _dear(order: CompletedOrder) -> CompletedOrder:
    """The sale at prices that nothing else on a receipt looks like."""
    lines = tuple(replace(line, unit_price=_UNLIKELY_PRICE, discount=0, promotions=()) for line in order.lines)
    total = Money(sum(line.amount for line in lines), order.total.currency)
    tenders = (replace(order.tenders[0], amount=total),) if order.tenders else ()
    return replace(order, lines=lines, total=total, tenders=tenders)


def _words(row: Row) -> str:
    match row:
        case Text(text):
            return text
        case Pair(left, right):
            return f"{left} {right}"
        case ItemRow(name, detail, amount):
            return f"{name} {detail} {amount}"
        case Code(value):
            return value
    return ""
