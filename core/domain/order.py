"""The order: a basket on its way to being paid, and the table of what may become what."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from tillhook.core.domain.basket import BasketLine
from tillhook.core.domain.money import Money
from tillhook.core.domain.tax import TaxResult


class OrderStatus(StrEnum):
    CREATED = "CREATED"
    COMPLETED = "COMPLETED"
    VERIFIED = "VERIFIED"
    VERIFICATION_FAILED = "VERIFICATION_FAILED"
    REFUNDED = "REFUNDED"
    CANCELLED = "CANCELLED"


ORDER_TRANSITIONS: Final[dict[OrderStatus, frozenset[OrderStatus]]] = {
    OrderStatus.CREATED: frozenset({OrderStatus.COMPLETED, OrderStatus.VERIFIED, OrderStatus.CANCELLED}),
    OrderStatus.COMPLETED: frozenset({OrderStatus.VERIFIED, OrderStatus.VERIFICATION_FAILED, OrderStatus.REFUNDED}),
    OrderStatus.VERIFIED: frozenset({OrderStatus.VERIFICATION_FAILED, OrderStatus.REFUNDED}),
    OrderStatus.VERIFICATION_FAILED: frozenset({OrderStatus.VERIFIED, OrderStatus.REFUNDED}),
    OrderStatus.REFUNDED: frozenset(),
    OrderStatus.CANCELLED: frozenset(),
}


class OrderPaymentStatus(StrEnum):
    NOT_CAPTURED = "NOT_CAPTURED"
    CAPTURED_LIVE_MODE = "CAPTURED_LIVE_MODE"
    CAPTURED_DEMO_MODE = "CAPTURED_DEMO_MODE"


class Platform(StrEnum):
    """Where the shopper is; the kiosk group is ``android_kiosk``, ``android_cashier_kiosk``, ``android_mpos``."""

    WEB = "web"
    WEB_ANDROID = "web_android"
    WEB_IOS = "web_ios"
    IOS = "ios"
    ANDROID = "android"
    ANDROID_KIOSK = "android_kiosk"
    ANDROID_PS20 = "android_ps20"
    ANDROID_CASHIER_KIOSK = "android_cashier_kiosk"
    ANDROID_MPOS = "android_mpos"


class Order(Struct, frozen=True):
    """An order. ``total`` is what is charged: the basket's total, plus tax where prices exclude it."""

    order_id: str
    o_id: int
    """Gapless per store, given at creation."""
    store_id: str
    customer_id: str
    basket_id: str
    platform: Platform
    status: OrderStatus
    payment_status: OrderPaymentStatus
    total: Money
    lines: tuple[BasketLine, ...]
    tax: TaxResult
    created_at: datetime
    completed_at: datetime | None = None
    business_day_date: date | None = None
    transaction_number: int | None = None
    """Gapless per store, given at completion."""
    transaction_id_poslog: str | None = None
    """The transaction number as the retailer writes it."""

    @property
    def epcs(self) -> tuple[str, ...]:
        return tuple(epc for line in self.lines for epc in line.epcs)


def may_become(current: OrderStatus, wanted: OrderStatus) -> bool:
    return wanted in ORDER_TRANSITIONS[current]
