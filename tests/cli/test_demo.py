"""The demonstration: everything that a script or a person needs, prepared as often as one likes."""

import base64
import json
import re
import sqlite3
from typing import Any

import pytest

from tests.cli.conftest import Folder
from tillhook.core.domain.identifiers import gtin14
from tillhook.core.storage.database import Database
from tillhook.core.storage.items import count_items, find_item


def prepared(folder: Folder, *options: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(folder.ok("demo", "--json", *options))
    return document


def claims(headers: dict[str, str]) -> dict[str, Any]:
    """What the token in the headers says; that it holds is the server's business."""
    scheme, token = headers["Authorization"].split()
    assert scheme == "Bearer"
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def test_it_gives_everything_that_a_script_needs(folder: Folder) -> None:
    demo = prepared(folder)

    assert demo["base_url"] == "http://127.0.0.1:8000"
    assert (demo["store_id"], demo["rfid_store_id"]) == ("sto_demo_dk", "sto_demo_se")
    assert len(set(demo["barcodes"])) == len(demo["barcodes"]) >= 20
    assert len(set(demo["epcs"])) >= 20
    for outcome in ("approve", "decline", "timeout", "three_ds", "pending"):
        assert set(demo[outcome]) == {"payment_method", "payment_details"}


def test_its_tokens_are_of_a_shopper_of_staff_and_of_an_operator(folder: Folder) -> None:
    demo = prepared(folder)
    shopper, staff, operator = (claims(demo[name]) for name in ("headers", "staff_headers", "operator_headers"))

    assert shopper["realm_access"]["roles"] == ["shopper"]
    assert shopper["user_id"] == demo["customer_id"]
    assert staff["realm_access"]["roles"] == ["staff"]
    assert sorted(staff["stores"]) == ["sto_demo_dk", "sto_demo_se"]
    assert operator["realm_access"]["roles"] == ["operator"]
    assert shopper["exp"] - shopper["iat"] == 12 * 3600


def test_each_barcode_can_be_sold_in_any_number(folder: Folder) -> None:
    demo = prepared(folder)
    db = Database(f"sqlite:///{folder.database}")
    try:
        items = [db.read(lambda tx, at=code: find_item(tx, "demo_dk", gtin14(at))) for code in demo["barcodes"]]  # type: ignore[misc]
    finally:
        db.close()

    assert [item for item in items if item is None or item.blocked_reason or item.max_basket_quantity] == []


def test_for_a_person_it_prints_addresses_stores_a_token_and_a_line_to_copy(folder: Folder) -> None:
    said = folder.ok("demo")

    assert "http://127.0.0.1:8000/docs" in said
    assert "sto_demo_dk" in said
    assert "\nTOKEN=ey" in said
    assert '\ncurl -s http://127.0.0.1:8000/items/v2/scan/ -H "Authorization: Bearer $TOKEN"' in said


def test_preparing_it_again_changes_nothing_and_needs_no_writer(shop: Folder) -> None:
    """A server under load holds the writer: beside it the command must only read."""
    other = sqlite3.connect(shop.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        assert prepared(shop)["store_id"] == "sto_demo_dk"
    finally:
        other.close()


def test_what_was_changed_is_put_back(shop: Folder) -> None:
    with sqlite3.connect(shop.database) as other:
        other.execute("UPDATE store SET active = 0")
        other.execute("UPDATE item SET row_hash = '', name = 'something else' WHERE gtin = '09521234001010'")
        other.execute("DELETE FROM item WHERE gtin = '09521234001027' AND catalogue = 'demo_se'")
    other.close()
    prepared(shop)

    db = Database(f"sqlite:///{shop.database}")
    try:
        item = db.read(lambda tx: find_item(tx, "demo_dk", "09521234001010"))
        assert item is not None
        assert item.name == "Bananer 1 kg"
        assert db.read(lambda tx: count_items(tx, "demo_dk")) == db.read(lambda tx: count_items(tx, "demo_se"))
    finally:
        db.close()
    assert "switched off" not in shop.ok("stores", "list")


def test_without_loading_it_touches_no_database_and_wants_one(folder: Folder) -> None:
    assert "tillhook db upgrade" in folder.refused("demo", "--no-load")
    assert not folder.database.exists()
    folder.ok("db", "upgrade")
    assert len(prepared(folder, "--no-load")["barcodes"]) >= 20
    assert "no store yet" in folder.ok("stores", "list")


@pytest.mark.parametrize(
    ("plugin", "says"),
    [("issuer", "makes tokens: switch on one that does"), ("demo", "no plugin that is switched on offers a demonstr")],
)
def test_what_is_switched_off_is_named(folder: Folder, plugin: str, says: str) -> None:
    folder.configuration.write_text(re.sub(rf"\"{plugin}\",? ?", "", folder.configuration.read_text()))
    assert says in folder.refused("demo")
