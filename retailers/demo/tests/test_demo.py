"""What the demonstration retailer does with a sale."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tillhook import (
    Align,
    BasketLine,
    CompletedOrder,
    CsvFeed,
    Fulfilled,
    Money,
    Order,
    OrderPaymentStatus,
    OrderStatus,
    Platform,
    ReceiptType,
    Rounding,
    Taxable,
    TaxRate,
    TaxResult,
    Tender,
    Text,
    read_epc,
    tax_lines,
)
from tillhook_demo import Demo, DemoSettings, epcs, stores

DK, SE = stores()
EPC = read_epc(epcs(1)[0]).uri
NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
RATES = {"standard": TaxRate("standard", Decimal(25)), "food": TaxRate("food", Decimal(12))}


class Bus:
    """An outside that only publishes; what it is given must be JSON."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str, Any]] = []

    def publish(self, topic: str, *, key: str, value: Any) -> None:
        self.published.append((topic, key, json.loads(json.dumps(value))))

    def request(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("the demonstration retailer calls nobody")


def line(line_no: int, quantity: int, unit_price: int, discount: int = 0, tax_code: str = "food") -> BasketLine:
    return BasketLine(
        line_no=line_no,
        item_id=f"itm_{line_no}",
        gtin="09521234001010",
        barcode="9521234001010",
        name="Bananer 1 kg",
        tax_code=tax_code,
        quantity=quantity,
        unit_price=unit_price,
        discount=discount,
        promotions=("3 for 2",) if discount else (),
        retailer_product_id="D1001",
    )


def sale(*lines: BasketLine, included: bool = True) -> CompletedOrder:
    tax: TaxResult = tax_lines(
        [Taxable(at.line_no, at.tax_code, at.amount) for at in lines],
        RATES,
        included=included,
        rounding=Rounding.HALF_UP,
    )
    total = Money(sum(at.amount for at in lines) + (0 if included else tax.total_tax), "SEK")
    return CompletedOrder(
        order_id="ord_1",
        o_id=100_017,
        transaction_number=42,
        transaction_id_poslog="000042",
        store_id=SE.store_id,
        customer_id="cus_1",
        basket_id="bsk_1",
        platform=Platform.IOS,
        business_day_date=date(2026, 5, 4),
        created_at=NOON,
        completed_at=NOON,
        total=total,
        lines=lines,
        tax=tax,
        tenders=(Tender("pay_1", "credit_card", "cards", total, psp_reference="psp_1"),),
        demo=True,
    )


def order_of(completed: CompletedOrder) -> Order:
    return Order(
        order_id=completed.order_id,
        o_id=completed.o_id,
        store_id=completed.store_id,
        customer_id=completed.customer_id,
        basket_id=completed.basket_id,
        platform=completed.platform,
        status=OrderStatus.CREATED,
        payment_status=OrderPaymentStatus.NOT_CAPTURED,
        total=completed.total,
        lines=completed.lines,
        tax=completed.tax,
        created_at=completed.created_at,
    )


SALE = sale(line(1, 3, 2_700, discount=2_700), replace(line(2, 1, 12_900, tax_code="standard"), epcs=(EPC,)))


@pytest.fixture
def demo() -> Demo:
    return Demo(DemoSettings(workstation_id="900"))


def test_the_workstation_must_be_configured() -> None:
    with pytest.raises(msgspec.ValidationError, match="workstation_id"):
        msgspec.convert({}, DemoSettings)


@pytest.mark.parametrize(("number", "written"), [(1, "000001"), (42, "000042"), (999_999, "999999")])
def test_transaction_ids_are_padded_to_six_digits(demo: Demo, number: int, written: str) -> None:
    assert demo.transaction_id_for(order_of(SALE), number, SE) == written


def test_a_number_of_seven_digits_keeps_them_all(demo: Demo) -> None:
    assert demo.transaction_id_for(order_of(SALE), 1_000_001, SE) == "1000001"


def test_the_transaction_log_says_what_was_sold_where_and_when(demo: Demo) -> None:
    log = demo.poslog_for(SALE, SE)
    document = json.loads(log.document)

    assert (log.media_type, log.reference) == ("application/json", "0002-2026-05-04-000042")
    assert {name: document[name] for name in ("unit_id", "workstation_id", "sequence_number", "transaction_id")} == {
        "unit_id": "0002",
        "workstation_id": "900",
        "sequence_number": 42,
        "transaction_id": "000042",
    }
    assert document["business_day_date"] == "2026-05-04"
    assert document["line_items"][0] == {
        "sequence_number": 1,
        "gtin": "09521234001010",
        "item_id": "D1001",
        "description": "Bananer 1 kg",
        "quantity": 3,
        "unit_price": "27.00",
        "discounts": [{"amount": "27.00", "reason": "3 for 2"}],
        "extended_amount": "54.00",
        "tax": {"code": "food", "amount": "5.79"},
        "epcs": [],
    }
    assert document["line_items"][1]["epcs"] == [EPC]
    assert document["tenders"] == [{"type": "credit_card", "amount": "183.00", "reference": "psp_1"}]
    assert document["totals"] == {
        "gross": "210.00",
        "discount": "27.00",
        "tax": "31.59",
        "tax_included": True,
        "grand": "183.00",
    }


@given(
    included=st.booleans(),
    lines=st.lists(
        st.builds(
            line,
            line_no=st.integers(1, 500),
            quantity=st.integers(1, 99),
            unit_price=st.integers(0, 10**7),
            discount=st.just(0),
            tax_code=st.sampled_from(sorted(RATES)),
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda at: at.line_no,
    ),
    off=st.integers(0, 100),
)
def test_lines_taxes_and_tenders_tie_to_the_totals(included: bool, lines: list[BasketLine], off: int) -> None:
    discounted = [replace(at, discount=at.unit_price * at.quantity * off // 100) for at in lines]
    log = Demo(DemoSettings(workstation_id="900")).poslog_for(sale(*discounted, included=included), SE)
    document = json.loads(log.document, parse_float=lambda text: pytest.fail(f"{text} is not exact"))
    totals = {name: Decimal(document["totals"][name]) for name in ("gross", "discount", "tax", "grand")}

    def total(rows: list[dict[str, Any]], name: str) -> Decimal:
        return sum((Decimal(row[name]) for row in rows), Decimal(0))

    items = document["line_items"]
    assert totals["grand"] == totals["gross"] - totals["discount"] + (0 if included else totals["tax"])
    assert total(items, "extended_amount") == totals["gross"] - totals["discount"]
    assert total([item["tax"] for item in items], "amount") == totals["tax"] == total(document["taxes"], "amount")
    assert total([discount for item in items for discount in item["discounts"]], "amount") == totals["discount"]
    assert total(document["tenders"], "amount") == totals["grand"]


def test_the_back_office_gets_the_stored_transaction_log(demo: Demo) -> None:
    bus = Bus()

    done = demo.fulfil_order(SALE, SE, bus)

    assert bus.published == [("demo.order.post_transaction", "ord_1", json.loads(demo.poslog_for(SALE, SE).document))]
    assert done == Fulfilled("0002-2026-05-04-000042")


def test_fulfilling_twice_sends_the_same_message_twice(demo: Demo) -> None:
    """A duty may run twice; the back office tells a repeat by the key."""
    bus = Bus()

    assert demo.fulfil_order(SALE, SE, bus) == demo.fulfil_order(SALE, SE, bus)
    assert bus.published[0] == bus.published[1]


def test_the_gates_hear_of_each_piece_that_was_sold(demo: Demo) -> None:
    bus = Bus()

    demo.mark_epcs_sold(SALE, SE, bus)

    assert bus.published == [
        ("demo.gate.epcs_sold", "sto_demo_se", {"order_id": "ord_1", "unit_id": "0002", "epcs": [EPC]})
    ]


def test_topics_are_settings() -> None:
    bus = Bus()
    demo = Demo(DemoSettings(workstation_id="900", poslog_topic="sales", gate_topic="gates"))

    demo.fulfil_order(SALE, SE, bus)
    demo.mark_epcs_sold(SALE, SE, bus)

    assert [topic for topic, _, _ in bus.published] == ["sales", "gates"]


def test_a_receipt_says_thanks_in_the_words_of_the_settings() -> None:
    demo = Demo(DemoSettings(workstation_id="900", thanks="Tack för ditt köp!"))

    assert demo.receipt_fields_for(ReceiptType.ORDER, SALE, SE) == (Text("Tack för ditt köp!", Align.CENTER),)


def test_its_items_come_as_csv(demo: Demo) -> None:
    (feed,) = demo.item_feeds()

    assert isinstance(feed, CsvFeed)
    assert feed.name == "demo"
