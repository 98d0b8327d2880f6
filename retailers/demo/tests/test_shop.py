"""The demonstration shops and what they sell."""

import csv
from collections import Counter
from io import TextIOWrapper
from zoneinfo import ZoneInfo

import pytest

import tillhook_demo as demo
from tillhook import CsvFeed, Item, check_digit, gtin14, read_epc

CATALOGUES = ("demo_dk", "demo_se")


def rows(name: str) -> list[dict[str, str]]:
    with TextIOWrapper(demo.catalogue(name), encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def items(name: str, currency: str = "SEK") -> list[Item]:
    with demo.catalogue(name) as source:
        read = list(CsvFeed().read(source, name, currency))
    assert [row for row in read if row.item is None] == []
    return [row.item for row in read if row.item is not None]


def test_there_is_a_shop_with_barcodes_and_one_with_tags() -> None:
    dk, se = demo.stores()

    assert (dk.store_id, dk.region, dk.currency, dk.rfid) == ("sto_demo_dk", "DK", "DKK", False)
    assert (se.store_id, se.region, se.currency, se.rfid) == ("sto_demo_se", "SE", "SEK", True)
    assert {store.store_type for store in (dk, se)} == {"demo"}
    assert {store.catalogue for store in (dk, se)} == set(CATALOGUES)
    assert all(store.demo and store.active and store.address and store.tax_registration for store in (dk, se))
    assert [ZoneInfo(store.timezone).key for store in (dk, se)] == ["Europe/Copenhagen", "Europe/Stockholm"]


@pytest.mark.parametrize("name", CATALOGUES)
def test_every_row_of_a_catalogue_is_an_item(name: str) -> None:
    assert len(items(name)) == len(rows(name)) >= 240


@pytest.mark.parametrize("name", CATALOGUES)
def test_every_code_has_the_right_check_digit_and_names_one_item(name: str) -> None:
    codes = [row["retailer_barcode"] for row in rows(name)]

    assert [code for code in codes if int(code[-1]) != check_digit(code[:-1])] == []
    assert len({gtin14(code) for code in codes}) == len(codes)


@pytest.mark.parametrize("name", CATALOGUES)
def test_every_kind_of_gtin_is_there_and_none_claims_a_companys_number(name: str) -> None:
    """952 is GS1's demonstration prefix; a GTIN-12 of number system 4 belongs to whichever shop uses it."""
    codes = [row["retailer_barcode"] for row in rows(name)]
    kinds = Counter(len(code) for code in codes)

    assert set(kinds) == {8, 12, 13, 14}
    assert min(kinds.values()) >= 10
    beginnings = {8: slice(0, 3), 12: slice(0, 1), 13: slice(0, 3), 14: slice(1, 4)}
    assert {(len(code), code[beginnings[len(code)]]) for code in codes} == {
        (8, "952"),
        (12, "4"),
        (13, "952"),
        (14, "952"),
    }


def test_both_shops_sell_the_same_goods_under_names_of_their_own() -> None:
    dk, se = (items(name) for name in CATALOGUES)

    assert [item.gtin for item in dk] == [item.gtin for item in se]
    assert {item.name for item in dk} - {item.name for item in se}
    for item in (*dk, *se):
        assert item.price.minor > 0
        assert item.tax_code in {"standard", "food", "books"}
        assert item.category
        assert item.retailer_product_id


@pytest.mark.parametrize("name", CATALOGUES)
def test_one_item_is_blocked_and_some_are_limited(name: str) -> None:
    found = items(name)

    assert len([item for item in found if item.blocked_reason]) == 1
    assert {item.max_basket_quantity for item in found} == {0, 1, 2, 4}


def test_tags_are_of_pieces_that_the_shop_with_tags_sells() -> None:
    sold = {item.gtin for item in items("demo_se") if not item.blocked_reason}
    tags = demo.epcs(500)

    assert len(set(tags)) == 500
    assert {read_epc(tag).gtin for tag in tags} <= sold
    assert len({read_epc(tag).gtin for tag in tags}) > 200
    assert demo.epcs(3) == tags[:3]
    assert demo.epcs(0) == ()
