"""From basket to order: one live order per basket, whatever arrives at once."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec.structs import replace

from tillhook.core.domain.basket import Basket, BasketStatus, ChangeKind, PriceModification, must_be_open
from tillhook.core.domain.money import Money
from tillhook.core.domain.order import Order, OrderPaymentStatus, OrderStatus
from tillhook.core.domain.payment import OPEN, PAID, Payment, PaymentStatus
from tillhook.core.domain.problems import (
    basket_changed,
    basket_empty,
    basket_refused,
    forbidden,
    order_not_cancellable,
    wrong_store,
)
from tillhook.core.domain.store import Store
from tillhook.core.domain.tax import TaxResult
from tillhook.core.plugins.shop import Shop
from tillhook.core.roles.offers import Principal
from tillhook.core.roles.people import SHOPPERS
from tillhook.core.services.access import customer_of, may_act_in, own_basket, own_order
from tillhook.core.services.announcing import announce, order_shadows
from tillhook.core.services.calculating import tax_of
from tillhook.core.services.once import Overtaken, earlier_reply, remember
from tillhook.core.services.platform import Platform
from tillhook.core.services.wire import CreateOrderRequest, OrderCreated, Reply, reply
from tillhook.core.storage.baskets import audited_total, insert_changes, load_basket, reopen_basket, save_basket
from tillhook.core.storage.database import Tx
from tillhook.core.storage.idempotency import Once
from tillhook.core.storage.numbers import ORDER, next_number
from tillhook.core.storage.orders import cancel_order, insert_order, live_order_of, load_order
from tillhook.core.storage.payments import insert_payment, payment_of_order, save_payment
from tillhook.core.telemetry.logs import note

ATTEMPTS: Final = 8


class AuditMismatch(AssertionError):
    """The audit rows of a basket do not sum to its order's total: nothing may be charged on such a basis."""


def create_order(platform: Platform, who: Principal, request: CreateOrderRequest, once: Once | None) -> Reply:
    """Make the basket's order, or return the one it has. The basket cannot change from here on.

    The tax is computed now, not after the payment: what the shopper is shown is what is charged.
    """
    store, shop = platform.open_store(request.store_id)
    may_act_in(store, who, shop)
    if request.customer_id is not None and who.roles & SHOPPERS and request.customer_id != customer_of(who):
        raise forbidden("`customer_id` must be your own.", customer_id=request.customer_id)
    for _ in range(ATTEMPTS):
        earlier, found, existing = platform.db.read(
            lambda tx: (
                earlier_reply(tx, once),
                load_basket(tx, request.basket_id),
                live_order_of(tx, request.basket_id),
            )
        )
        if earlier is not None:
            return earlier
        basket = own_basket(found, who, request.basket_id)
        if basket.store_id != store.store_id:
            raise wrong_store(f"Basket {basket.basket_id} belongs to another store.", store_id=basket.store_id)
        if existing is not None:
            return reply(_created(existing))
        try:
            made = _order(platform, store, shop, basket, request, once)
        except Overtaken:
            continue
        if made is not None:
            return made
    raise basket_changed(f"Basket {request.basket_id} kept changing; read it and try again.")


def _order(
    platform: Platform, store: Store, shop: Shop, basket: Basket, request: CreateOrderRequest, once: Once | None
) -> Reply | None:
    now = platform.clock()
    must_be_open(basket, now)
    if not basket.lines:
        raise basket_empty(f"Basket {basket.basket_id} is empty.", basket_id=basket.basket_id)
    problems = [text for answer in shop.ask_all("problems_for", basket=basket, store=store) for text in answer]
    if problems:
        raise basket_refused(" ".join(problems), problems=problems)
    tax = tax_of(shop, basket, store)
    on_top = 0 if tax.included else tax.total_tax
    total = Money(basket.total.minor + on_top, basket.currency)
    changes = _tax_row(basket, on_top, "tax on top of the prices")
    ordered = replace(basket, status=BasketStatus.ORDERED, last_sequence=basket.last_sequence + len(changes))
    order_id, payment_id = platform.new_id("ord"), platform.new_id("pay")

    def work(tx: Tx) -> Reply | None:
        # The compare-and-set is the lock: of any number of callers exactly one moves the basket to ORDERED.
        if not save_basket(tx, ordered, changes, now):
            return None
        audited = audited_total(tx, basket.basket_id)
        if audited != total.minor:
            raise AuditMismatch(f"basket {basket.basket_id}: audit rows sum to {audited}, the total is {total.minor}")
        order = _new_order(order_id, store, basket, request, total, tax, now)
        payment = Payment(payment_id, order_id, shop.settings.payment.gateway, PaymentStatus.WAITING, total)
        order = replace(order, o_id=next_number(tx, store.store_id, ORDER, first=shop.settings.order.first_number))
        insert_order(tx, order)
        insert_payment(tx, payment, now)
        facts = {"order_id": order.order_id}
        also = order_shadows(shop, order.order_id)
        announce(tx, shop, "order_created", order.order_id, facts, now, platform.new_id, also=also)
        return remember(tx, once, reply(_created(order)), now)

    made = platform.db.write(work)
    note(order_id=order_id)
    if shop.implementers("order_created"):
        platform.wake()
    return made


def cancel(platform: Platform, who: Principal, order_id: str, once: Once | None) -> Reply:
    """Cancel an unpaid order; its basket can change again. A numbered order is voided, never deleted."""
    for _ in range(ATTEMPTS):
        earlier, found, payment = platform.db.read(
            lambda tx: (earlier_reply(tx, once), load_order(tx, order_id), payment_of_order(tx, order_id))
        )
        if earlier is not None:
            return earlier
        order = own_order(found, who, order_id)
        store = platform.store(order.store_id)
        may_act_in(store, who, platform.host.shop(store))
        if payment is None or order.status is not OrderStatus.CREATED or payment.status in PAID | OPEN:
            raise order_not_cancellable(
                f"Order {order_id} is {order.status.value} and its payment "
                f"{payment.status.value if payment else 'missing'}; it cannot be cancelled.",
                order_id=order_id,
            )
        try:
            done = _cancel(platform, order, payment, once)
        except Overtaken:
            continue
        if done is not None:
            return done
    raise order_not_cancellable(f"Order {order_id} kept changing; read it and try again.", order_id=order_id)


def _cancel(platform: Platform, order: Order, payment: Payment, once: Once | None) -> Reply | None:
    now = platform.clock()
    cancelled = replace(order, status=OrderStatus.CANCELLED)

    def work(tx: Tx) -> Reply | None:
        # Whoever starts a payment changes the same row: either the payment is claimed or the order is cancelled.
        if not save_payment(tx, replace(payment, status=PaymentStatus.ABANDONED), now):
            return None
        if not cancel_order(tx, order.order_id):
            raise Overtaken
        basket = load_basket(tx, order.basket_id)
        assert basket is not None, "a foreign key holds the basket"
        on_top = -(order.total.minor - basket.total.minor)
        changes = _tax_row(basket, on_top, "order cancelled")
        reopen_basket(tx, basket.basket_id, basket.last_sequence + len(changes))
        insert_changes(tx, basket.basket_id, changes, now)
        return remember(tx, once, reply(_created(cancelled)), now)

    return platform.db.write(work)


def _tax_row(basket: Basket, amount: int, reason: str) -> tuple[PriceModification, ...]:
    if not amount:
        return ()
    before = basket.total.minor if amount > 0 else basket.total.minor - amount
    return (PriceModification(basket.last_sequence + 1, ChangeKind.TAX, 0, amount, before + amount, reason),)


def _new_order(
    order_id: str,
    store: Store,
    basket: Basket,
    request: CreateOrderRequest,
    total: Money,
    tax: TaxResult,
    now: datetime,
) -> Order:
    return Order(
        order_id=order_id,
        o_id=0,
        store_id=store.store_id,
        customer_id=basket.customer_id,
        basket_id=basket.basket_id,
        platform=request.platform,
        status=OrderStatus.CREATED,
        payment_status=OrderPaymentStatus.NOT_CAPTURED,
        total=total,
        lines=basket.lines,
        tax=tax,
        created_at=now,
    )


def _created(order: Order) -> OrderCreated:
    return OrderCreated(
        order.order_id, order.o_id, order.basket_id, order.status.value, order.payment_status.value, order.total
    )
