"""The contract of retailers (transaction logs and receipts) notices each broken promise."""

from __future__ import annotations

import html
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.testing.promises import is_noticed
from tillhook import (
    CompletedOrder,
    Config,
    Order,
    Pair,
    Plugin,
    PosLog,
    Receipt,
    ReceiptType,
    Refund,
    Row,
    Store,
    Text,
    hookimpl,
)
from tillhook.core.testing.contracts import PosLogContract, ReceiptContract, RetailerContract


class HonestSettings(Config, frozen=True, kw_only=True):
    workstation_id: str


class Honest(Plugin):
    """Keeps every promise; the plugins below break one each."""

    Settings = HonestSettings
    settings: HonestSettings

    def document(self, order: CompletedOrder) -> dict[str, Any]:
        return {
            "id": order.transaction_id_poslog,
            "lines": [{"gtin": line.gtin, "name": line.name, "amount": line.amount} for line in order.lines],
            "total": order.total.minor,
            "tenders": [{"amount": tender.amount.minor, "card": tender.card_last4[-4:]} for tender in order.tenders],
        }

    def refund_document(self, refund: Refund, order: CompletedOrder) -> dict[str, Any]:
        return {
            "kind": "Refund",
            "id": refund.refund_id,
            "original": order.transaction_id_poslog,
            "amount": refund.amount.minor,
        }

    def rows(self, receipt_type: ReceiptType, order: CompletedOrder, store: Store) -> tuple[Row, ...]:
        gift = receipt_type is ReceiptType.GIFT
        lines = (Pair(line.name, "" if gift else str(line.amount)) for line in order.lines)
        paid = (Pair(f"Card {at.card_last4[-4:]}", "" if gift else str(at.amount)) for at in order.tenders)
        return (Text(store.name), *lines, *paid, Text("" if gift else f"Total {order.total}"))

    @hookimpl
    def transaction_id_for(self, order: Order, number: int, store: Store) -> str | None:
        return f"{store.retailer_store_id}{number:07d}"

    @hookimpl
    def poslog_for(self, order: CompletedOrder, store: Store) -> PosLog | None:
        return PosLog("application/json", json.dumps(self.document(order)))

    @hookimpl
    def refund_poslog_for(self, refund: Refund, order: CompletedOrder, store: Store) -> PosLog | None:
        return PosLog("application/json", json.dumps(self.refund_document(refund, order)))

    @hookimpl
    def receipt_for(self, receipt_type: ReceiptType, order: CompletedOrder, store: Store) -> Receipt | None:
        return Receipt(receipt_type, "Receipt", "en", self.rows(receipt_type, order, store))


class HonestContract(RetailerContract):
    plugin = Honest
    settings: ClassVar[Mapping[str, Any]] = {"workstation_id": "900"}

    def tenders_of(self, document: PosLog) -> Sequence[int]:
        return [int(tender["amount"]) for tender in json.loads(document.document)["tenders"]]


class TestHonest(HonestContract):
    examples = 15


class NumbersModuloTen(Honest):
    @hookimpl
    def transaction_id_for(self, order: Order, number: int, store: Store) -> str | None:
        return str(number % 10)


class Counting(Honest):
    serial = itertools.count()

    def document(self, order: CompletedOrder) -> dict[str, Any]:
        return {**super().document(order), "serial": next(self.serial)}

    def refund_document(self, refund: Refund, order: CompletedOrder) -> dict[str, Any]:
        return {**super().refund_document(refund, order), "serial": next(self.serial)}

    def rows(self, receipt_type: ReceiptType, order: CompletedOrder, store: Store) -> tuple[Row, ...]:
        return (*super().rows(receipt_type, order, store), Text(f"Print {next(self.serial)}"))


class LosesALine(Honest):
    def document(self, order: CompletedOrder) -> dict[str, Any]:
        return {**super().document(order), "lines": []}


class RoundsTheTotal(Honest):
    def document(self, order: CompletedOrder) -> dict[str, Any]:
        return {**super().document(order), "total": order.total.minor + 1, "lines": [at.gtin for at in order.lines]}


class LosesATender(Honest):
    def document(self, order: CompletedOrder) -> dict[str, Any]:
        return {**super().document(order), "tenders": super().document(order)["tenders"][1:]}


class ForgetsTheNumber(Honest):
    def document(self, order: CompletedOrder) -> dict[str, Any]:
        return {**super().document(order), "id": ""}


class WholeCard(Honest):
    def document(self, order: CompletedOrder) -> dict[str, Any]:
        return {**super().document(order), "cards": [at.card_last4 for at in order.tenders]}

    def rows(self, receipt_type: ReceiptType, order: CompletedOrder, store: Store) -> tuple[Row, ...]:
        cards = (Text(tender.card_last4) for tender in order.tenders)
        return (*super().rows(receipt_type, order, store), *cards)


class WritesXmlByHand(Honest):
    @hookimpl
    def poslog_for(self, order: CompletedOrder, store: Store) -> PosLog | None:
        return PosLog("application/xml", f"<Sale id='{order.transaction_id_poslog}'>{store.name}</Sale>")

    @hookimpl
    def refund_poslog_for(self, refund: Refund, order: CompletedOrder, store: Store) -> PosLog | None:
        return PosLog("text/xml", f"<Refund>{store.name}</Refund>")


class NegativeRefund(Honest):
    def refund_document(self, refund: Refund, order: CompletedOrder) -> dict[str, Any]:
        return {**super().refund_document(refund, order), "amount": f"-{refund.amount.decimal}"}


class LooksLikeASale(Honest):
    def refund_document(self, refund: Refund, order: CompletedOrder) -> dict[str, Any]:
        return {**super().refund_document(refund, order), "kind": "Sale"}


class ForgetsTheSale(Honest):
    def refund_document(self, refund: Refund, order: CompletedOrder) -> dict[str, Any]:
        return {**super().refund_document(refund, order), "original": ""}


class HasNoNumberOfItsOwn(Honest):
    def refund_document(self, refund: Refund, order: CompletedOrder) -> dict[str, Any]:
        return {**super().refund_document(refund, order), "id": ""}


class ChargesLessOnPaper(Honest):
    def rows(self, receipt_type: ReceiptType, order: CompletedOrder, store: Store) -> tuple[Row, ...]:
        return (Pair("Total", f"{order.total.decimal / 2:f}" if order.total else "free"),)


class ShowsThePriceOfAGift(Honest):
    def rows(self, receipt_type: ReceiptType, order: CompletedOrder, store: Store) -> tuple[Row, ...]:
        return super().rows(ReceiptType.ORDER, order, store)


class PricesInItsOwnRows(Honest):
    @hookimpl
    def receipt_fields_for(self, receipt_type: ReceiptType, order: CompletedOrder, store: Store) -> Sequence[Row]:
        return (Text(f"You paid {order.total}"),)


class EscapesNames(Honest):
    def rows(self, receipt_type: ReceiptType, order: CompletedOrder, store: Store) -> tuple[Row, ...]:
        return (*super().rows(receipt_type, order, store), Text(html.escape(store.name)))


class AlwaysTheSameType(Honest):
    @hookimpl
    def receipt_for(self, receipt_type: ReceiptType, order: CompletedOrder, store: Store) -> Receipt | None:
        return Receipt(ReceiptType.ORDER, "Receipt", "en", self.rows(receipt_type, order, store))


SHOWS = "test_the_document_shows_the_number_every_line_and_the_total"
REFERS = "test_a_refund_refers_to_its_sale"
GIFT = "test_a_receipt_for_a_gift_shows_no_price"
BROKEN = [
    (NumbersModuloTen, "test_two_numbers_are_never_written_alike", "len"),
    (Counting, "test_the_same_sale_gives_the_same_document", "serial"),
    (LosesALine, SHOWS, "0952"),
    (RoundsTheTotal, SHOWS, "the total .* does not appear"),
    (LosesATender, SHOWS, "sum"),
    (ForgetsTheNumber, SHOWS, "no "),
    (WritesXmlByHand, "test_the_document_is_of_its_media_type_whatever_names_things_have", "it is not application/xml"),
    (WholeCard, "test_no_document_shows_a_whole_card_number", "poslog_for shows a card number in its answer"),
    (Counting, "test_the_same_refund_gives_the_same_document", "serial"),
    (NegativeRefund, "test_the_amounts_of_a_refund_are_positive", "the kind of transaction"),
    (LooksLikeASale, "test_the_document_of_a_refund_says_so", "none of refund, return, credit"),
    (ForgetsTheSale, REFERS, "none of "),
    (HasNoNumberOfItsOwn, REFERS, "none of its own numbers"),
    (WritesXmlByHand, "test_the_document_of_a_refund_is_of_its_media_type_and_schema", "it is not text/xml"),
    (ChargesLessOnPaper, "test_the_receipt_of_a_sale_shows_what_was_charged", "Total"),
    (AlwaysTheSameType, "test_a_receipt_is_of_the_type_that_was_asked_for", "ReceiptType"),
    (ShowsThePriceOfAGift, GIFT, "it shows [0-9]+ "),
    (PricesInItsOwnRows, GIFT, "it shows [0-9]+ "),
    (EscapesNames, "test_names_stand_on_the_receipt_as_they_are", "a name was escaped"),
    (WholeCard, "test_no_receipt_shows_a_whole_card_number", "receipt_for shows a card number in its answer"),
    (Counting, "test_the_same_sale_gives_the_same_receipt", "Print"),
]


@pytest.mark.parametrize(("broken", "promise", "because"), BROKEN)
def test_a_broken_promise_is_noticed(broken: type[Plugin], promise: str, because: str, tmp_path: Path) -> None:
    is_noticed(HonestContract, broken, promise, because, tmp_path)


def test_the_suites_for_logs_and_for_receipts_are_parts_of_the_one_for_retailers() -> None:
    promised = {name for name in dir(RetailerContract) if name.startswith("test_")}
    parts = {name for suite in (PosLogContract, ReceiptContract) for name in dir(suite) if name.startswith("test_")}
    assert promised == parts


def test_what_a_suite_for_logs_finds_no_hook_for_is_not_a_log(tmp_path: Path) -> None:
    class OnLogs(PosLogContract):
        settings: ClassVar[Mapping[str, Any]] = {"workstation_id": "900"}
        plugin = Honest

    class OnlyReceipts(Plugin):
        Settings = HonestSettings

        @hookimpl
        def receipt_for(self, receipt_type: ReceiptType, order: CompletedOrder, store: Store) -> Receipt | None:
            return None

    is_noticed(
        OnLogs, OnlyReceipts, "test_it_implements_what_this_suite_is_for", "none of transaction_id_for", tmp_path
    )
