"""What every writer of transaction logs keeps: the numbers, the lines and the money of the sale, and of its refund."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from tillhook.core.domain.aftersale import Refund
from tillhook.core.domain.completed import CompletedOrder, PosLog
from tillhook.core.domain.store import Store
from tillhook.core.testing.contracts.plugin import PluginContract, Sale
from tillhook.core.testing.documents import (
    fault_in_form,
    names_line,
    negative_amounts,
    shows_amount,
    shows_number,
)
from tillhook.core.testing.planted import PLANTED_CARD, shows_secret
from tillhook.core.testing.schemas import faults_by_schema
from tillhook.core.testing.strategies import badly_named, order_of, refunds
from tillhook.core.testing.subject import Subject, build


class PosLogContract(PluginContract):
    """For plugins that answer ``transaction_id_for``, ``poslog_for`` or ``refund_poslog_for``::

    class TestAcme(PosLogContract):
        plugin = Acme
        settings = {"workstation_id": "900"}
        schema = Path(__file__).with_name("poslog.xsd")
    """

    proves: ClassVar[tuple[str, ...]] = ("transaction_id_for", "poslog_for", "refund_poslog_for")
    schema: ClassVar[Path | None] = None
    """The XML Schema of its documents; what it includes stands beside it. Needs ``tillhook[schema]``."""
    says_refund: ClassVar[Sequence[str]] = ("refund", "return", "credit")
    """Words of which one says, in the document of a refund, which way the money goes (small or capital letters)."""

    def tenders_of(self, document: PosLog) -> Sequence[int] | None:
        """Override it to read the minor units of each tender from a document; None: they are not checked."""
        return None

    # --- the transaction number

    def test_two_numbers_are_never_written_alike(self, subject: Subject) -> None:
        self.needs(subject, "transaction_id_for")

        @self.for_any(self.any_sale(), st.lists(st.integers(1, 9_999_999), min_size=2, max_size=50, unique=True))
        def check(sale: Sale, numbers: list[int]) -> None:
            order, store = order_of(sale[0]), sale[1]
            written = [self.ask(subject, "transaction_id_for", order=order, number=at, store=store) for at in numbers]
            if written != [None] * len(numbers):
                assert all(written)
                assert len(set(written)) == len(numbers)

        check()

    # --- the document of a sale

    def test_the_same_sale_gives_the_same_document(self, subject: Subject, tmp_path: Path) -> None:
        self.needs(subject, "poslog_for")
        other = Subject(build(self.plugin, self.settings, tmp_path))

        @self.for_any(self.any_sale())
        def check(sale: Sale) -> None:
            order, store = self.numbered(subject, sale)
            first = self.ask(subject, "poslog_for", order=order, store=store)
            assert self.ask(subject, "poslog_for", order=order, store=store) == first
            assert self.ask(other, "poslog_for", order=order, store=store) == first

        check()

    def test_the_document_shows_the_number_every_line_and_the_total(self, subject: Subject) -> None:
        def check(log: PosLog, order: CompletedOrder) -> None:
            number = order.transaction_id_poslog
            assert number in log.document or shows_number(log.document, order.transaction_number), f"no {number}"
            assert [line.gtin for line in order.lines if not names_line(log.document, line)] == []
            assert shows_amount(log, order.total), f"the total {order.total} does not appear"
            tenders = self.tenders_of(log)
            assert tenders is None or sum(tenders) == order.total.minor

        self.for_each_document(subject, check)

    def test_the_document_is_of_its_media_type_whatever_names_things_have(self, subject: Subject) -> None:
        """Names hold ``<``, ``&``, quotes and characters of any script."""

        def check(log: PosLog, _: CompletedOrder) -> None:
            fault = fault_in_form(log)
            assert not fault, f"it is not {log.media_type}: {fault}"

        self.for_each_document(subject, check)
        self.for_each_document(subject, check, badly=True)

    def test_the_document_is_valid_by_its_schema(self, subject: Subject) -> None:
        schema = self.schema
        if schema is None:
            pytest.skip("it does not declare a schema")

        def check(log: PosLog, _: CompletedOrder) -> None:
            assert faults_by_schema(log.document, schema) == []

        self.for_each_document(subject, check)

    def test_no_document_shows_a_whole_card_number(self, subject: Subject) -> None:
        """Also where a provider sends more of it than the last four digits."""
        self.needs(subject, "poslog_for")

        @self.for_any(self.any_sale())
        def check(sale: Sale) -> None:
            order, store = self.numbered(subject, sale)
            paid = tuple(replace(tender, card_last4=PLANTED_CARD) for tender in order.tenders)
            self.ask(subject, "poslog_for", order=replace(order, tenders=paid), store=store)

        check()

    # --- the document of a refund

    def test_the_same_refund_gives_the_same_document(self, subject: Subject) -> None:
        def check(log: PosLog, refund: Refund, order: CompletedOrder, store: Store) -> None:
            again = self.ask(subject, "refund_poslog_for", refund=refund, order=order, store=store)
            assert again == log

        self.for_each_refund(subject, check)

    def test_the_document_of_a_refund_says_so(self, subject: Subject) -> None:
        def check(log: PosLog, *_: Any) -> None:
            text = log.document.lower()
            assert any(word.lower() in text for word in self.says_refund), f"none of {', '.join(self.says_refund)}"

        self.for_each_refund(subject, check)

    def test_the_amounts_of_a_refund_are_positive(self, subject: Subject) -> None:
        def check(log: PosLog, refund: Refund, *_: Any) -> None:
            assert shows_amount(log, refund.amount), f"the amount {refund.amount} does not appear"
            assert negative_amounts(log) == [], "the kind of transaction says which way the money goes"

        self.for_each_refund(subject, check)

    def test_a_refund_refers_to_its_sale(self, subject: Subject) -> None:
        def check(log: PosLog, refund: Refund, order: CompletedOrder, _: Store) -> None:
            numbers = (order.transaction_id_poslog, order.order_id)
            assert any(number in log.document for number in numbers), f"none of {', '.join(numbers)}"
            own = (refund.transaction_id_poslog, refund.refund_id)
            assert any(number in log.document for number in own), f"none of its own numbers: {', '.join(own)}"

        self.for_each_refund(subject, check)

    def test_the_document_of_a_refund_is_of_its_media_type_and_schema(self, subject: Subject) -> None:
        schema = self.schema

        def check(log: PosLog, *_: Any) -> None:
            fault = fault_in_form(log)
            assert not fault, f"it is not {log.media_type}: {fault}"
            assert schema is None or faults_by_schema(log.document, schema) == []

        self.for_each_refund(subject, check)
        self.for_each_refund(subject, check, badly=True)

    # --- words of this suite

    def for_each_document(self, subject: Subject, check: Any, *, badly: bool = False) -> None:
        """``check(document, order)`` for the documents of generated sales; ``badly``: in which all names look like
        markup."""
        self.needs(subject, "poslog_for")
        sales = self.any_sale().map(badly_named) if badly else self.any_sale()

        @self.for_any(sales)
        def check_each(sale: Sale) -> None:
            order, store = self.numbered(subject, sale)
            log = self.ask(subject, "poslog_for", order=order, store=store)
            if log is not None:
                check(log, order)

        check_each()

    def for_each_refund(self, subject: Subject, check: Any, *, badly: bool = False) -> None:
        """``check(document, refund, order, store)`` for the documents of generated refunds; ``badly``: as above."""
        self.needs(subject, "refund_poslog_for")
        sales = self.any_sale().map(badly_named) if badly else self.any_sale()

        @self.for_any(sales, st.data())
        def check_each(sale: Sale, data: st.DataObject) -> None:
            order, store = self.numbered(subject, sale)
            refund = data.draw(refunds(order))
            log = self.ask(subject, "refund_poslog_for", refund=refund, order=order, store=store)
            if log is not None:
                assert not shows_secret(log.document)
                check(log, refund, order, store)

        check_each()
