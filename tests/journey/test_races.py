"""Many callers at once: one order, one charge. Each race is also run without its guard, and must then go wrong."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from msgspec.structs import replace

from tests.journey.together import CALLERS, at_once, codes, meet
from tillhook.core.services import ordering, paying, settling, shopping
from tillhook.core.services.wire import AddPaymentRequest, CreateOrderRequest, OrderCreated, ScanRequest
from tillhook.core.storage import baskets, payments
from tillhook.core.testing.shop import Till, TillShop, decoded
from tillhook_sandbox.ledger import Ledger

BANANAS, APPLES = "9521234001010", "9521234001027"


def create(till: Till) -> OrderCreated:
    request = CreateOrderRequest(basket_id=till.basket_id or "", store_id=till.store.store_id)
    return decoded(ordering.create_order(till.shop.platform, till.who, request, None), OrderCreated)


def pay(till: Till) -> Any:
    request = AddPaymentRequest(session_id=till.session_id, payment_details={"token": "tok_approve"})
    return paying.add_payment(till.shop.platform, till.who, request, None)


def test_sixteen_create_orders_on_one_basket_give_one_order(shop: TillShop) -> None:
    till = shop("demo/DK").scan(BANANAS)
    results = at_once(lambda _: create(till))
    assert codes(results) == {"OrderCreated"}
    assert len({result.order_id for result in results}) == 1
    assert shop("demo/DK").scan(BANANAS).ordered().o_id == 100001, "no number was lost"


def test_without_the_compare_and_set_several_orders_are_tried(shop: TillShop, monkeypatch: pytest.MonkeyPatch) -> None:
    def unguarded(tx: Any, basket: Any, changes: Any, now: Any) -> bool:
        baskets.insert_changes(tx, basket.basket_id, changes, now)
        return True

    met: set[int] = set()
    everybody = threading.Barrier(CALLERS)
    real = ordering.tax_of

    def tax_of(*arguments: Any) -> Any:
        """Where they meet: all have read the basket, none has written it."""
        if threading.get_ident() not in met:
            met.add(threading.get_ident())
            everybody.wait(60)
        return real(*arguments)

    monkeypatch.setattr(ordering, "tax_of", tax_of)
    monkeypatch.setattr(ordering, "save_basket", unguarded)
    till = shop("demo/DK").scan(BANANAS)
    results = at_once(lambda _: create(till))
    assert "IntegrityError" in codes(results), "only the unique index is left to stop the second order"


def test_sixteen_payments_of_one_order_charge_once(
    shop: TillShop, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = shop("demo/DK").scan(BANANAS)
    till.session()
    meet(shop, "claim.before", CALLERS, monkeypatch)
    results = at_once(lambda _: pay(till))
    assert codes(results) <= {"Reply", "payment_in_progress", "already_paid"}
    assert [charge.captures for charge in ledger.charges()] == [1]
    assert till.order().order_status == "COMPLETED"


def test_without_the_claim_the_order_is_charged_more_than_once(
    shop: TillShop, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = shop("demo/DK").scan(BANANAS)
    till.session()
    monkeypatch.setattr(paying, "save_payment", lambda *_: True)
    meet(shop, "claim.before", CALLERS, monkeypatch)
    at_once(lambda _: pay(till))
    assert sum(charge.captures for charge in ledger.charges()) > 1


def test_sixteen_identical_payments_with_one_key_charge_once(shop: TillShop, ledger: Ledger) -> None:
    from tillhook.core.storage.idempotency import Once

    till = shop("demo/DK").scan(BANANAS)
    till.session()
    once = Once("me", "key", "fingerprint")
    request = AddPaymentRequest(session_id=till.session_id, payment_details={"token": "tok_approve"})
    results = at_once(lambda _: paying.add_payment(shop.platform, till.who, request, once))
    assert codes(results) <= {"Reply", "already_paid", "payment_in_progress"}
    assert [charge.captures for charge in ledger.charges()] == [1]


def test_paying_and_cancelling_at_once_do_one_of_both(shop: TillShop, ledger: Ledger) -> None:
    till = shop("demo/DK").scan(BANANAS)
    till.session()

    def work(number: int) -> Any:
        if number % 2:
            return ordering.cancel(shop.platform, till.who, till.order_id, None)
        return pay(till)

    at_once(work)
    status = till.order().order_status
    captures = sum(charge.captures for charge in ledger.charges())
    assert (status, captures) in {("COMPLETED", 1), ("CANCELLED", 0)}


def test_scans_from_many_devices_into_one_basket_all_count(shop: TillShop) -> None:
    till = shop("demo/DK").scan(BANANAS)
    request = ScanRequest(store_id=till.store.store_id, barcode=APPLES, basket_id=till.basket_id)
    results = at_once(lambda _: shopping.scan(shop.platform, till.who, request, None), callers=4)
    assert codes(results) == {"Reply"}
    assert till.basket().basket_total.minor == 1800 + 4 * 2200


def test_without_the_version_check_a_scan_is_lost(shop: TillShop, monkeypatch: pytest.MonkeyPatch) -> None:
    till = shop("demo/DK").scan(BANANAS)
    both_read = threading.Barrier(2)
    real = shopping._promoted

    def meet(*arguments: Any) -> Any:
        both_read.wait()
        return real(*arguments)

    def overwrite(tx: Any, basket: Any, changes: Any, now: Any) -> bool:
        saved = False
        while not saved:
            current = baskets.load_basket(tx, basket.basket_id)
            assert current is not None
            saved = baskets.save_basket(tx, replace(basket, version=current.version), (), now)
        return saved

    monkeypatch.setattr(shopping, "_promoted", meet)
    monkeypatch.setattr(shopping, "save_basket", overwrite)
    request = ScanRequest(store_id=till.store.store_id, barcode=APPLES, basket_id=till.basket_id)
    at_once(lambda _: shopping.scan(shop.platform, till.who, request, None), callers=2)
    assert till.basket().basket_total.minor == 1800 + 2200, "one of the two scans was overwritten"


def test_two_resolvers_settle_an_unknown_payment_once(shop: TillShop, ledger: Ledger) -> None:
    till = shop("demo/DK").scan(BANANAS)
    till.paid(token="tok_timeout")
    shop.clock.advance(10)
    at_once(lambda _: shop.dispatcher.keep_house())
    order = till.order()
    assert order.order_status == "COMPLETED"
    assert order.transaction_id_poslog == "000001"
    assert [charge.captures for charge in ledger.charges()] == [1]


def test_without_the_fence_of_the_operation_an_answer_is_settled_twice(
    shop: TillShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = shop("demo/DK").scan(BANANAS)
    till.paid(token="tok_timeout")
    shop.clock.advance(10)
    monkeypatch.setattr(settling, "settle_operation", lambda *_, **__: True)
    completions: list[str] = []
    monkeypatch.setattr(shop.platform, "checkpoint", completions.append)
    case = settling.load_case(shop.platform, till.order_id)
    entry = shop.platform.db.read(lambda tx: payments.operations_of(tx, case.payment.payment_id))[-1]
    from tillhook.core.domain.payment import Captured

    answer = Captured("psp", case.payment.amount)
    for _ in range(2):
        settling.settle(shop.platform, case, entry.operation, answer, None)
    assert completions.count("settle.begin") > 2, "the second answer was not turned away at the fence"


def test_every_duty_is_done_once_by_many_workers(shop: TillShop) -> None:
    for _ in range(5):
        shop("demo/DK").scan(BANANAS).pay(token="tok_approve")
    at_once(lambda _: shop.do_duties(), callers=6)
    sent = shop.published("demo.order.post_transaction")
    assert len(sent) == 5
    assert len({message["order_id"] for message in sent}) == 5
