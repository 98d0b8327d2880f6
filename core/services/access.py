"""Who may act in which store, on whose things. What is not allowed here is refused."""

from __future__ import annotations

from tillhook.core.domain.basket import Basket
from tillhook.core.domain.order import Order
from tillhook.core.domain.problems import basket_not_found, forbidden, order_not_found
from tillhook.core.domain.store import Store
from tillhook.core.plugins.shop import Shop
from tillhook.core.roles.offers import Principal
from tillhook.core.roles.people import DEVICE, OPERATOR, SHOPPERS, STAFF


def may_act_in(store: Store, who: Principal, shop: Shop) -> None:
    """Raises ``forbidden`` unless the token's issuer is one of the store's own and covers the store."""
    if not who.vouched_by(shop.identity_providers):
        raise forbidden(f"Tokens of this issuer are not accepted in store {store.store_id}.", store_id=store.store_id)
    if who.stores is not None and store.store_id not in who.stores:
        raise forbidden(f"This token is not for store {store.store_id}.", store_id=store.store_id)
    bound = bool(who.roles & {STAFF, DEVICE}) and OPERATOR not in who.roles
    if bound and who.stores is None:
        raise forbidden("A staff or device token must name its stores.", store_id=store.store_id)


def customer_of(who: Principal) -> str:
    """In whose name a basket is kept: the shopper, or the device itself."""
    return who.customer_id or who.subject


def owns(who: Principal, customer_id: str, store_id: str) -> bool:
    """Whether a shopper's basket or order is this caller's business."""
    if OPERATOR in who.roles:
        return True
    if who.roles & {STAFF, DEVICE} and who.stores is not None and store_id in who.stores:
        return True
    return bool(who.roles & SHOPPERS) and customer_of(who) == customer_id


def own_basket(basket: Basket | None, who: Principal, basket_id: str) -> Basket:
    """The basket, if it is there and the caller's; both failures look the same to a stranger."""
    if basket is None or not owns(who, basket.customer_id, basket.store_id):
        raise basket_not_found(f"There is no basket {basket_id!r} of yours.", basket_id=basket_id)
    return basket


def own_order(order: Order | None, who: Principal, order_id: str) -> Order:
    """The order, if it is there and the caller's; both failures look the same to a stranger."""
    if order is None or not owns(who, order.customer_id, order.store_id):
        raise order_not_found(f"There is no order {order_id!r} of yours.", order_id=order_id)
    return order
