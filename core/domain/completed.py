"""What the hooks of a finished sale receive, and what they hand back."""

from __future__ import annotations

from datetime import date, datetime

from msgspec import Struct

from tillhook.core.domain.basket import BasketLine
from tillhook.core.domain.money import Money
from tillhook.core.domain.order import Platform
from tillhook.core.domain.tax import TaxResult


class Tender(Struct, frozen=True):
    """How one part of the total was paid (ARTS tender)."""

    payment_id: str
    method: str
    gateway: str
    amount: Money
    psp_reference: str = ""
    card_brand: str = ""
    card_last4: str = ""


class CompletedOrder(Struct, frozen=True):
    """A paid order with everything that fulfilment, POSLog and receipts need. Tenders sum to ``total``."""

    order_id: str
    o_id: int
    transaction_number: int
    transaction_id_poslog: str
    store_id: str
    customer_id: str
    basket_id: str
    platform: Platform
    business_day_date: date
    created_at: datetime
    completed_at: datetime
    total: Money
    lines: tuple[BasketLine, ...]
    tax: TaxResult
    tenders: tuple[Tender, ...]
    demo: bool = False

    @property
    def epcs(self) -> tuple[str, ...]:
        return tuple(epc for line in self.lines for epc in line.epcs)


class PosLog(Struct, frozen=True):
    """A transaction log document as its back office wants it."""

    media_type: str
    document: str
    reference: str = ""
    """The document's own number or file name."""


class Fulfilled(Struct, frozen=True):
    """A duty was done; ``reference`` is what the other side calls it."""

    reference: str = ""
