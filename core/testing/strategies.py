"""Hypothesis strategies for sales as they happen: every value fits the others, so a plugin may trust them.

Mixed tax rates, promotions, nothing to pay, tagged pieces, split tenders, currencies with 0, 2 and 3 decimals, names
as people type them (long, in any script, with emoji).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from msgspec.structs import replace

from tillhook.core.domain.aftersale import Customer, Refund, RefundLine
from tillhook.core.domain.basket import Basket, BasketLine, BasketStatus
from tillhook.core.domain.completed import CompletedOrder, Tender
from tillhook.core.domain.epc import encode_sgtin96, read_epc
from tillhook.core.domain.identifiers import check_digit
from tillhook.core.domain.money import Money, Rounding
from tillhook.core.domain.order import Order, OrderPaymentStatus, OrderStatus, Platform
from tillhook.core.domain.store import Item, Store
from tillhook.core.domain.tax import Taxable, TaxRate, TaxResult, tax_lines
from tillhook.core.testing.planted import PLANTED_CARD

CURRENCIES: Final = ("EUR", "SEK", "USD", "JPY", "KWD")
TIMEZONES: Final = ("Europe/Copenhagen", "Europe/Athens", "America/New_York", "Asia/Tokyo", "Asia/Kathmandu", "UTC")
RATES: Final = {
    code: TaxRate(code, Decimal(percent))
    for code, percent in (("standard", "25"), ("reduced", "8.875"), ("low", "5.5"), ("zero", "0"))
}
NAMES: Final = (
    "Coffee mug, blue",
    "Smørrebrødspålæg 200 g",
    "Kaffe ☕️ 👨‍👩‍👧‍👦 🇸🇪",
    "אגוזים 200 גרם",
    "مكسرات مشكلة",
    "日本製 抹茶チョコレート",
    "<b>Fish & chips</b> \"big\" 'n' salty",
    "W" * 500,
    "a very long name " * 30,
)
MARKUP: Final = "<b>Fish & chips</b> \"big\" 'n' salty ]]>"
_EARLIEST: Final = datetime(2024, 1, 1)  # noqa: DTZ001 (hypothesis wants it without a zone)
_LATEST: Final = datetime(2030, 12, 31)  # noqa: DTZ001
_PREFIX_DIGITS: Final = 7

names = st.sampled_from(NAMES) | st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=60)
currencies = st.sampled_from(CURRENCIES)
moments = st.datetimes(_EARLIEST, _LATEST, timezones=st.just(UTC))


@st.composite
def gtins(draw: st.DrawFn) -> str:
    """14 digits below GS1's demonstration prefix 952, which names no company's product."""
    body = f"0952{draw(st.integers(0, 10**9 - 1)):09d}"
    return f"{body}{check_digit(body)}"


@st.composite
def stores(draw: st.DrawFn, currency: str | None = None) -> Store:
    number = draw(st.integers(1, 9999))
    return Store(
        store_id=f"store_{number}",
        store_type="demo",
        region=draw(st.sampled_from(("DK", "SE", "US", "JP"))),
        name=draw(names),
        currency=draw(currencies) if currency is None else currency,
        timezone=draw(st.sampled_from(TIMEZONES)),
        catalogue="demo",
        retailer_store_id=f"{number:04d}",
        rfid=draw(st.booleans()),
        demo=draw(st.booleans()),
        address=draw(st.sampled_from(("", "Main Street 1\n1234 Town", "中央区銀座 1-2-3"))),
        tax_registration=draw(st.sampled_from(("", "DK12345678"))),
    )


@st.composite
def items(draw: st.DrawFn, currency: str = "EUR") -> Item:
    gtin = draw(gtins())
    return Item(
        item_id=f"item_{gtin}",
        catalogue="demo",
        gtin=gtin,
        barcode=gtin[1:],
        name=draw(names),
        price=Money(draw(_prices), currency),
        tax_code=draw(st.sampled_from(tuple(RATES))),
        retailer_product_id=draw(st.sampled_from(("", f"SKU-{gtin[4:9]}"))),
    )


_prices = st.integers(0, 1_000_00) | st.sampled_from((0, 1, 99, 9_999_999))
_quantities = st.integers(1, 5) | st.just(9_999)


@st.composite
def basket_lines(draw: st.DrawFn, line_no: int, tax_codes: Sequence[str] = tuple(RATES)) -> BasketLine:
    """One line; a tagged one has as many EPCs as pieces (their serials tell lines apart)."""
    item = draw(items())
    tagged = draw(st.integers(0, 3).map(lambda pieces: pieces if line_no % 3 == 0 else 0))
    quantity = tagged or draw(_quantities)
    whole = item.price.minor * quantity
    discount = draw(st.sampled_from((0, 0, whole // 3, whole)))
    return BasketLine(
        line_no=line_no,
        item_id=item.item_id,
        gtin=item.gtin,
        barcode=item.barcode,
        name=item.name,
        tax_code=draw(st.sampled_from(tuple(tax_codes))),
        quantity=quantity,
        unit_price=item.price.minor,
        discount=discount,
        promotions=(draw(st.sampled_from(("3 for 2", "Summer sale"))),) if discount else (),
        epcs=tuple(
            read_epc(encode_sgtin96(item.gtin, _PREFIX_DIGITS, line_no * 1000 + piece)).uri for piece in range(tagged)
        ),
        retailer_product_id=item.retailer_product_id,
    )


@st.composite
def many_lines(draw: st.DrawFn, tax_codes: Sequence[str] = tuple(RATES)) -> tuple[BasketLine, ...]:
    """One to eight lines with rising numbers that may have gaps, as removed lines leave them."""
    numbers = sorted(draw(st.sets(st.integers(1, 20), min_size=1, max_size=8)))
    return tuple(draw(basket_lines(number, tax_codes)) for number in numbers)


@st.composite
def baskets(draw: st.DrawFn, currency: str | None = None) -> Basket:
    lines = draw(many_lines())
    return Basket(
        basket_id="bsk_1",
        store_id="store_1",
        customer_id="cus_1",
        currency=draw(currencies) if currency is None else currency,
        expires_at=draw(moments),
        status=BasketStatus.OPEN,
        lines=lines,
        version=len(lines),
        last_line_no=lines[-1].line_no,
        last_sequence=len(lines),
    )


@st.composite
def taxables(draw: st.DrawFn, codes: Sequence[str]) -> tuple[Taxable, ...]:
    """Lines to be taxed, in any order of their numbers."""
    numbers = draw(st.lists(st.integers(1, 500), min_size=1, max_size=8, unique=True))
    return tuple(Taxable(number, draw(st.sampled_from(tuple(codes))), draw(_prices)) for number in numbers)


@st.composite
def tenders(draw: st.DrawFn, total: Money) -> tuple[Tender, ...]:
    """One to three tenders that sum to ``total``; none when there is nothing to pay."""
    if not total:
        return ()
    cuts = draw(st.sets(st.integers(1, total.minor - 1), max_size=2)) if total.minor > 1 else set()
    edges = [0, *sorted(cuts), total.minor]
    card = draw(st.booleans())
    return tuple(
        Tender(
            payment_id=f"pay_{place}",
            method="credit_card" if card else "wallet",
            gateway="provider",
            amount=Money(end - start, total.currency),
            psp_reference=f"psp_{place}",
            card_brand="visa" if card else "",
            card_last4="0005" if card else "",
        )
        for place, (start, end) in enumerate(pairwise(edges), start=1)
    )


@st.composite
def sales(
    draw: st.DrawFn,
    among: Sequence[str] = CURRENCIES,
    lines_of: st.SearchStrategy[tuple[BasketLine, ...]] | None = None,
) -> tuple[CompletedOrder, Store]:
    """A completed order and the store it was made in, which is in one of the currencies ``among``.

    ``lines_of`` gives its lines; None: ``many_lines``.
    """
    store = draw(stores(draw(st.sampled_from(tuple(among)))))
    lines = draw(many_lines() if lines_of is None else lines_of)
    if lines_of is None and draw(st.integers(0, 9)) == 0:  # everything for free
        lines = tuple(_free(line) for line in lines)
    tax = _taxed(lines, included=draw(st.booleans()), rounding=draw(st.sampled_from(Rounding)), by=draw(st.booleans()))
    amount = sum(line.amount for line in lines) + (0 if tax.included else tax.total_tax)
    total = Money(amount, store.currency)
    completed_at = draw(moments)
    number = draw(st.integers(1, 999_999))
    order = CompletedOrder(
        order_id=f"ord_{draw(st.integers(0, 2**64)):020x}",
        o_id=draw(st.integers(100_000, 999_999)),
        transaction_number=number,
        transaction_id_poslog=f"T{number:06d}",
        store_id=store.store_id,
        customer_id="cus_1",
        basket_id="bsk_1",
        platform=draw(st.sampled_from(Platform)),
        business_day_date=completed_at.astimezone(ZoneInfo(store.timezone)).date(),
        created_at=completed_at - timedelta(seconds=draw(st.integers(0, 3600))),
        completed_at=completed_at,
        total=total,
        lines=lines,
        tax=tax,
        tenders=draw(tenders(total)),
        demo=store.demo,
    )
    return order, store


def _free(line: BasketLine) -> BasketLine:
    return replace(line, discount=line.unit_price * line.quantity, promotions=("On the house",))


def _taxed(lines: Sequence[BasketLine], *, included: bool, rounding: Rounding, by: bool) -> TaxResult:
    taxable = [Taxable(line.line_no, line.tax_code, line.amount) for line in lines]
    return tax_lines(taxable, RATES, included=included, rounding=rounding, per_line=by)


def badly_named(sale: tuple[CompletedOrder, Store]) -> tuple[CompletedOrder, Store]:
    """The sale with names, of goods, promotions and the store, that look like markup."""
    order, store = sale
    lines = tuple(
        replace(line, name=MARKUP, promotions=tuple(MARKUP for _ in line.promotions[:1])) for line in order.lines
    )
    return replace(order, lines=lines), replace(store, name=MARKUP)


def order_of(sale: CompletedOrder) -> Order:
    """The order as it was just before it was completed."""
    return Order(
        order_id=sale.order_id,
        o_id=sale.o_id,
        store_id=sale.store_id,
        customer_id=sale.customer_id,
        basket_id=sale.basket_id,
        platform=sale.platform,
        status=OrderStatus.CREATED,
        payment_status=OrderPaymentStatus.NOT_CAPTURED,
        total=sale.total,
        lines=sale.lines,
        tax=sale.tax,
        created_at=sale.created_at,
        business_day_date=sale.business_day_date,
    )


@st.composite
def tagged_lines(draw: st.DrawFn, pieces: int) -> tuple[BasketLine, ...]:
    """Lines with ``pieces`` tags together, up to a hundred on a line; none: a line without tags."""
    lines: list[BasketLine] = []
    for line_no, start in enumerate(range(0, max(1, pieces), 100), start=1):
        tags = min(100, pieces - start)
        line = replace(draw(basket_lines(line_no)), quantity=tags or 1, discount=0, promotions=())
        serials = range(line_no * 1000, line_no * 1000 + tags)
        epcs = tuple(read_epc(encode_sgtin96(line.gtin, _PREFIX_DIGITS, serial)).uri for serial in serials)
        lines.append(replace(line, epcs=epcs))
    return tuple(lines)


@st.composite
def refunds(draw: st.DrawFn, sale: CompletedOrder) -> Refund:
    """A refund of some lines of ``sale``, each in whole or in part."""
    chosen = draw(st.lists(st.sampled_from(sale.lines), min_size=1, max_size=3, unique_by=lambda line: line.line_no))
    lines = tuple(_returned(line, draw(st.integers(1, line.quantity) | st.just(line.quantity))) for line in chosen)
    return Refund(
        refund_id="rfd_1",
        order_id=sale.order_id,
        store_id=sale.store_id,
        amount=Money(sum(line.amount for line in lines), sale.total.currency),
        lines=lines,
        reason="RETURNED",
        refunded_at=sale.completed_at + timedelta(days=draw(st.integers(0, 30))),
        transaction_id_poslog="R000001",
    )


def _returned(line: BasketLine, quantity: int) -> RefundLine:
    return RefundLine(line.line_no, quantity, line.amount * quantity // line.quantity, line.epcs[:quantity])


customers = st.builds(
    Customer,
    customer_id=st.just("cus_1"),
    store_type=st.just("demo"),
    email=st.sampled_from(("", "shopper@example.com")),
    loyalty_number=st.sampled_from(("", "9000001")),
    guest=st.booleans(),
    extra=st.sampled_from(({}, {"stored_card": PLANTED_CARD})),
)
