"""The retailer contract notices each broken promise, and a plugin that keeps them all passes."""

import inspect
import itertools
import json
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, settings

from tillhook import (
    CompletedOrder,
    Config,
    Fulfilled,
    ItemFeed,
    NoAnswer,
    Order,
    Outside,
    Pair,
    Plugin,
    PosLog,
    Receipt,
    ReceiptType,
    Row,
    Secret,
    Store,
    Text,
    hookimpl,
)
from tillhook.core.testing.contracts.retailer import RetailerContract, forbid_connections
from tillhook.core.testing.subject import Subject, build


class HonestSettings(Config, frozen=True):
    workstation_id: str
    api_key: Secret


class Honest(Plugin):
    """Keeps every promise; the plugins below break one each."""

    Settings = HonestSettings
    settings: HonestSettings

    @hookimpl
    def transaction_id_for(self, order: Order, number: int, store: Store) -> str | None:
        return f"{store.retailer_store_id}{number:07d}"

    def document(self, order: CompletedOrder) -> dict[str, Any]:
        return {
            "id": order.transaction_id_poslog,
            "lines": [{"gtin": line.gtin, "amount": line.amount} for line in order.lines],
            "total": order.total.minor,
            "tenders": [tender.amount.minor for tender in order.tenders],
        }

    @hookimpl
    def poslog_for(self, order: CompletedOrder, store: Store) -> PosLog | None:
        return PosLog("application/json", json.dumps(self.document(order)))

    @hookimpl
    def fulfil_order(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        outside.request("POST", "https://back.office/sales", json=self.document(order), idempotency_key=order.order_id)
        return Fulfilled(order.order_id)

    @hookimpl
    def receipt_for(self, receipt_type: ReceiptType, order: CompletedOrder, store: Store) -> Receipt | None:
        return Receipt(receipt_type, "Receipt", "en", (Text(store.name), Pair("Total", str(order.total))))


class HonestContract(RetailerContract):
    plugin = Honest
    settings: ClassVar[Mapping[str, Any]] = {"workstation_id": "900", "api_key": "env:ACME_KEY"}

    def tenders_of(self, document: PosLog) -> Sequence[int]:
        return [int(minor) for minor in json.loads(document.document)["tenders"]]


class TestHonest(HonestContract):
    pass


class Revealing(Honest):
    def __init__(self, settings: HonestSettings) -> None:
        super().__init__(settings)
        self.header = f"Bearer {settings.api_key.reveal()}"


class OffersNoFeed(Honest):
    @hookimpl
    def item_feeds(self) -> Sequence[ItemFeed]:
        return ("not a feed",)  # type: ignore[return-value]


class AnswersText(Honest):
    @hookimpl
    def poslog_for(self, order: CompletedOrder, store: Store) -> PosLog | None:
        return json.dumps(self.document(order))  # type: ignore[return-value]


class AnswersANumberForAReference(Honest):
    @hookimpl
    def fulfil_order(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        return Fulfilled(order.transaction_number)  # type: ignore[arg-type]


class NumbersModuloTen(Honest):
    @hookimpl
    def transaction_id_for(self, order: Order, number: int, store: Store) -> str | None:
        return str(number % 10)


class Counting(Honest):
    serial = itertools.count()

    def document(self, order: CompletedOrder) -> dict[str, Any]:
        return {**super().document(order), "serial": next(self.serial)}


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


class SwallowsFailures(Honest):
    @hookimpl
    def fulfil_order(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        try:
            return super().fulfil_order(order, store, outside)
        except NoAnswer:
            return Fulfilled(order.order_id)


class ShowsItsKey(Honest):
    @hookimpl
    def fulfil_order(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        raise ValueError(f"the back office refused the key {self.settings.api_key.reveal()}")


class CallsByItself(Honest):
    @hookimpl
    def fulfil_order(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        with socket.create_connection(("192.0.2.1", 80)):
            return None


class ChargesLessOnPaper(Honest):
    @hookimpl
    def receipt_for(self, receipt_type: ReceiptType, order: CompletedOrder, store: Store) -> Receipt | None:
        rows: tuple[Row, ...] = (Pair("Total", f"{order.total.decimal / 2:f}"),)
        return Receipt(receipt_type, "Receipt", "en", rows if order.total else (Text("free"),))


BROKEN = [
    (Revealing, "test_no_setting_shows_a_secret"),
    (OffersNoFeed, "test_every_offer_is_what_it_says"),
    (AnswersText, "test_every_hook_answers_any_sale_with_what_it_promises"),
    (AnswersANumberForAReference, "test_every_hook_answers_any_sale_with_what_it_promises"),
    (NumbersModuloTen, "test_two_numbers_are_never_written_alike"),
    (Counting, "test_the_same_sale_gives_the_same_document"),
    (Counting, "test_a_duty_done_twice_is_done_the_same_way"),
    (LosesALine, "test_the_document_shows_the_number_every_line_and_the_total"),
    (RoundsTheTotal, "test_the_document_shows_the_number_every_line_and_the_total"),
    (LosesATender, "test_the_document_shows_the_number_every_line_and_the_total"),
    (ForgetsTheNumber, "test_the_document_shows_the_number_every_line_and_the_total"),
    (SwallowsFailures, "test_a_duty_that_got_no_answer_does_not_claim_to_be_done"),
    (ShowsItsKey, "test_a_duty_done_twice_is_done_the_same_way"),
    (CallsByItself, "test_every_hook_answers_any_sale_with_what_it_promises"),
    (ChargesLessOnPaper, "test_the_receipt_of_a_sale_shows_what_was_charged"),
]


@pytest.fixture
def without_shrinking() -> Iterator[None]:
    """That a promise is broken is enough here; the simplest sale that breaks it is not looked for."""
    before = settings.get_current_profile_name()
    settings.register_profile("without_shrinking", phases=[Phase.generate])
    settings.load_profile("without_shrinking")
    yield
    settings.load_profile(before)


@pytest.mark.usefixtures("without_shrinking")
@pytest.mark.parametrize(("broken", "promise"), BROKEN, ids=lambda at: at if isinstance(at, str) else at.__name__)
def test_a_broken_promise_is_noticed(
    broken: type[Plugin], promise: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = type("Suite", (HonestContract,), {"plugin": broken, "examples": 60})()
    forbid_connections(monkeypatch, broken.__name__)
    check: Callable[..., None] = getattr(suite, promise)
    given: dict[str, Any] = {
        "tmp_path": tmp_path,
        "subject": Subject(build(broken, suite.settings, tmp_path)),
    }
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(**{name: given[name] for name in inspect.signature(check).parameters})


def test_a_hook_without_its_mark_keeps_the_plugin_out() -> None:
    class Unmarked(Plugin):
        Settings = HonestSettings

    Unmarked.poslog_for = lambda self, order, store: None  # type: ignore[method-assign]
    suite = type("Suite", (HonestContract,), {"plugin": Unmarked})()
    with pytest.raises(AssertionError):
        suite.test_the_plugin_has_no_fault_that_would_keep_it_out()
