"""A sale from the first scan to the receipt, and everything that must follow from it."""

from __future__ import annotations

import json

import pytest

from tillhook.core.domain.basket import BasketStatus
from tillhook.core.domain.money import Money
from tillhook.core.domain.problems import Problem
from tillhook.core.domain.receipt_render import render_text
from tillhook.core.services import reading
from tillhook.core.storage.baskets import audited_total, load_basket, load_changes
from tillhook.core.storage.events import DeliveryState, counts
from tillhook.core.storage.orders import is_sold, load_poslog
from tillhook.core.testing.shop import TillShop
from tillhook_demo import epcs
from tillhook_sandbox.ledger import Ledger

BANANAS, APPLES, CUCUMBER = "9521234001010", "9521234001027", "9521234001157"
TOPIC = "demo.order.post_transaction"


def test_a_sale_reaches_the_back_office_once(shop: TillShop, ledger: Ledger) -> None:
    till = shop("demo/DK").scan(BANANAS, times=2).scan(APPLES)
    till.pay(token="tok_approve")
    shop.do_duties()
    shop.crash_and_restart()
    shop.do_duties()
    sent = shop.published(TOPIC)
    assert len(sent) == 1
    assert sent[0]["order_id"] == till.order_id
    [charge] = ledger.charges()
    assert charge.captured == Money(5800, "DKK")
    assert charge.captures == 1


def test_the_audit_rows_the_order_and_the_charge_are_the_same_amount(shop: TillShop, ledger: Ledger) -> None:
    till = shop("demo/DK").scan(BANANAS, times=3).scan(CUCUMBER)
    till.pay(token="tok_approve")
    order = till.order()
    audited = shop.platform.db.read(lambda tx: audited_total(tx, order.basket_id))
    assert audited == order.total_price.minor == ledger.charges()[0].captured.minor == 3 * 1800 + 1000


def test_every_basket_change_leaves_an_audit_row_with_the_total_after_it(shop: TillShop) -> None:
    till = shop("demo/DK").scan(BANANAS, times=2).scan(APPLES).scan(BANANAS)
    rows = shop.platform.db.read(lambda tx: load_changes(tx, till.basket_id or ""))
    assert [(row.sequence, row.amount, row.total) for row in rows] == [
        (1, 3600, 3600),
        (2, 2200, 5800),
        (3, 1800, 7600),
    ]


def test_a_completed_order_has_its_number_its_poslog_and_an_expired_basket(shop: TillShop) -> None:
    till = shop("demo/DK").scan(BANANAS)
    till.pay(token="tok_approve")
    order = till.order()
    assert order.order_status == "COMPLETED"
    assert order.payment_status == "CAPTURED_DEMO_MODE"
    assert order.transaction_id_poslog == "000001"
    assert str(order.business_day_date) == "2026-03-14"
    poslog, basket = shop.platform.db.read(
        lambda tx: (load_poslog(tx, till.order_id), load_basket(tx, order.basket_id))
    )
    assert poslog is not None
    assert basket is not None
    assert "000001" in poslog.document
    assert basket.status is BasketStatus.EXPIRED


def test_orders_and_transactions_are_numbered_without_gaps_per_store(shop: TillShop) -> None:
    numbers = []
    for place in ("demo/DK", "demo/DK", "demo/SE", "demo/DK"):
        till = shop(place)
        barcode = BANANAS if place == "demo/DK" else _swedish_barcode(shop)
        till.scan(barcode).pay(token="tok_approve")
        numbers.append((place, till.order().o_id, till.order().transaction_id_poslog))
    assert numbers == [
        ("demo/DK", 100000, "000001"),
        ("demo/DK", 100001, "000002"),
        ("demo/SE", 100000, "000001"),
        ("demo/DK", 100002, "000003"),
    ]


def test_the_receipt_shows_the_charged_total(shop: TillShop) -> None:
    till = shop("demo/DK").scan(BANANAS, times=2)
    till.pay(token="tok_approve")
    text = render_text(reading.receipt(shop.platform, till.who, till.order_id))
    assert "Bananer 1 kg" in text
    assert "36.00" in text
    assert "Thank you, and come again." in text


def test_there_is_no_receipt_before_the_payment(shop: TillShop) -> None:
    till = shop("demo/DK").scan(BANANAS)
    till.ordered()
    with pytest.raises(Problem, match="order_not_complete"):
        reading.receipt(shop.platform, till.who, till.order_id)


def test_a_tagged_piece_is_sold_once_and_known_to_the_gate_at_once(shop: TillShop) -> None:
    tag = epcs(1)[0]
    till = shop("demo/SE").scan(epc=tag)
    uri = till.basket().items[0].epcs[0]
    till.pay(token="tok_approve")
    assert shop.platform.db.read(lambda tx: is_sold(tx, uri))
    with pytest.raises(Problem, match="epc_already_sold"):
        shop("demo/SE").scan(epc=tag)
    shop.do_duties()
    assert shop.published("demo.gate.epcs_sold")[0]["epcs"] == [uri]


def test_the_timeline_tells_what_every_plugin_did(shop: TillShop) -> None:
    till = shop("demo/SE").scan(epc=epcs(1)[0])
    till.pay(token="tok_approve")
    before = {(entry.step, entry.plugin): entry.state for entry in till.order().timeline}
    assert before["fulfil_order", "demo"] == "PENDING"
    shop.do_duties()
    after = {(entry.step, entry.plugin): entry.state for entry in till.order().timeline}
    assert after == {
        ("order_created", ""): "DONE",
        ("payment.authorise", "sandbox"): "SUCCEEDED",
        ("order_completed", ""): "DONE",
        ("fulfil_order", "demo"): "DONE",
        ("mark_epcs_sold", "demo"): "DONE",
    }


def test_the_poslog_that_is_sent_is_the_one_that_is_stored(shop: TillShop) -> None:
    till = shop("demo/DK").scan(BANANAS)
    till.pay(token="tok_approve")
    shop.do_duties()
    stored = shop.platform.db.read(lambda tx: load_poslog(tx, till.order_id))
    assert stored is not None
    assert shop.published(TOPIC) == [json.loads(stored.document)]


def test_nothing_is_left_to_do_after_the_duties(shop: TillShop) -> None:
    shop("demo/DK").scan(BANANAS).pay(token="tok_approve")
    shop.do_duties()
    assert set(shop.platform.db.read(counts)) == {DeliveryState.DONE}


def _swedish_barcode(shop: TillShop) -> str:
    import csv
    import io

    import tillhook_demo

    with tillhook_demo.catalogue("demo_se") as source:
        rows = csv.DictReader(io.TextIOWrapper(source, encoding="utf-8"))
        return next(row["retailer_barcode"] for row in rows if not row["blocked_reason"])
