"""What every fiscal plugin keeps: a sale is registered once, under one mark, with its own totals."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest
from msgspec.structs import replace

from tillhook.core.domain.aftersale import FiscalDocument
from tillhook.core.domain.completed import PosLog
from tillhook.core.domain.money import Money
from tillhook.core.roles.duties import Permanent
from tillhook.core.roles.outside import Answer, Outside
from tillhook.core.testing.authority import Authority
from tillhook.core.testing.contracts.plugin import PluginContract, Sale
from tillhook.core.testing.documents import shows_amount
from tillhook.core.testing.outside import Call, RecordingOutside
from tillhook.core.testing.subject import Subject
from tillhook.core.testing.troubles import Line


class FiscalContract(PluginContract):
    """For plugins that answer ``submit_fiscal_document``::

    class TestRegister(FiscalContract):
        plugin = Register
        settings = {"url": "https://register.example/v1", "api_key": "env:REGISTER_KEY"}

        def registered(self, mark):
            return Answer(200, {}, json.dumps({"id": mark}).encode())
    """

    proves: ClassVar[tuple[str, ...]] = ("submit_fiscal_document",)
    mark_comes_later: ClassVar[bool] = False
    """The authority sends the mark by bus, so the plugin answers None."""
    refused: ClassVar[Answer | None] = Answer(422, {"content-type": "application/json"}, b'{"error": "not valid"}')
    """How the authority refuses a document that is wrong; None: it takes everything."""

    def registered(self, mark: str) -> Answer:
        """The answer with which the authority registers a document under ``mark``."""
        return Answer(200, {"content-type": "application/json"}, json.dumps({"id": mark}).encode())

    def lend(self) -> Outside:
        """An authority that gives one mark for one idempotency key. Override it for one that knows no keys."""
        return Authority(self.registered)

    def document_of(self, call: Call) -> PosLog:
        """The document that a call submits; override it for one that is signed or encoded."""
        text = call.body.decode(errors="replace")
        return PosLog("application/json" if text[:1] in ("{", "[") else "text/plain", text)

    # --- the mark

    def test_the_mark_is_returned_with_the_order_that_it_is_for(self, subject: Subject) -> None:
        self.needs(subject, *self.proves)

        @self.for_any(self.any_sale())
        def check(sale: Sale) -> None:
            sale = self.numbered(subject, sale)
            mark = self.submitted(subject, sale, self.line())
            if self.mark_comes_later:
                assert mark is None, f"its mark comes later, and it answers {mark!r}"
                return
            assert mark is not None, "it answers None: say `mark_comes_later = True` if the mark comes by bus"
            assert mark.order_id == sale[0].order_id
            assert mark.fiscalisation_id, "the mark is empty"

        check()

    def test_a_repetition_returns_the_first_mark(self, subject: Subject) -> None:
        self.needs(subject, *self.proves)

        @self.for_any(self.any_sale())
        def check(sale: Sale) -> None:
            order, store = self.numbered(subject, sale)
            line = self.line()
            first = self.submitted(subject, (order, store), line)
            assert self.submitted(subject, (order, store), line) == first, "the sale was registered twice"
            other = self.submitted(subject, (replace(order, order_id=f"{order.order_id}_2"), store), line)
            if first is not None and other is not None:
                assert other.fiscalisation_id != first.fiscalisation_id, "two sales share a mark"

        check()

    # --- the document

    def test_the_document_shows_the_total_and_the_tax_of_the_order(self, subject: Subject) -> None:
        self.needs(subject, *self.proves)

        @self.for_any(self.any_sale())
        def check(sale: Sale) -> None:
            order, store = self.numbered(subject, sale)
            line = self.line()
            self.submitted(subject, (order, store), line)
            documents = [self.document_of(at) for at in line.changing]
            documents += [PosLog("application/json", at.value.decode()) for at in line.messages]
            assert documents, "it submits nothing"
            tax = Money(order.tax.total_tax, order.total.currency)
            assert any(shows_amount(at, order.total) for at in documents), f"the total {order.total} does not appear"
            assert not tax or any(shows_amount(at, tax) for at in documents), f"the tax {tax} does not appear"

        check()

    def test_a_document_that_is_refused_waits_for_a_person(self, subject: Subject) -> None:
        self.needs(subject, *self.proves)
        refused = self.refused
        if refused is None:
            pytest.skip("it does not declare a refusal")

        @self.for_any(self.any_sale())
        def check(sale: Sale) -> None:
            line = Line(RecordingOutside(refused))
            order, store = self.numbered(subject, sale)
            given = {"order": order, "store": store, "outside": line}
            failure = self.failure_of(subject, "submit_fiscal_document", given)
            assert not line.calls or isinstance(failure, Permanent), f"refused, it raises {failure!r}, not Permanent"

        check()

    # --- words of this suite

    def submitted(self, subject: Subject, sale: Sale, line: Line) -> FiscalDocument | None:
        order, store = sale
        mark: FiscalDocument | None = self.ask(
            subject, "submit_fiscal_document", order=order, store=store, outside=line
        )
        return mark
