"""Values of the flows after and around a sale: refunds, shifts, loyalty, fiscal documents, settlement, gates."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

from tillhook.core.domain.money import Money


class RefundLine(Struct, frozen=True):
    """``quantity`` of an order's line that comes back; ``amount`` after its share of discounts (minor units)."""

    line_no: int
    quantity: int
    amount: int
    epcs: tuple[str, ...] = ()


class Refund(Struct, frozen=True):
    """Money on its way back for some lines of one order."""

    refund_id: str
    order_id: str
    store_id: str
    amount: Money
    lines: tuple[RefundLine, ...]
    reason: str
    refunded_at: datetime
    transaction_id_poslog: str = ""


class Shift(Struct, frozen=True):
    """A cash desk shift that ended (amounts in minor units of ``currency``)."""

    shift_id: str
    store_id: str
    register: str
    operator: str
    currency: str
    started_at: datetime
    ended_at: datetime
    starting_amount: int
    bank_drop: int
    tender_declaration: int
    transaction_count: int
    refund_count: int


class Customer(Struct, frozen=True):
    """A shopper at one retailer."""

    customer_id: str
    store_type: str
    email: str = ""
    loyalty_number: str = ""
    loyalty_tier: str = ""
    guest: bool = True
    extra: dict[str, Any] = {}


class Coupon(Struct, frozen=True):
    """A code that the shopper entered and the program it belongs to."""

    code: str
    program: str
    title: str = ""


class SpecialPromotion(Struct, frozen=True):
    """Group qualifiers that open special promotions for one basket (loyalty tier, coupon, subscription quota)."""

    program: str
    qualifier_ids: tuple[str, ...]
    max_application_limit: int = 1
    promo_override: dict[str, Any] | None = None


class FiscalDocument(Struct, frozen=True):
    """What a fiscal authority registered: its own id (mark) and, where it gives one, a QR value."""

    order_id: str
    fiscalisation_id: str
    qr_value: str = ""


class SettlementKind(StrEnum):
    CHARGE = "charge"
    REFUND = "refund"
    FEE = "fee"
    PAYOUT = "payout"
    CHARGEBACK = "chargeback"
    ADJUSTMENT = "adjustment"
    TRANSFER = "transfer"


class SettlementEntry(Struct, frozen=True):
    """One row of a provider's settlement (ISO 20022 words); ``net_minor = gross_minor - fee_minor``."""

    provider: str
    kind: SettlementKind
    psp_reference: str
    merchant_reference: str
    booking_date: date
    value_date: date | None
    currency: str
    gross_minor: int
    fee_minor: int
    net_minor: int
    payout_reference: str = ""
    raw: dict[str, Any] = {}


class Discrepancy(Struct, frozen=True):
    """Two records of the same money that differ: what is expected, what was found, where."""

    kind: str
    store_id: str
    reference: str
    expected: str
    found: str


class GateCheck(Struct, frozen=True):
    """A gate asked whether these pieces are paid for."""

    store_id: str
    gate_id: str
    epcs: tuple[str, ...]
    unsold: tuple[str, ...]
    at: datetime


class Subscription(Struct, frozen=True):
    """A shopper's subscription after a change (TRIAL, ACTIVE, CANCELLED, EXPIRED)."""

    subscription_id: str
    customer_id: str
    store_type: str
    status: str
    expires_at: datetime | None


class Alert(Struct, frozen=True):
    """A message for people: ``channel`` is ``high``, ``low`` or ``test``."""

    channel: str
    title: str
    text: str
    facts: dict[str, str] = {}
