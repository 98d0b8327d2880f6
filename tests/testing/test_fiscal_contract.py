"""The contract for fiscal marks notices each broken promise, and a plugin that keeps them all passes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.testing.promises import is_noticed
from tillhook import (
    Answer,
    CompletedOrder,
    Config,
    FiscalDocument,
    Outside,
    Permanent,
    Plugin,
    RetryLater,
    Store,
    hookimpl,
)
from tillhook.core.testing.contracts import FiscalContract


class Register(Plugin):
    """Keeps every promise; the plugins below break one each."""

    Settings = Config

    def document(self, order: CompletedOrder) -> dict[str, Any]:
        return {"total": order.total.minor, "tax": order.tax.total_tax, "currency": order.total.currency}

    def answer(self, order: CompletedOrder, outside: Outside) -> Answer:
        url = "https://register.example/documents"
        return outside.request("POST", url, json=self.document(order), idempotency_key=order.order_id)

    @hookimpl
    def submit_fiscal_document(self, order: CompletedOrder, store: Store, outside: Outside) -> FiscalDocument | None:
        answer = self.answer(order, outside)
        if answer.status == 422:
            raise Permanent("the authority refuses the document")
        if answer.status != 200:
            raise RetryLater(f"the authority answered {answer.status}")
        return FiscalDocument(order.order_id, answer.json()["id"])


class RegisterContract(FiscalContract):
    plugin = Register


class TestRegister(RegisterContract):
    examples = 10


class TestAnAuthorityWhoseMarkComesByBus(FiscalContract):
    class Later(Plugin):
        @hookimpl
        def submit_fiscal_document(self, order: CompletedOrder, outside: Outside) -> FiscalDocument | None:
            document = {"total": order.total.minor, "tax": order.tax.total_tax}
            outside.publish("fiscal", key=order.order_id, value=document)
            return None

    plugin = Later
    mark_comes_later = True
    examples = 10


class AnotherOrder(Register):
    @hookimpl
    def submit_fiscal_document(self, order: CompletedOrder, store: Store, outside: Outside) -> FiscalDocument | None:
        return FiscalDocument(str(order.o_id), self.answer(order, outside).json()["id"])


class NoMark(Register):
    @hookimpl
    def submit_fiscal_document(self, order: CompletedOrder, store: Store, outside: Outside) -> FiscalDocument | None:
        self.answer(order, outside)
        return FiscalDocument(order.order_id, "")


class AnswersNothing(Register):
    @hookimpl
    def submit_fiscal_document(self, order: CompletedOrder, store: Store, outside: Outside) -> FiscalDocument | None:
        self.answer(order, outside)
        return None


class RegistersAgain(Register):
    serial = itertools.count()

    def answer(self, order: CompletedOrder, outside: Outside) -> Answer:
        url = "https://register.example/documents"
        key = f"{order.order_id}-{next(self.serial)}"
        return outside.request("POST", url, json=self.document(order), idempotency_key=key)


class OneMarkForAll(Register):
    def answer(self, order: CompletedOrder, outside: Outside) -> Answer:
        url = "https://register.example/documents"
        return outside.request("POST", url, json=self.document(order), idempotency_key=order.store_id)


class AnotherTotal(Register):
    def document(self, order: CompletedOrder) -> dict[str, Any]:
        return {**super().document(order), "total": order.total.minor + 1}


class NoTax(Register):
    def document(self, order: CompletedOrder) -> dict[str, Any]:
        return {**super().document(order), "tax": None}


class TriesForEver(Register):
    @hookimpl
    def submit_fiscal_document(self, order: CompletedOrder, store: Store, outside: Outside) -> FiscalDocument | None:
        answer = self.answer(order, outside)
        if answer.status != 200:
            raise RetryLater("the authority does not want it")
        return FiscalDocument(order.order_id, answer.json()["id"])


MARK = "test_the_mark_is_returned_with_the_order_that_it_is_for"
BROKEN = [
    (AnotherOrder, MARK, "order_id"),
    (NoMark, MARK, "the mark is empty"),
    (AnswersNothing, MARK, "it answers None"),
    (RegistersAgain, "test_a_repetition_returns_the_first_mark", "registered twice"),
    (OneMarkForAll, "test_a_repetition_returns_the_first_mark", "two sales share a mark"),
    (AnotherTotal, "test_the_document_shows_the_total_and_the_tax_of_the_order", "the total .* does not appear"),
    (NoTax, "test_the_document_shows_the_total_and_the_tax_of_the_order", "the tax .* does not appear"),
    (TriesForEver, "test_a_document_that_is_refused_waits_for_a_person", "not Permanent"),
]


@pytest.mark.parametrize(("broken", "promise", "because"), BROKEN)
def test_a_broken_promise_is_noticed(broken: type[Plugin], promise: str, because: str, tmp_path: Path) -> None:
    is_noticed(RegisterContract, broken, promise, because, tmp_path)


def test_a_mark_that_was_to_come_later_must_not_come_at_once(tmp_path: Path) -> None:
    class Later(RegisterContract):
        mark_comes_later = True

    is_noticed(Later, Register, MARK, "its mark comes later", tmp_path)
