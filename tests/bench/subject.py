"""The system that is measured: the demonstration shop as `make run` serves it, in a folder and a process of its own."""

import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from msgspec import Struct

from tests.bench.floor import Shelf
from tests.bench.load import Customer
from tests.bench.servers import ROOT, free_port, server
from tillhook.app import Assembled, assemble
from tillhook.core.cli.demonstration import prepare
from tillhook.core.cli.tokens import issue
from tillhook.core.config.loading import load
from tillhook.core.domain.store import Store
from tillhook.core.storage.database import Tx
from tillhook.core.storage.events import DeliveryState, counts
from tillhook.core.storage.stores import all_stores
from tillhook.core.storage.tables import item

_LIMITS: Final = "[tillhook]\nlimits = { requests_per_minute = 1_000_000, burst = 100_000 }\n"
"""Sixteen customers do the work of thousands: the limit for one of them must not be what is measured."""


class Subject(Struct, frozen=True):
    """A shop that is set up: its folder, its database, who may shop in it and what is sold there."""

    folder: Path
    database: str
    customers: tuple[Customer, ...]
    shelves: tuple[Shelf, ...]

    @contextmanager
    def serving(self) -> Iterator[tuple[int, int]]:
        """The server as a process; gives its id and its port."""
        port = free_port()
        environment = {"TILLHOOK_DATABASE_URL": self.database, "TILLHOOK_PORT": str(port)}
        with server([sys.executable, "-m", "tillhook", "serve"], port, self.folder, environment) as pid:
            yield pid, port

    def duties_left(self) -> int:
        """How many duties wait or are being done."""
        with _assembled(self.folder, self.database) as running:
            found = running.platform.db.read(counts)
        return found.get(DeliveryState.PENDING, 0) + found.get(DeliveryState.RUNNING, 0)


def set_up(folder: Path, database: str, customers: int) -> Subject:
    """Migrate the database, put the demonstration's stores and items into it, and give each customer a token.

    The customers are spread evenly over the stores.
    """
    (folder / "tillhook.toml").write_text((ROOT / "tillhook.toml").read_text().replace("[tillhook]\n", _LIMITS, 1))
    with _assembled(folder, database) as running:
        payment = dict(prepare(running.platform).payments["approve"])
        stores = running.platform.db.read(all_stores)
        places = [stores[number % len(stores)] for number in range(customers)]
        sold = {store.store_id: running.platform.db.read(lambda tx, at=store: _sold(tx, at)) for store in stores}  # type: ignore[misc]
        shoppers = [
            Customer(_headers(running, store, f"cus_bench_{number}"), store.store_id, sold[store.store_id][1], payment)
            for number, store in enumerate(places)
        ]
    shelves = [Shelf(store.store_id, store.catalogue, store.currency, sold[store.store_id][0]) for store in places]
    return Subject(folder, database, tuple(shoppers), tuple(shelves))


@contextmanager
def _assembled(folder: Path, database: str) -> Iterator[Assembled]:
    with chdir(folder):  # the files that the configuration names are there
        running = assemble(load(folder / "tillhook.toml", {"TILLHOOK_DATABASE_URL": database}))
        try:
            yield running
        finally:
            running.stop()


def _sold(tx: Tx, store: Store) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """GTINs and barcodes of what can be bought in a store, in any number."""
    free = (item.c.catalogue == store.catalogue, item.c.blocked_reason == "", item.c.max_basket_quantity == 0)
    rows = tx.execute(sa.select(item.c.gtin, item.c.barcode).where(*free)).all()
    return tuple(row[0] for row in rows), tuple(row[1] for row in rows)


def _headers(running: Assembled, store: Store, customer_id: str) -> dict[str, str]:
    shop = running.platform.host.shop(store)
    token = issue(shop, "shopper", now=running.platform.clock(), hours=1, customer_id=customer_id)
    return {"Authorization": f"Bearer {token}"}
