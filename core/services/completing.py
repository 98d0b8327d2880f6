"""Completing a paid order: declared steps, one short transaction, the gapless number last.

If the process dies between any two steps nothing of them is left, the payment's operation is still open, and the
resolver or the next read completes the order: once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from tillhook.core.domain.aftersale import Discrepancy
from tillhook.core.domain.basket import BasketStatus
from tillhook.core.domain.completed import CompletedOrder, Tender
from tillhook.core.domain.order import Order, OrderPaymentStatus, OrderStatus
from tillhook.core.domain.payment import PAID, Payment
from tillhook.core.domain.problems import epc_already_sold
from tillhook.core.domain.store import Store
from tillhook.core.plugins.shop import Shop
from tillhook.core.services.announcing import announce, payment_shadows
from tillhook.core.services.ordering import AuditMismatch
from tillhook.core.services.platform import Platform
from tillhook.core.storage.baskets import audited_total, move_basket
from tillhook.core.storage.database import Tx
from tillhook.core.storage.numbers import TRANSACTION, next_number
from tillhook.core.storage.orders import claim_epcs, complete_order, insert_poslog

log = structlog.get_logger("tillhook.orders")

SALE_DUTIES: Final = ("fulfil_order", "update_loyalty", "redeem_coupons", "submit_fiscal_document", "send_receipt")
EPC_DUTIES: Final = ("mark_epcs_sold",)


class Completion(Struct, frozen=True):
    """What the steps hand on: the order as it stands, and when and for whom it is completed."""

    platform: Platform
    shop: Shop
    store: Store
    payment: Payment
    order: Order
    now: datetime


class AlreadyCompleted(Exception):
    """Another worker completed the order first; this transaction must leave nothing."""


def _check_totals(tx: Tx, c: Completion) -> Completion:
    if c.payment.status not in PAID:
        raise AuditMismatch(f"order {c.order.order_id}: its payment is {c.payment.status.value}")
    audited = audited_total(tx, c.order.basket_id)
    if not audited == c.order.total.minor == c.payment.amount.minor:
        raise AuditMismatch(
            f"order {c.order.order_id}: total {c.order.total}, charged {c.payment.amount}, audit rows {audited}"
        )
    return c


def _set_statuses(tx: Tx, c: Completion) -> Completion:
    order = replace(
        c.order,
        status=OrderStatus.VERIFIED if c.shop.settings.order.auto_verify else OrderStatus.COMPLETED,
        payment_status=OrderPaymentStatus.CAPTURED_DEMO_MODE if c.store.demo else OrderPaymentStatus.CAPTURED_LIVE_MODE,
        completed_at=c.now,
        business_day_date=c.now.astimezone(ZoneInfo(c.store.timezone)).date(),
    )
    return replace(c, order=order)


def _expire_basket(tx: Tx, c: Completion) -> Completion:
    move_basket(tx, c.order.basket_id, BasketStatus.ORDERED, BasketStatus.EXPIRED)
    return c


def _sell_epcs(tx: Tx, c: Completion) -> Completion:
    for epc in claim_epcs(tx, c.order.epcs, c.order.store_id, c.order.order_id, c.now):
        # The money is taken, so the order completes; that two shoppers paid for one piece is for people to mend.
        log.error("piece paid for twice", order_id=c.order.order_id, epc=epc)
        order_id = c.order.order_id
        twice = Discrepancy("epc_paid_twice", c.order.store_id, order_id, f"{epc} in one order", "in two orders")
        facts = msgspec.to_builtins(twice)
        announce(tx, c.shop, "discrepancy_found", order_id, facts, c.now, c.platform.new_id, always=True)
    return c


def take_epcs(tx: Tx, order: Order, now: datetime) -> None:
    """Claim an order's tagged pieces before its payment begins. Raises ``epc_already_sold``."""
    if taken := claim_epcs(tx, order.epcs, order.store_id, order.order_id, now):
        raise epc_already_sold(
            f"EPC {taken[0]} is being paid for in another order, or was sold; cancel the order and remove it.",
            epc=taken[0],
        )


def _plan_duties(tx: Tx, c: Completion) -> Completion:
    duties = SALE_DUTIES + (EPC_DUTIES if c.order.epcs else ())
    facts = {"order_id": c.order.order_id, "payment_id": c.payment.payment_id}
    announce(
        tx,
        c.shop,
        "order_completed",
        c.order.order_id,
        facts,
        c.now,
        c.platform.new_id,
        duties=duties,
        also=payment_shadows(c.shop, c.order.order_id, c.payment.amount),
        always=True,
    )
    return c


def _take_number(tx: Tx, c: Completion) -> Completion:
    number = next_number(tx, c.store.store_id, TRANSACTION)
    written = c.shop.ask("transaction_id_for", order=c.order, number=number, store=c.store)
    order = replace(c.order, transaction_number=number, transaction_id_poslog=written or str(number))
    if not complete_order(tx, order):
        raise AlreadyCompleted(order.order_id)
    return replace(c, order=order)


def _store_poslog(tx: Tx, c: Completion) -> Completion:
    document = c.shop.ask("poslog_for", order=completed(c.order, c.payment, c.store), store=c.store)
    if document is not None:
        insert_poslog(tx, c.order.order_id, document, c.now)
    return c


Step = Callable[[Tx, Completion], Completion]

COMPLETION_STEPS: Final[tuple[tuple[str, Step], ...]] = (
    ("check_totals", _check_totals),
    ("set_statuses", _set_statuses),
    ("expire_basket", _expire_basket),
    ("sell_epcs", _sell_epcs),
    ("plan_duties", _plan_duties),
    ("take_number", _take_number),
    ("store_poslog", _store_poslog),
)
"""In this order; the number's row is locked until the commit, so what can go before it does."""


def complete(tx: Tx, completion: Completion) -> Order:
    """Run every step in the caller's transaction. Raises AlreadyCompleted, AuditMismatch, or a plugin's problem."""
    for name, step in COMPLETION_STEPS:
        completion.platform.checkpoint(f"completion.{name}")
        completion = step(tx, completion)
    completion.platform.checkpoint("completion.commit")
    return completion.order


def completed(order: Order, payment: Payment, store: Store) -> CompletedOrder:
    """The order as hooks receive it. Raises ValueError for one that is not complete."""
    if order.completed_at is None or order.business_day_date is None or order.transaction_number is None:
        raise ValueError(f"order {order.order_id} is not complete")
    tenders = (
        (
            Tender(
                payment.payment_id,
                payment.payment_method,
                payment.gateway,
                payment.amount,
                payment.psp_reference,
                payment.card_brand,
                payment.card_last4,
            ),
        )
        if payment.amount
        else ()
    )
    return CompletedOrder(
        order_id=order.order_id,
        o_id=order.o_id,
        transaction_number=order.transaction_number,
        transaction_id_poslog=order.transaction_id_poslog or str(order.transaction_number),
        store_id=order.store_id,
        customer_id=order.customer_id,
        basket_id=order.basket_id,
        platform=order.platform,
        business_day_date=order.business_day_date,
        created_at=order.created_at,
        completed_at=order.completed_at,
        total=order.total,
        lines=order.lines,
        tax=order.tax,
        tenders=tenders,
        demo=store.demo,
    )
