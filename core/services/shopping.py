"""Filling a basket: scan, change, remove, read. Hooks are asked outside of any transaction.

Saving is a compare-and-set on the basket's version: whoever comes second reads again and decides anew.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from tillhook.core.domain.basket import (
    Basket,
    Changed,
    PriceModification,
    add_item,
    change_quantity,
    must_be_open,
    remove_line,
)
from tillhook.core.domain.epc import read_epc
from tillhook.core.domain.identifiers import gtin14
from tillhook.core.domain.problems import (
    basket_changed,
    epc_already_sold,
    item_not_found,
    malformed_body,
    wrong_store,
)
from tillhook.core.domain.store import Item, ScanCode, Store
from tillhook.core.plugins.shop import Shop
from tillhook.core.roles.offers import Principal
from tillhook.core.services.access import customer_of, may_act_in, own_basket
from tillhook.core.services.calculating import discounted
from tillhook.core.services.once import Overtaken, earlier_reply, remember
from tillhook.core.services.platform import Platform
from tillhook.core.services.wire import BasketView, Reply, ScanRequest, ScanView, basket_view, line_view, reply
from tillhook.core.storage.baskets import insert_basket, load_basket, save_basket
from tillhook.core.storage.database import Tx
from tillhook.core.storage.idempotency import Once
from tillhook.core.storage.items import find_item
from tillhook.core.storage.orders import is_sold

ATTEMPTS: Final = 8
"""How often a change is decided anew when others keep changing the same basket."""


def scan(platform: Platform, who: Principal, request: ScanRequest, once: Once | None) -> Reply:
    """Read the code, find the item, put it into the basket (a new one without ``basket_id``)."""
    store, shop = platform.open_store(request.store_id)
    may_act_in(store, who, shop)
    code = read_code(shop, store, request)
    item: Item | None = shop.ask("item_for", scan=code, store=store)

    def attempt() -> Reply | None:
        now = platform.clock()
        earlier, basket, found, sold = platform.db.read(lambda tx: _look_up(tx, request, once, item, code, store))
        if earlier is not None:
            return earlier
        if sold:
            raise epc_already_sold(f"EPC {code.epc} was sold already.", epc=code.epc)
        if found is None:
            raise item_not_found(f"{code.scanned} is not in the catalogue of {store.name}.", barcode=code.scanned)
        if request.basket_id is None:
            lasts = timedelta(minutes=shop.settings.basket.expires_minutes)
            basket = Basket(
                basket_id=platform.new_id("bsk"),
                store_id=store.store_id,
                customer_id=customer_of(who),
                currency=store.currency,
                expires_at=now + lasts,
            )
        else:
            basket = own_basket(basket, who, request.basket_id)
        must_be_open(basket, now)
        if basket.store_id != store.store_id:
            raise wrong_store(f"Basket {basket.basket_id} belongs to another store.", store_id=basket.store_id)
        changed = add_item(
            basket,
            found,
            request.quantity,
            epc=code.epc,
            unit_price=code.unit_price,
            max_lines=shop.settings.basket.max_lines,
        )
        after, changes = _promoted(platform, shop, store, changed, now)
        line_no = changes[0].line_no
        return _save(platform, after, changes, once, now, lambda: _scan_view(after, line_no))

    return _until_saved(attempt)


def set_quantity(
    platform: Platform, who: Principal, basket_id: str, line_no: int, quantity: int, once: Once | None
) -> Reply:
    """Set a line's quantity. Raises ``line_not_found``, ``quantity_invalid``."""
    return _change(platform, who, basket_id, once, lambda basket: change_quantity(basket, line_no, quantity))


def remove(
    platform: Platform, who: Principal, basket_id: str, line_no: int, epc: str | None, once: Once | None
) -> Reply:
    """Take a line (or one tagged piece of it) out. Raises ``line_not_found``."""
    uri = read_epc(epc).uri if epc is not None else None
    return _change(platform, who, basket_id, once, lambda basket: remove_line(basket, line_no, epc=uri))


def read(platform: Platform, who: Principal, basket_id: str) -> BasketView:
    return basket_view(own_basket(platform.db.read(lambda tx: load_basket(tx, basket_id)), who, basket_id))


def read_code(shop: Shop, store: Store, request: ScanRequest) -> ScanCode:
    """What was scanned: an EPC, a code that a plugin understands, or a GTIN. Raises ``barcode_invalid``."""
    if request.epc is not None and request.barcode is None:
        tag = read_epc(request.epc)
        return ScanCode(scanned=request.epc, gtin=tag.gtin, epc=tag.uri, rule="sgtin")
    if request.barcode is None or request.epc is not None:
        raise malformed_body("Send exactly one of `barcode` and `epc`.")
    code: ScanCode | None = shop.ask("scan_for", code=request.barcode, store=store)
    return code or ScanCode(scanned=request.barcode, gtin=gtin14(request.barcode.strip()))


def _look_up(
    tx: Tx, request: ScanRequest, once: Once | None, item: Item | None, code: ScanCode, store: Store
) -> tuple[Reply | None, Basket | None, Item | None, bool]:
    earlier = earlier_reply(tx, once)
    if earlier is not None:
        return earlier, None, None, False
    basket = load_basket(tx, request.basket_id) if request.basket_id is not None else None
    found = item or find_item(tx, store.catalogue, code.gtin)
    return None, basket, found, code.epc is not None and is_sold(tx, code.epc)


def _change(
    platform: Platform, who: Principal, basket_id: str, once: Once | None, decide: Callable[[Basket], Changed]
) -> Reply:
    def attempt() -> Reply | None:
        now = platform.clock()
        earlier, found = platform.db.read(lambda tx: (earlier_reply(tx, once), load_basket(tx, basket_id)))
        if earlier is not None:
            return earlier
        basket = own_basket(found, who, basket_id)
        store, shop = platform.open_store(basket.store_id)
        may_act_in(store, who, shop)
        must_be_open(basket, now)
        after, changes = _promoted(platform, shop, store, decide(basket), now)
        return _save(platform, after, changes, once, now, lambda: basket_view(after))

    return _until_saved(attempt)


def _promoted(platform: Platform, shop: Shop, store: Store, changed: Changed, now: datetime) -> Changed:
    """The basket with the promotions that it now earns."""
    engine = shop.promotions
    if engine is None:
        return changed
    basket, changes = changed
    customer = shop.ask("customer_for", customer_id=basket.customer_id, store=store)
    answers = shop.ask_all("special_promotions_for", basket=basket, customer=customer, coupons=(), store=store)
    special = [promotion for answer in answers for promotion in answer]
    promoted, moves = discounted(shop, engine, basket, store, special, now)
    return promoted, (*changes, *moves)


def _save(
    platform: Platform,
    basket: Basket,
    changes: tuple[PriceModification, ...],
    once: Once | None,
    now: datetime,
    view: Callable[[], BasketView | ScanView],
) -> Reply | None:
    """Save and answer; None when the basket changed meanwhile and all must be decided anew."""

    def work(tx: Tx) -> Reply | None:
        if basket.version == 0:
            insert_basket(tx, basket, changes, now)
        elif not save_basket(tx, basket, changes, now):
            return None
        return remember(tx, once, reply(view()), now)

    try:
        return platform.db.write(work)
    except Overtaken:
        return None


def _scan_view(basket: Basket, line_no: int) -> ScanView:
    shown = basket_view(basket)
    line = line_view(basket.line(line_no), basket.currency)
    return ScanView(basket.basket_id, line, line.price, line.promotions, shown.basket_total, shown)


def _until_saved(attempt: Callable[[], Reply | None]) -> Reply:
    for _ in range(ATTEMPTS):
        saved = attempt()
        if saved is not None:
            return saved
    raise basket_changed("The basket kept changing; read it and try again.")
