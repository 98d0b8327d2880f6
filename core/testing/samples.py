"""One sale, always the same: what a cassette's arguments are filled from where it says nothing about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from tillhook.core.domain.aftersale import (
    Alert,
    Coupon,
    Customer,
    Discrepancy,
    GateCheck,
    Refund,
    RefundLine,
    SettlementEntry,
    SettlementKind,
    Shift,
    SpecialPromotion,
    Subscription,
)
from tillhook.core.domain.basket import Basket, BasketLine, BasketStatus
from tillhook.core.domain.completed import CompletedOrder, Tender
from tillhook.core.domain.money import Money, Rounding
from tillhook.core.domain.order import Order, Platform
from tillhook.core.domain.payment import Payment, PaymentStatus
from tillhook.core.domain.receipt import Pair, Receipt, ReceiptType
from tillhook.core.domain.store import ScanCode, Store
from tillhook.core.domain.tax import Taxable, TaxRate, tax_lines
from tillhook.core.roles.gateway import PaymentRequest, SessionRequest
from tillhook.core.roles.offers import Principal
from tillhook.core.testing.strategies import order_of

NOON: Final = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
STORE: Final = Store(
    store_id="sto_sample",
    store_type="sample",
    region="DK",
    name="Sample store",
    currency="EUR",
    timezone="Europe/Copenhagen",
    catalogue="sample",
    retailer_store_id="0001",
    rfid=True,
)
LINES: Final = (
    BasketLine(
        line_no=1,
        item_id="itm_1",
        gtin="09521234001010",
        barcode="9521234001010",
        name="Coffee mug, blue",
        tax_code="standard",
        quantity=1,
        unit_price=1999,
        epcs=("urn:epc:id:sgtin:9521234.000101.1001",),
        retailer_product_id="SKU-101",
    ),
    BasketLine(
        line_no=2,
        item_id="itm_2",
        gtin="09521234001027",
        barcode="9521234001027",
        name="Apples 1 kg",
        tax_code="food",
        quantity=2,
        unit_price=250,
        discount=100,
        promotions=("Summer sale",),
        retailer_product_id="SKU-102",
    ),
)
_RATES: Final = {code: TaxRate(code, Decimal(percent)) for code, percent in (("standard", "25"), ("food", "12"))}
_TAXABLES: Final = tuple(Taxable(line.line_no, line.tax_code, line.amount) for line in LINES)
_TOTAL: Final = Money(2399, "EUR")
ORDER: Final = CompletedOrder(
    order_id="ord_sample",
    o_id=100001,
    transaction_number=7,
    transaction_id_poslog="000007",
    store_id=STORE.store_id,
    customer_id="cus_sample",
    basket_id="bsk_sample",
    platform=Platform.IOS,
    business_day_date=NOON.date(),
    created_at=NOON - timedelta(minutes=2),
    completed_at=NOON,
    total=_TOTAL,
    lines=LINES,
    tax=tax_lines(_TAXABLES, _RATES, included=True, rounding=Rounding.HALF_UP),
    tenders=(Tender("pay_sample", "credit_card", "provider", _TOTAL, "psp_sample", "visa", "0005"),),
)
"""A mug with a tag and two bags of apples, 1.00 off: 23.99 EUR with the tax in it, paid by card."""

_BY_NAME: Final[Mapping[str, Any]] = {
    "code": LINES[0].barcode,
    "customer_id": ORDER.customer_id,
    "number": ORDER.transaction_number,
    "status": "READY_TO_COLLECT",
    "source": "wallet",
    "payload": {"order_id": ORDER.order_id, "amount_minor": _TOTAL.minor, "currency": _TOTAL.currency},
    "at": NOON,
    "now": NOON,
    "day": NOON.date(),
    "seconds": 3600,
    "catalogue": STORE.catalogue,
    "currency": STORE.currency,
    "headers": {"Content-Type": "application/json"},
    "claims": {"sub": "user_sample"},
}
"""Plain arguments; what is a Struct goes by its type."""


def _by_type() -> dict[Any, Any]:
    refund_line = RefundLine(1, 1, LINES[0].amount, LINES[0].epcs)
    return {
        CompletedOrder: ORDER,
        Order: order_of(ORDER),
        Store: STORE,
        Refund: Refund(
            "rfd_sample", ORDER.order_id, STORE.store_id, Money(refund_line.amount, "EUR"), (refund_line,), "RETURNED",
            NOON + timedelta(days=1), "R000001",
        ),
        Payment: Payment(
            "pay_sample", ORDER.order_id, "provider", PaymentStatus.REJECTED, _TOTAL, message="Declined."
        ),
        Receipt: Receipt(ReceiptType.ORDER, "Receipt", "en", (Pair("Total", str(_TOTAL)),)),
        ReceiptType: ReceiptType.ORDER,
        Basket: Basket(
            ORDER.basket_id, STORE.store_id, ORDER.customer_id, STORE.currency, NOON + timedelta(hours=2),
            BasketStatus.OPEN, LINES, len(LINES), len(LINES), len(LINES),
        ),
        Customer | None: Customer(
            ORDER.customer_id, STORE.store_type, "shopper@shop.example", "9000001", "gold", guest=False
        ),
        ScanCode: ScanCode(LINES[0].barcode, LINES[0].gtin),
        Sequence[Coupon]: (),
        Sequence[SpecialPromotion]: (),
        Sequence[Taxable]: _TAXABLES,
        GateCheck: GateCheck(STORE.store_id, "gate_1", LINES[0].epcs, (), NOON),
        Shift: Shift(
            "shf_sample", STORE.store_id, "900", "opr_1", "EUR", NOON - timedelta(hours=8), NOON,
            starting_amount=5000, bank_drop=10000, tender_declaration=7500, transaction_count=12, refund_count=1,
        ),
        Subscription: Subscription("sub_sample", ORDER.customer_id, STORE.store_type, "ACTIVE", NOON),
        SettlementEntry: SettlementEntry(
            "provider", SettlementKind.CHARGE, "psp_sample", "pay_sample", date(2026, 5, 4), None, "EUR", 2399, 30, 2369
        ),
        Discrepancy: Discrepancy("amount", STORE.store_id, ORDER.order_id, "23.99 EUR", "23.98 EUR"),
        Alert: Alert("high", "A payment is open", "Order ord_sample waits for its provider.", {"store": "0001"}),
        Principal: Principal(
            "user_sample", frozenset({"staff"}), "https://id.example", stores=frozenset({"sto_sample"})
        ),
        SessionRequest: SessionRequest(
            payment_id="pay_sample", order_id=ORDER.order_id, amount=_TOTAL, store_id=STORE.store_id, platform="ios"
        ),
        PaymentRequest: PaymentRequest(
            operation_id="op_sample",
            merchant_reference="pay_sample",
            idempotency_key="op_sample",
            amount=_TOTAL,
            payment_method="credit_card",
        ),
    }  # fmt: skip


_BY_TYPE: Final = _by_type()


def sample(name: str, hint: Any) -> Any:
    """The sample of an argument, by its name or by its type. Raises LookupError when there is none."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    if hint in _BY_TYPE:
        return _BY_TYPE[hint]
    raise LookupError(f"there is no sample of {name}: give it in full")


def filled(given: Any, name: str, hint: Any) -> Any:
    """The argument: the sample with what is ``given`` in its place, down to single fields.

    Tables are merged; the entries of a list are merged with the sample's entry of the same place, or with its last.
    Raises ValueError naming the field that does not exist or has the wrong type.
    """
    try:
        start = msgspec.to_builtins(sample(name, hint))
    except LookupError:
        start = None
    plain = _merged(start, given)
    try:
        value = msgspec.convert(plain, hint)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        raise ValueError(f"{name}{where.rstrip('`')}: {reason}") from None
    _nothing_left_out(plain, msgspec.to_builtins(value), name)
    return value


def _merged(start: Any, given: Any) -> Any:
    if isinstance(start, dict) and isinstance(given, dict):
        return {**start, **{name: _merged(start.get(name), at) for name, at in given.items()}}
    if isinstance(start, list | tuple) and start and isinstance(given, list):
        return [_merged(start[min(place, len(start) - 1)], at) for place, at in enumerate(given)]
    return given


def _nothing_left_out(plain: Any, kept: Any, where: str) -> None:
    """A name that the type does not know is gone once the value has been made."""
    if isinstance(plain, dict) and isinstance(kept, dict):
        for name, at in plain.items():
            if name not in kept:
                raise ValueError(f"{where}.{name}: there is no such field (there are {', '.join(kept)})")
            _nothing_left_out(at, kept[name], f"{where}.{name}")
    elif isinstance(plain, list | tuple) and isinstance(kept, list | tuple):
        for place, (one, other) in enumerate(zip(plain, kept, strict=True)):
            _nothing_left_out(one, other, f"{where}[{place}]")
