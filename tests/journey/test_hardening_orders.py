"""Orders on a bad basis are not made; orders that are paid complete, whatever stands in their way, exactly once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.journey.together import at_once, codes
from tillhook.core.domain.basket import Discount
from tillhook.core.domain.completed import PosLog
from tillhook.core.domain.problems import Problem
from tillhook.core.domain.tax import TaxBreakup, TaxResult
from tillhook.core.services import completing, ordering, paying, shopping
from tillhook.core.services.once import Overtaken
from tillhook.core.services.settling import finish_order, load_case
from tillhook.core.services.wire import AddPaymentRequest, ScanRequest
from tillhook.core.storage.baskets import audited_total, load_basket, load_changes
from tillhook.core.storage.orders import live_order_of
from tillhook.core.testing.shop import Till, TillShop
from tillhook_sandbox.ledger import Ledger

BANANAS, APPLES = "9521234001010", "9521234001027"
ON_TOP = '\n["*/DK".tax]\nincluded = false\n'
ENGINE = """
from tillhook import Plugin, hookimpl


class Odd:
    name = "odd"

    def evaluate(self, basket, store, special, now):
        return {}


class Guest(Plugin):
    @hookimpl
    def promotion_engines(self):
        return (Odd(),)
"""


@pytest.fixture
def till(shop: TillShop) -> Till:
    return shop("demo/DK").scan(BANANAS)


def captures(ledger: Ledger) -> int:
    return sum(charge.captures for charge in ledger.charges())


def audited(till: Till) -> int:
    return till.shop.platform.db.read(lambda tx: audited_total(tx, till.basket_id or ""))


# --- calculators that cannot be trusted

BAD_TAXES: dict[str, Any] = {
    "nothing": None,
    "below zero": TaxResult(False, -100, (), ((1, -100),)),
    "not the sum": TaxResult(False, 100, (), ((1, 99),)),
    "another line": TaxResult(False, 100, (), ((7, 100),)),
    "a fraction": TaxResult(False, 1.5, (), ((1, 1.5),)),  # type: ignore[arg-type]
    "more than the price": TaxResult(True, 99_999, (), ((1, 99_999),)),
    "no percent": TaxResult(False, 1, (TaxBreakup("a", "b", "25 %", 1, 1),), ((1, 1),)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("answer", BAD_TAXES.values(), ids=BAD_TAXES)
def test_nothing_is_ordered_on_a_tax_that_cannot_be(
    shop: TillShop, till: Till, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop.platform.host.shop(till.store).tax, "evaluate", lambda *_: answer)
    with pytest.raises(Problem, match="plugin_failed: the tax calculator 'tables'"):
        till.ordered()
    monkeypatch.undo()
    assert till.ordered().o_id == 100000, "no number was lost"


def test_a_line_that_cannot_be_taxed_is_named(shop: TillShop, till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> TaxResult:
        raise ValueError("line 1 has tax code 'odd', which has no rate")

    monkeypatch.setattr(shop.platform.host.shop(till.store).tax, "evaluate", refuse)
    with pytest.raises(Problem, match="line 1 has tax code 'odd'"):
        till.ordered()


def test_the_text_of_a_calculators_accident_is_not_shown(
    shop: TillShop, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> TaxResult:
        raise ConnectionError("https://user:secret@tax.invalid")

    monkeypatch.setattr(shop.platform.host.shop(till.store).tax, "evaluate", crash)
    with pytest.raises(Problem, match="ConnectionError") as raised:
        till.ordered()
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {1: Discount(1801, ("too much",))},
        {1: Discount(-1, ("dearer",))},
        {9: Discount(1, ("another line",))},
        {1: Discount(1.5, ("a fraction",))},  # type: ignore[arg-type]
        {1: Discount(1, "a text")},  # type: ignore[arg-type]
        {"first": Discount(1, ())},
        {1: 100},
    ],
)
def test_a_promotion_that_cannot_be_changes_nothing(
    open_with_guest: Callable[..., TillShop], answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = open_with_guest(ENGINE, 'promotion.engine = "odd"')
    till = shop("demo/DK").scan(BANANAS)
    monkeypatch.setattr(shop.platform.host.shop(till.store).promotions, "evaluate", lambda *_: answer)
    before = till.basket()
    with pytest.raises(Problem, match="plugin_failed: the promotion engine 'odd'"):
        till.scan(APPLES)
    assert till.basket() == before
    assert audited(till) == before.basket_total.minor


# --- tax on top of the prices


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(["scan", "more", "remove", "order", "cancel"]), max_size=14))
def test_with_tax_on_top_the_audit_rows_are_the_amount_owed_at_every_moment(
    tax_on_top: TillShop, steps: list[str]
) -> None:
    till = tax_on_top("demo/DK").scan(BANANAS)
    for step in [*steps, "order"]:
        _step(till, step)
        rows = tax_on_top.platform.db.read(lambda tx: load_changes(tx, till.basket_id or ""))
        running = 0
        for row in rows:
            running += row.amount
            assert row.total == running
        order = tax_on_top.platform.db.read(lambda tx: live_order_of(tx, till.basket_id or ""))
        assert running == (till.basket().basket_total.minor if order is None else order.total.minor)
        assert order is None or order.total.minor == till.basket().basket_total.minor + order.tax.total_tax
    if till.basket().items:
        till.session_id = ""
        till.pay(token="tok_approve")
        assert till.order().total_price.minor == audited(till)


@pytest.fixture
def tax_on_top(open_shop: Callable[..., TillShop]) -> TillShop:
    return open_shop(ON_TOP)


def _step(till: Till, step: str) -> None:
    platform, basket_id = till.shop.platform, till.basket_id or ""
    ordered = till.basket().status == "ORDERED"
    lines = till.basket().items
    if step == "scan" and not ordered:
        till.scan(APPLES, times=3)
    elif step == "more" and not ordered and lines:
        shopping.set_quantity(platform, till.who, basket_id, lines[0].line_no, lines[0].quantity + 1, None)
    elif step == "remove" and not ordered and lines:
        shopping.remove(platform, till.who, basket_id, lines[0].line_no, None, None)
    elif step == "order" and lines:
        till.ordered()
    elif step == "cancel" and ordered:
        ordering.cancel(platform, till.who, till.order_id, None)


def test_scanning_ordering_and_cancelling_at_once_keep_the_audit_rows_right(tax_on_top: TillShop) -> None:
    till = tax_on_top("demo/DK").scan(BANANAS)
    platform = tax_on_top.platform
    request = ScanRequest(store_id=till.store.store_id, barcode=APPLES, basket_id=till.basket_id)

    def work(number: int) -> None:
        for _ in range(4):
            if number % 3 == 0:
                shopping.scan(platform, till.who, request, None)
            elif number % 3 == 1:
                till.ordered()
            elif (order := platform.db.read(lambda tx: live_order_of(tx, till.basket_id or ""))) is not None:
                ordering.cancel(platform, till.who, order.order_id, None)

    results = at_once(work, callers=9)
    expected = {"NoneType", "basket_ordered", "basket_changed", "order_not_cancellable"}
    assert codes(results) <= expected
    basket, order = platform.db.read(
        lambda tx: (load_basket(tx, till.basket_id or ""), live_order_of(tx, till.basket_id or ""))
    )
    assert basket is not None
    assert audited(till) == (basket.total.minor if order is None else order.total.minor)


def test_without_the_compare_and_set_two_cancellations_take_the_tax_off_twice(
    tax_on_top: TillShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = tax_on_top("demo/DK").scan(BANANAS)
    till.ordered()
    case = load_case(tax_on_top.platform, till.order_id)

    def cancel() -> Any:
        return ordering._cancel(tax_on_top.platform, case.order, case.payment, None)

    assert cancel() is not None
    assert cancel() is None, "the second one is turned away"
    assert audited(till) == till.basket().basket_total.minor
    monkeypatch.setattr(ordering, "save_payment", lambda *_: True)
    with pytest.raises(Overtaken):
        cancel()
    monkeypatch.setattr(ordering, "cancel_order", lambda *_: True)
    cancel()
    assert audited(till) != till.basket().basket_total.minor


# --- plugins that fail while a paid order completes


@pytest.mark.parametrize("hook", ["transaction_id_for", "poslog_for"])
@pytest.mark.parametrize("answer", [RuntimeError("out of order"), {"not": "that"}, 7.5, b"\0"], ids=repr)
def test_a_paid_order_completes_when_its_plugin_is_repaired_however_late(
    shop: TillShop, till: Till, ledger: Ledger, hook: str, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosted = shop.platform.host.shop(till.store)
    real = hosted.ask

    def ask(asked: str, **arguments: Any) -> Any:
        if asked == hook and isinstance(answer, Exception):
            raise answer
        return answer if asked == hook else real(asked, **arguments)

    monkeypatch.setattr(hosted, "ask", ask)
    view = till.paid(token="tok_approve")
    assert (view.status, view.order_complete) == ("CAPTURED", False)
    with pytest.raises(Problem, match="already_paid"):
        till.paid(token="tok_approve")
    for _ in range(30):  # far beyond work.max_attempts
        shop.do_duties()
        shop.clock.advance(4000)
    assert till.order().order_status == "CREATED"
    monkeypatch.undo()
    shop.do_duties()
    order = till.order()
    assert (order.order_status, order.transaction_id_poslog) == ("COMPLETED", "000001")
    assert captures(ledger) == 1
    assert len(shop.published("demo.order.post_transaction")) == 1


def test_a_poslog_without_a_document_does_not_hide_the_payment(
    shop: TillShop, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosted = shop.platform.host.shop(till.store)
    real = hosted.ask
    broken = PosLog("text/plain", None)  # type: ignore[arg-type]
    monkeypatch.setattr(hosted, "ask", lambda hook, **more: broken if hook == "poslog_for" else real(hook, **more))
    assert till.paid(token="tok_approve").status == "CAPTURED"


def test_a_free_order_whose_plugin_fails_can_be_completed_afterwards(
    open_with_guest: Callable[..., TillShop], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = open_with_guest(ENGINE, 'promotion.engine = "odd"')
    till = shop("demo/DK").scan(BANANAS)
    hosted = shop.platform.host.shop(till.store)
    monkeypatch.setattr(hosted.promotions, "evaluate", lambda basket, *_: {1: Discount(1800, ("on us",))})
    shopping.set_quantity(shop.platform, till.who, till.basket_id or "", 1, 1, None)
    real = hosted.ask

    def ask(hook: str, **arguments: Any) -> Any:
        if hook == "poslog_for":
            raise RuntimeError("out of order")
        return real(hook, **arguments)

    with monkeypatch.context() as broken:
        broken.setattr(hosted, "ask", ask)
        with pytest.raises(RuntimeError):
            till.session()
    assert till.order().payment.status == "WAITING"
    assert till.session().order_complete
    assert till.order().transaction_id_poslog == "000001"


def test_an_unpaid_order_cannot_be_completed_by_mistake(shop: TillShop, till: Till) -> None:
    till.ordered()
    with pytest.raises(ordering.AuditMismatch, match="its payment is WAITING"):
        finish_order(shop.platform, till.order_id)
    assert till.order().order_status == "CREATED"


# --- everything at once


def test_confirming_resolving_reading_and_cancelling_at_once_charge_and_complete_once(
    shop: TillShop, till: Till, ledger: Ledger
) -> None:
    till.paid(token="tok_3ds")
    shop.clock.advance(10)
    work: list[Callable[[], Any]] = [
        lambda: till.confirmed(result="ok"),
        shop.dispatcher.keep_house,
        till.order,
        lambda: ordering.cancel(shop.platform, till.who, till.order_id, None),
        lambda: paying.add_payment(
            shop.platform,
            till.who,
            AddPaymentRequest(session_id=till.session_id, payment_details={"token": "tok_approve"}),
            None,
        ),
    ]
    results = at_once(lambda number: work[number % len(work)](), callers=15)
    problems = {"payment_not_confirmable", "payment_in_progress", "already_paid", "order_not_cancellable"}
    assert codes(results) <= {"PaymentView", "OrderView", "int", *problems}
    order = till.order()
    assert (order.order_status, order.transaction_id_poslog) == ("COMPLETED", "000001")
    assert captures(ledger) == 1


def test_two_workers_that_complete_the_same_paid_order_complete_it_once(
    shop: TillShop, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosted = shop.platform.host.shop(till.store)
    with monkeypatch.context() as broken:
        broken.setattr(hosted, "ask", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("out of order")))
        assert till.paid(token="tok_approve").status == "CAPTURED"
    results = at_once(lambda _: finish_order(shop.platform, till.order_id), callers=8)
    assert codes(results) <= {"str", "AlreadyCompleted"}
    assert till.order().transaction_id_poslog == "000001"
    shop.do_duties()
    assert len(shop.published("demo.order.post_transaction")) == 1
    following = shop("demo/DK").scan(BANANAS).pay(token="tok_approve")
    assert following.order().transaction_id_poslog == "000002", "the losers gave their numbers back"


def test_without_the_compare_and_set_of_the_order_each_worker_takes_a_number(
    shop: TillShop, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    till.pay(token="tok_approve")
    case = load_case(shop.platform, till.order_id)
    again = completing.Completion(shop.platform, case.shop, case.store, case.payment, case.order, shop.clock())
    with pytest.raises(completing.AlreadyCompleted):
        shop.platform.db.write(lambda tx: completing.complete(tx, again))
    monkeypatch.setattr(completing, "complete_order", lambda *_: True)
    monkeypatch.setattr(completing, "insert_poslog", lambda *_: None)
    shop.platform.db.write(lambda tx: completing.complete(tx, again))
    monkeypatch.undo()
    following = shop("demo/DK").scan(BANANAS).pay(token="tok_approve")
    assert following.order().transaction_id_poslog == "000003", "a second completion used up a number"
