"""Stores and items as they go into the database and come out of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from tillhook.core.domain.money import Money
from tillhook.core.domain.store import Item, Store
from tillhook.core.storage import items, stores
from tillhook.core.storage.database import Database
from tillhook.core.storage.migrating import upgrade

STORE = Store(
    store_id="sto_1",
    store_type="corner",
    region="SE",
    name="Hörnet",
    currency="SEK",
    timezone="Europe/Stockholm",
    catalogue="corner_se",
    retailer_store_id="0042",
    active=False,
    rfid=True,
    demo=True,
    address="Exempelgatan 1",
    tax_registration="SE000000000001",
)
LEMON = Item(
    item_id="itm_lemon",
    catalogue="corner_se",
    gtin="00000095212340",
    barcode="95212340",
    name="Citron",
    price=Money(450, "SEK"),
    tax_code="vat12",
    category="Fruit",
    retailer_product_id="L-1",
    max_basket_quantity=6,
    blocked_reason="recalled",
)


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A new, migrated database."""
    url = f"sqlite:///{tmp_path}/shop.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = Database(url, pool_size=2)
    upgrade(opened)
    yield opened
    opened.close()


def test_a_store_comes_back_as_it_was_saved(db: Database) -> None:
    db.write(lambda tx: stores.save_store(tx, STORE))

    assert db.read(lambda tx: stores.load_store(tx, "sto_1")) == STORE


def test_saving_a_store_again_replaces_all_of_it(db: Database) -> None:
    moved = replace(STORE, name="Torget", active=True, rfid=False, catalogue="other", address="")
    db.write(lambda tx: stores.save_store(tx, STORE))
    db.write(lambda tx: stores.save_store(tx, moved))

    assert db.read(stores.all_stores) == (moved,)


def test_all_stores_come_in_the_order_of_their_ids(db: Database) -> None:
    db.write(lambda tx: stores.save_store(tx, replace(STORE, store_id="sto_b")))
    db.write(lambda tx: stores.save_store(tx, replace(STORE, store_id="sto_a")))

    assert [store.store_id for store in db.read(stores.all_stores)] == ["sto_a", "sto_b"]


def test_an_unknown_store_is_none(db: Database) -> None:
    assert db.read(lambda tx: stores.load_store(tx, "sto_1")) is None


def test_an_item_comes_back_as_it_was_written(db: Database) -> None:
    db.write(lambda tx: items.upsert_items(tx, [(LEMON, "hash-1")]))

    assert db.read(lambda tx: items.find_item(tx, LEMON.catalogue, LEMON.gtin)) == LEMON


def test_an_item_written_again_keeps_its_id_and_changes_in_all_else(db: Database) -> None:
    dearer = replace(LEMON, item_id="itm_other", price=Money(550, "EUR"), barcode="00095212340", blocked_reason="")
    db.write(lambda tx: items.upsert_items(tx, [(LEMON, "hash-1")]))
    db.write(lambda tx: items.upsert_items(tx, [(dearer, "hash-2")]))

    assert db.read(lambda tx: items.find_item(tx, LEMON.catalogue, LEMON.gtin)) == replace(dearer, item_id="itm_lemon")
    existing = db.read(lambda tx: items.existing_rows(tx, LEMON.catalogue, [LEMON.gtin, "00000000000017"]))
    assert existing == {LEMON.gtin: ("itm_lemon", "hash-2")}


def test_catalogues_do_not_see_each_others_items(db: Database) -> None:
    elsewhere = replace(LEMON, catalogue="corner_dk", item_id="itm_2", price=Money(300, "DKK"))
    db.write(lambda tx: items.upsert_items(tx, [(LEMON, ""), (elsewhere, "")]))

    assert db.read(lambda tx: items.find_item(tx, "corner_dk", LEMON.gtin)) == elsewhere
    assert db.read(lambda tx: items.find_item(tx, "corner_no", LEMON.gtin)) is None
    counts = db.read(lambda tx: [items.count_items(tx, at) for at in ("corner_se", "corner_dk", "corner_no")])
    assert counts == [1, 1, 0]


def test_writing_no_items_writes_nothing(db: Database) -> None:
    db.write(lambda tx: items.upsert_items(tx, []))

    assert db.read(lambda tx: items.existing_rows(tx, "corner_se", [])) == {}


def test_the_database_itself_refuses_a_negative_price(db: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="price_not_negative"):
        db.write(lambda tx: items.upsert_items(tx, [(replace(LEMON, price=Money(-1, "SEK")), "")]))


def test_a_gtin_is_new_only_once() -> None:
    with items.SeenGtins() as seen:
        assert [seen.first_time(gtin) for gtin in ("00000000000017", "00000095212340", "00000000000017")] == [
            True,
            True,
            False,
        ]
