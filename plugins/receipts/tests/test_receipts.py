"""The receipt of a sale, row by row, and on paper."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from tillhook import (
    Align,
    BasketLine,
    Code,
    CompletedOrder,
    ItemRow,
    Money,
    Pair,
    Platform,
    Receipt,
    ReceiptType,
    Rounding,
    Rule,
    Store,
    Taxable,
    TaxRate,
    Tender,
    Text,
    tax_lines,
)
from tillhook.core.testing.contracts import RetailerContract
from tillhook.core.testing.strategies import sales
from tillhook.core.testing.subject import build
from tillhook_receipts import Receipts
from tillhook_receipts.words import WORDS, words_of

STORE = Store(
    store_id="store_1",
    store_type="demo",
    region="SE",
    name="Storgatan",
    currency="SEK",
    timezone="Europe/Stockholm",
    catalogue="demo",
    retailer_store_id="1",
    address="Storgatan 1\n111 22 Stockholm",
    tax_registration="556677-8899",
)
RATES = {"standard": TaxRate("standard", Decimal("25.00"), "Moms"), "city": TaxRate("city", Decimal("8.875"), "Moms")}


class TestContract(RetailerContract):
    plugin = Receipts
    settings: ClassVar[Mapping[str, Any]] = {"language": "sv", "footer": "Välkommen åter 😀\n" + "Å" * 500}


def line(line_no: int, name: str, quantity: int, unit_price: int, code: str = "standard", **more: Any) -> BasketLine:
    return BasketLine(
        line_no=line_no, item_id=f"item_{line_no}", gtin="09520000000004", barcode="9520000000004", name=name,
        tax_code=code, quantity=quantity, unit_price=unit_price, **more,
    )  # fmt: skip


def sale(*lines: BasketLine, currency: str = "SEK", included: bool = True, **changes: Any) -> CompletedOrder:
    taxable = [Taxable(at.line_no, at.tax_code, at.amount) for at in lines]
    tax = tax_lines(taxable, RATES, included=included, rounding=Rounding.HALF_UP)
    total = Money(sum(at.amount for at in lines) + (0 if included else tax.total_tax), currency)
    order = CompletedOrder(
        order_id="ord_1",
        o_id=100017,
        transaction_number=17,
        transaction_id_poslog="000017",
        store_id="store_1",
        customer_id="cus_1",
        basket_id="bsk_1",
        platform=Platform.IOS,
        business_day_date=date(2026, 5, 5),
        created_at=datetime(2026, 5, 4, 22, 0, tzinfo=UTC),
        completed_at=datetime(2026, 5, 4, 22, 30, tzinfo=UTC),
        total=total,
        lines=lines,
        tax=tax,
        tenders=(Tender("pay_1", "credit_card", "provider", total, "psp_1", "visa", "0005"),),
    )
    return replace(order, **changes)


def receipt(order: CompletedOrder, store: Store = STORE, **settings: Any) -> Receipt:
    found = build(Receipts, settings, Path()).receipt_for(ReceiptType.ORDER, order, store)
    assert found is not None
    return found


def pairs(found: Receipt) -> dict[str, str]:
    return {row.left: row.right for row in found.rows if isinstance(row, Pair)}


def test_a_receipt_has_head_lines_sums_tenders_and_footer_in_this_order() -> None:
    coffee = line(1, "Kaffe", 2, 1250, discount=500, promotions=("3 for 2", "Medlem"))
    found = receipt(sale(coffee, line(2, "Mugg", 1, 10000)), title="Kvitto", footer="Tack!\nÖppet köp 30 dagar")
    assert (found.receipt_type, found.title, found.language) == (ReceiptType.ORDER, "Kvitto", "en")
    head = [row.text for row in found.rows[:4] if isinstance(row, Text)]
    assert head == ["Storgatan", "Storgatan 1", "111 22 Stockholm", "Tax reg. 556677-8899"]
    assert found.rows[5:] == (
        Text("Kvitto", Align.CENTER, bold=True),
        Pair("Date", "2026-05-05 00:30"),
        Pair("Order", "100017"),
        Pair("Transaction", "000017"),
        Rule(),
        ItemRow("Kaffe", "2 x 12.50", "25.00"),
        Pair("3 for 2, Medlem", "-5.00"),
        ItemRow("Mugg", "1 x 100.00", "100.00"),
        Rule(),
        Pair("Subtotal", "120.00"),
        Pair("Includes Moms 25% on 96.00", "24.00"),
        Pair("Total", "120.00 SEK", bold=True),
        Pair("Visa **** 0005", "120.00"),
        Rule(),
        Text("Tack!", Align.CENTER),
        Text("Öppet köp 30 dagar", Align.CENTER),
        Code("ord_1"),
    )


def test_tax_on_top_stands_between_subtotal_and_total() -> None:
    found = pairs(
        receipt(sale(line(1, "Mug", 1, 10000, "city"), currency="USD", included=False), tax_label="Sales tax")
    )
    assert found["Subtotal"] == "100.00"
    assert found["Sales tax 8.875% on 100.00"] == "8.88"
    assert found["Total"] == "108.88 USD"


@settings(deadline=None, max_examples=50)
@given(sales())
def test_the_footer_is_all_that_follows_the_last_rule(made: tuple[CompletedOrder, Store]) -> None:
    """The core puts other plugins' rows before the last rule: nothing of the sale may stand after it."""
    order, store = made
    rows = receipt(order, store, footer="Thank you").rows
    last = max(place for place, row in enumerate(rows) if isinstance(row, Rule))
    assert rows[last + 1 :] == (Text("Thank you", Align.CENTER), Code(order.order_id))


@pytest.mark.parametrize(
    ("currency", "language", "price", "total"),
    [
        ("JPY", "en", "1 x 1,234,567", "1,234,567 JPY"),
        ("KWD", "en", "1 x 1,234.567", "1,234.567 KWD"),
        ("EUR", "de", "1 x 12.345,67", "12.345,67 EUR"),
        ("SEK", "sv-SE", "1 x 12 345,67", "12 345,67 SEK"),
        ("DKK", "da", "1 x 12.345,67", "12.345,67 DKK"),
        ("NOK", "nb", "1 x 12 345,67", "12 345,67 NOK"),
    ],
)
def test_amounts_have_the_decimals_of_the_currency_and_the_signs_of_the_language(
    currency: str, language: str, price: str, total: str
) -> None:
    found = receipt(sale(line(1, "Mug", 1, 1234567), currency=currency), language=language)
    assert ItemRow("Mug", price, price.removeprefix("1 x ")) in found.rows
    assert pairs(found)[words_of(language).total] == total


def test_the_total_is_what_the_order_says_and_no_sum() -> None:
    assert pairs(receipt(replace(sale(line(1, "Mug", 1, 100)), total=Money(99, "SEK"))))["Total"] == "0.99 SEK"


def test_every_tender_is_shown_and_never_more_than_four_digits_of_a_card() -> None:
    tenders = (
        Tender(
            "pay_1", "card_terminal", "provider", Money(60, "SEK"), card_brand="mastercard", card_last4="4000001234"
        ),
        Tender("pay_2", "gift_card", "provider", Money(40, "SEK")),
    )
    found = receipt(sale(line(1, "Mug", 1, 100), tenders=tenders))
    assert [row for row in found.rows if isinstance(row, Pair)][-2:] == [
        Pair("Mastercard **** 1234", "0.60"),
        Pair("Gift card", "0.40"),
    ]
    assert "400000" not in repr(found)


def test_a_sale_for_nothing_has_a_total_of_zero_and_no_tender() -> None:
    free = line(1, "Mug", 1, 100, discount=100)
    found = receipt(sale(free, tenders=()))
    assert pairs(found)["Total"] == "0.00 SEK"
    assert pairs(found)["Discount"] == "-1.00"
    assert isinstance(found.rows[-3], Pair)
    assert found.rows[-3].left == "Total"


def test_the_time_is_the_stores_and_its_form_a_setting() -> None:
    tokyo = replace(STORE, timezone="Asia/Tokyo")
    assert (
        pairs(receipt(sale(line(1, "Mug", 1, 100)), tokyo, date_format="%d.%m.%Y %H:%M"))["Date"] == "05.05.2026 07:30"
    )


def test_a_sale_in_a_demonstration_store_says_so() -> None:
    assert (
        Text("DEMO: no money was taken", Align.CENTER, bold=True) in receipt(sale(line(1, "M", 1, 1), demo=True)).rows
    )
    assert "DEMO" not in repr(receipt(sale(line(1, "M", 1, 1))))


@pytest.mark.parametrize("receipt_type", [at for at in ReceiptType if at is not ReceiptType.ORDER])
def test_other_receipts_are_left_to_other_plugins(receipt_type: ReceiptType) -> None:
    assert build(Receipts, {}, Path()).receipt_for(receipt_type, sale(line(1, "Mug", 1, 100)), STORE) is None


@pytest.mark.parametrize("language", WORDS)
def test_every_language_fills_in_label_percent_and_amount(language: str) -> None:
    for included in (True, False):
        found = pairs(receipt(sale(line(1, "Mug", 1, 10000, "city"), included=included), language=language))
        (tax,) = (left for left in found if "Moms" in left)
        assert "8,875%" in tax or "8.875%" in tax
        assert "{" not in tax


def test_a_language_without_words_is_refused_when_the_plugin_is_made() -> None:
    with pytest.raises(ValueError, match=r"no words for the language 'tlh' \(known: da, de, en, nb, sv\)"):
        build(Receipts, {"language": "tlh"}, Path())
