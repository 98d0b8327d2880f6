"""Preparing the demonstration: what the plugins offer to be tried with, brought into the database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from tillhook.core.cli.faults import Trouble
from tillhook.core.cli.tokens import issue
from tillhook.core.domain.store import Item, Store
from tillhook.core.roles.offers import Demonstration
from tillhook.core.services.feeds import CsvFeed

if TYPE_CHECKING:
    from tillhook.core.plugins.shop import Shop
    from tillhook.core.services.platform import Platform

CUSTOMER: Final = "cus_demo"
HOURS: Final = 12
BARCODES: Final = 60
"""So many at most are handed out, from all over the catalogue."""
EPCS: Final = 100


class Prepared(Struct, frozen=True, kw_only=True):
    """What one needs to talk to the demonstration."""

    base_url: str
    docs: bool
    """Whether there are API docs."""
    pages: bool
    """Whether any plugin has a page to look at."""
    store: Store
    rfid_store: Store | None
    customer_id: str
    token: str
    staff_token: str
    operator_token: str
    barcodes: tuple[str, ...]
    epcs: tuple[str, ...]
    payments: Mapping[str, Mapping[str, Any]]

    def document(self) -> dict[str, Any]:
        """What ``tillhook demo --json`` prints."""
        return {
            **self.payments,
            "base_url": self.base_url,
            "docs_url": f"{self.base_url}/docs" if self.docs else None,
            "headers": _headers(self.token),
            "staff_headers": _headers(self.staff_token),
            "operator_headers": _headers(self.operator_token),
            "store_id": self.store.store_id,
            "rfid_store_id": self.rfid_store.store_id if self.rfid_store else None,
            "customer_id": self.customer_id,
            "barcodes": self.barcodes,
            "epcs": self.epcs,
        }


def prepare(platform: Platform, *, load: bool = True) -> Prepared:
    """Migrate the database and load stores and items, as far as they are not there yet, and make tokens.

    Only what differs is written, so that it can be repeated beside a running server. Raises Trouble when no plugin
    that is switched on offers a demonstration with a store.
    """
    offered = offered_by(platform.host.shops())
    stores = {store.store_id: store for one in offered for store in one.stores}
    if not stores:
        raise Trouble("no plugin that is switched on offers a demonstration: switch on `demo`, see `tillhook plugins`")
    if load:
        load_into(platform, offered, stores)
    store = next((one for one in stores.values() if not one.rfid), next(iter(stores.values())))
    tagged = next((one for one in stores.values() if one.rfid), None)
    shop, now = platform.host.shop(store), platform.clock()
    ids = [one.store_id for one in stores.values() if one.store_type == store.store_type]
    return Prepared(
        base_url=platform.system.server.base_url,
        docs=platform.system.server.docs,
        pages=any(one.offers("pages") for one in platform.host.shops()),
        store=store,
        rfid_store=tagged,
        customer_id=CUSTOMER,
        token=issue(shop, "shopper", now=now, hours=HOURS, customer_id=CUSTOMER),
        staff_token=issue(shop, "staff", now=now, hours=HOURS, stores=ids),
        operator_token=issue(shop, "operator", now=now, hours=HOURS),
        barcodes=tuple(sellable(offered, store)),
        epcs=tuple(unsold(platform, (epc for one in offered for epc in one.epcs))),
        payments=payments_of(shop),
    )


def offered_by(shops: Sequence[Shop]) -> list[Demonstration]:
    """Every plugin's demonstration once, however many regions it serves."""
    found: dict[tuple[str, int], Demonstration] = {}
    for shop in shops:
        places: dict[str, int] = {}
        for offered in shop.offers("demonstrations"):
            place = places[offered.plugin] = places.get(offered.plugin, -1) + 1
            found.setdefault((offered.plugin, place), offered.thing)
    return list(found.values())


def load_into(platform: Platform, offered: Sequence[Demonstration], stores: Mapping[str, Store]) -> None:
    """Migrate the database and bring in stores, and the items of every catalogue that is offered, where they differ.

    Raises Trouble, with nothing written, where that would change a real store or the prices in one.
    """
    from tillhook.core.services.importing import import_items
    from tillhook.core.storage.health import revision_of, wanted_revision
    from tillhook.core.storage.own_schemas import upgrade_all
    from tillhook.core.storage.stores import all_stores, save_store

    db = platform.db
    if db.read(revision_of) != wanted_revision():
        from tillhook.core.storage.migrating import upgrade

        upgrade(db)
    if failed := [one.error for one in upgrade_all(db, platform.rooms.schemas()) if one.error]:
        raise Trouble("; ".join(failed))
    known = {store.store_id: store for store in db.read(all_stores)}
    missing = [
        (one, catalogue)
        for one in offered
        for catalogue in one.catalogues
        if not _is_loaded(platform, _items(one, catalogue, _currency(stores, catalogue)), catalogue)
    ]
    _keep_off([store for store in known.values() if not store.demo], stores, [catalogue for _, catalogue in missing])
    for store in stores.values():
        if known.get(store.store_id) != store:
            db.write(lambda tx, at=store: save_store(tx, at))  # type: ignore[misc]
    for one, catalogue in missing:
        with one.catalogues[catalogue]() as rows:
            import_items(db, rows, CsvFeed(), catalogue, _currency(stores, catalogue))


def _keep_off(real: Sequence[Store], stores: Mapping[str, Store], catalogues: Sequence[str]) -> None:
    """Raises Trouble for a demonstration that takes the place, or changes the prices, of a store with real money."""
    for store in stores.values():
        if not store.demo:
            raise Trouble(f"the demonstration store {store.store_id} is not marked as one (demo=True); mark it")
    for store in real:
        if store.store_id in stores:
            raise Trouble(
                f"{store.store_id} is a real store ({store.name}), and a plugin offers a demonstration store of that "
                "id: nothing was brought in; try it on a database of its own"
            )
        if store.catalogue in catalogues:
            raise Trouble(
                f"the catalogue {store.catalogue} is that of the real store {store.store_id} ({store.name}), and a "
                "demonstration has items for it: nothing was brought in; try it on a database of its own"
            )


def _is_loaded(platform: Platform, items: Sequence[Item], catalogue: str) -> bool:
    """Whether the catalogue has every item as the demonstration wants it; reads only."""
    from tillhook.core.services.importing import fingerprint
    from tillhook.core.storage.items import existing_rows

    gtins = [item.gtin for item in items]
    known = platform.db.read(lambda tx: existing_rows(tx, catalogue, gtins))
    return all(known.get(item.gtin, ("", ""))[1] == fingerprint(item) for item in items)


def _currency(stores: Mapping[str, Store], catalogue: str) -> str:
    for store in stores.values():
        if store.catalogue == catalogue:
            return store.currency
    raise Trouble(f"the demonstration's catalogue {catalogue} is used by none of its stores, so it has no currency")


def _items(demonstration: Demonstration, catalogue: str, currency: str) -> list[Item]:
    with demonstration.catalogues[catalogue]() as source:
        return [row.item for row in CsvFeed().read(source, catalogue, currency) if row.item is not None]


def sellable(offered: Sequence[Demonstration], store: Store) -> Iterator[str]:
    """Barcodes that can be bought in any number."""
    for one in offered:
        if store.catalogue in one.catalogues:
            items = _items(one, store.catalogue, store.currency)
            free = [item.barcode for item in items if not item.blocked_reason and not item.max_basket_quantity]
            yield from free[:: max(1, len(free) // BARCODES)][:BARCODES]


def unsold(platform: Platform, epcs: Iterable[str]) -> list[str]:
    """Those tags that no order has, as many as are handed out."""
    from tillhook.core.domain.epc import read_epc
    from tillhook.core.storage.orders import is_sold

    tags = dict.fromkeys(epcs)
    return platform.db.read(lambda tx: list(islice((epc for epc in tags if not is_sold(tx, read_epc(epc).uri)), EPCS)))


def payments_of(shop: Shop) -> Mapping[str, Mapping[str, Any]]:
    """What the shop's gateway can be made to do."""
    gateway = shop.owner(shop.gateway)
    return {
        name: fields
        for offered in shop.offers("demonstrations")
        if offered.plugin == gateway
        for name, fields in offered.thing.payments.items()
    }


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
