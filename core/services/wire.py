"""What the HTTP API takes and gives: the platform's wire names. Inputs refuse unknown fields."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from tillhook.core.domain.basket import Basket, BasketLine
from tillhook.core.domain.money import Money
from tillhook.core.domain.order import Order, Platform
from tillhook.core.domain.payment import PAID, Payment, PaymentStatus

Id = Annotated[str, Meta(min_length=1, max_length=64)]
Barcode = Annotated[str, Meta(min_length=1, max_length=200, examples=["9521234567899"])]
Quantity = Annotated[int, Meta(examples=[1])]


class Reply(Struct, frozen=True):
    """An answer as it is stored and sent: the same bytes when the same request comes again."""

    body: bytes
    status: int = 200
    replayed: bool = False


def reply(view: Struct, status: int = 200) -> Reply:
    return Reply(msgspec.json.encode(view), status)


# --- requests


class ScanRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``barcode`` or ``epc``; without ``basket_id`` a new basket begins."""

    store_id: Id
    barcode: Barcode | None = None
    epc: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    basket_id: Id | None = None
    quantity: Quantity = 1


class QuantityRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    quantity: Quantity


class CreateOrderRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    basket_id: Id
    store_id: Id
    customer_id: Id | None = None
    """Must be the caller's own where the caller is a shopper."""
    bundle_id: Annotated[str, Meta(max_length=200)] = ""
    """The app's identifier; kept out of every decision."""
    platform: Platform = Platform.WEB


class SessionRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    order_id: Id


class AddPaymentRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``payment_details`` goes to the provider unread and is neither stored nor logged."""

    session_id: Id
    payment_method: Annotated[str, Meta(max_length=64, examples=["credit_card"])] = "credit_card"
    payment_details: dict[str, Any] = {}
    amount: Money | None = None
    """If sent, it must equal the order's total."""
    return_url: Annotated[str, Meta(max_length=2000)] = ""


class PaymentDetailsRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What came back from the shopper's action (3-D Secure)."""

    session_id: Id
    payment_details: dict[str, Any] = {}


# --- answers


class LineView(Struct, frozen=True):
    line_no: int
    item_id: str
    gtin: str
    barcode: str
    name: str
    quantity: int
    unit_price: Money
    discount: Money
    price: Money
    promotions: tuple[str, ...]
    epcs: tuple[str, ...]


class BasketView(Struct, frozen=True):
    basket_id: str
    store_id: str
    customer_id: str
    status: str
    items: tuple[LineView, ...]
    total_quantity: int
    savings: Money
    basket_total: Money
    by_pass_payment: bool
    """Nothing to pay: no provider will be asked."""
    expires_at: datetime


class ScanView(Struct, frozen=True):
    """``item`` is the scanned line, ``price`` what that line costs now."""

    basket_id: str
    item: LineView
    price: Money
    promotions: tuple[str, ...]
    basket_total: Money
    basket: BasketView


class OrderCreated(Struct, frozen=True):
    order_id: str
    o_id: int
    basket_id: str
    status: str
    payment_status: str
    total: Money


class SessionView(Struct, frozen=True):
    session_id: str
    client_secret: str
    payment_methods: tuple[str, ...]
    amount: Money
    order_id: str
    by_pass_payment: bool
    order_complete: bool


class PaymentAction(Struct, frozen=True):
    type: str
    url: str


class PaymentView(Struct, frozen=True):
    """``status`` is the payment's; PENDING means: not known yet, read the order until it is settled."""

    order_id: str
    o_id: int
    payment_id: str
    session_id: str
    status: str
    order_status: str
    order_complete: bool
    amount: Money
    captured_amount: Money
    psp_reference: str
    action: PaymentAction | None
    error_message: str
    receipt_url: str | None


class TaxView(Struct, frozen=True):
    code: str
    label: str
    percent: str
    taxable: Money
    tax: Money


class TimelineEntry(Struct, frozen=True):
    """One step of an order's life: ``step`` names it, ``state`` says how it stands."""

    at: datetime
    step: str
    state: str
    plugin: str = ""
    attempts: int = 0
    duration_ms: int | None = None
    detail: str = ""
    next_try: datetime | None = None


class OrderView(Struct, frozen=True):
    order_id: str
    o_id: int
    store_id: str
    customer_id: str
    basket_id: str
    platform: str
    order_status: str
    payment_status: str
    payment: PaymentView
    items: tuple[LineView, ...]
    total_price: Money
    total_tax: Money
    tax_included: bool
    tax_breakup: tuple[TaxView, ...]
    created_at: datetime
    completion_date: datetime | None
    business_day_date: date | None
    transaction_id_poslog: str | None
    receipt_url: str | None
    timeline: tuple[TimelineEntry, ...]


def line_view(line: BasketLine, currency: str) -> LineView:
    return LineView(
        line.line_no,
        line.item_id,
        line.gtin,
        line.barcode,
        line.name,
        line.quantity,
        Money(line.unit_price, currency),
        Money(line.discount, currency),
        Money(line.amount, currency),
        line.promotions,
        line.epcs,
    )


def basket_view(basket: Basket) -> BasketView:
    total = basket.total
    return BasketView(
        basket.basket_id,
        basket.store_id,
        basket.customer_id,
        basket.status.value,
        tuple(line_view(line, basket.currency) for line in basket.lines),
        basket.quantity,
        Money(sum(line.discount for line in basket.lines), basket.currency),
        total,
        bool(basket.lines) and not total,
        basket.expires_at,
    )


def receipt_url(order: Order) -> str | None:
    return f"/orders/v1/{order.order_id}/receipt" if order.completed_at is not None else None


def payment_view(order: Order, payment: Payment) -> PaymentView:
    asked = payment.status is PaymentStatus.ACTION_REQUIRED and payment.redirect_url
    action = PaymentAction("redirect", payment.redirect_url) if asked else None
    return PaymentView(
        order.order_id,
        order.o_id,
        payment.payment_id,
        payment.session_id,
        payment.status.value,
        order.status.value,
        payment.status in PAID and order.completed_at is not None,
        payment.amount,
        Money(payment.captured, payment.amount.currency),
        payment.psp_reference,
        action,
        payment.message,
        receipt_url(order),
    )
