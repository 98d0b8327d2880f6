"""``tillhook stores``, ``tillhook orders``, ``tillhook doctor``."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import Folder
from tillhook.core.cli.demonstration import prepare
from tillhook.core.storage.events import DeliveryState, claim, finish
from tillhook.core.testing.shop import TillShop

STORE = """
[[stores]]
store_id = "{store_id}"
store_type = "demo"
region = "DK"
name = "Havnen"
currency = "DKK"
timezone = "Europe/Copenhagen"
catalogue = "demo_dk"
retailer_store_id = "0003"
"""


def stores_file(tmp_path: Path, text: str) -> str:
    file = tmp_path / "stores.toml"
    file.write_text(text)
    return str(file)


def test_stores_are_brought_in_and_listed(shop: Folder, tmp_path: Path) -> None:
    file = stores_file(tmp_path, STORE.format(store_id="sto_3") + STORE.format(store_id="sto_4"))

    assert "2 stores: 2 new, 0 changed, 0 as before" in shop.ok("stores", "import", file)
    assert "2 stores: 0 new, 0 changed, 2 as before" in shop.ok("stores", "import", file)
    assert "sto_3\tHavnen\tdemo\tDK\tDKK\tdemo_dk\tno\tready" in shop.ok("stores", "list")
    assert [store["store_id"] for store in json.loads(shop.ok("stores", "list", "--json"))] == [
        "sto_3",
        "sto_4",
        "sto_demo_dk",
        "sto_demo_se",
    ]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('region = "DK"', 'region = "Denmark"', "region 'Denmark' must be two capitals"),
        ('currency = "DKK"', 'currency = "KRONER"', "KRONER"),
        ('timezone = "Europe/Copenhagen"', 'timezone = "Copenhagen"', "timezone 'Copenhagen' is no IANA name"),
        ('catalogue = "demo_dk"', 'catalog = "demo_dk"', "no field 'catalog' (did you mean 'catalogue'?)"),
        ('catalogue = "demo_dk"\n', "", "missing required field `catalogue`"),
        ('name = "Havnen"', 'name = ""', "name is empty"),
        ('name = "Havnen"', "name = 7", "Expected `str`, got `int`"),
        ('store_id = "sto_4"', 'store_id = "sto_3"', "its store_id is in the file twice"),
        ("[[stores]]", "[[shops]]", "one [[stores]] table for each store, and nothing else"),
        ("[[stores]]", "[[stores]", "is not TOML"),
    ],
)
def test_one_wrong_store_keeps_all_of_them_out(shop: Folder, tmp_path: Path, old: str, new: str, says: str) -> None:
    second = STORE.format(store_id="sto_4").replace(old, new)
    line = shop.refused("stores", "import", stores_file(tmp_path, STORE.format(store_id="sto_3") + second), code=2)

    assert says.lower() in line.lower()
    assert "sto_3" not in shop.ok("stores", "list")


def test_a_store_without_plugins_is_kept_and_pointed_out(shop: Folder, tmp_path: Path) -> None:
    text = STORE.format(store_id="sto_3").replace('"demo"', '"demmo"')
    result = shop.run("stores", "import", stores_file(tmp_path, text))

    assert result.exit_code == 0
    assert "not served: store type demmo/DK: the configuration has no layer for it" in result.stderr
    assert "sto_3\tHavnen\tdemmo\tDK\tDKK\tdemo_dk\tno\tnot served" in shop.ok("stores", "list")
    assert "fail" in shop.run("doctor").stdout


@pytest.fixture
def till(folder: Folder) -> Iterator[TillShop]:
    """The same system without a process, its clock in the past."""
    opened = TillShop(folder.configuration, furnish=lambda platform: str(prepare(platform)))
    yield opened
    opened.close()


def test_an_order_is_shown_with_all_that_happened_to_it(folder: Folder, till: TillShop) -> None:
    sale = till("demo/DK").scan("9521234001010", times=2).pay(token="tok_approve")
    till.do_duties()
    said = folder.ok("orders", "show", sale.order_id)

    assert "payment CAPTURED, 36.00 DKK captured  total 36.00 DKK, tax 7.20 DKK" in said
    assert "1\t09521234001010\tBananer 1 kg\t2\t18.00 DKK\t0.00 DKK\t36.00 DKK" in said
    steps = [line.split("\t")[1:4] for line in said.splitlines() if line.startswith("2026-03-14")]
    assert steps == [
        ["order_created", "DONE", ""],
        ["payment.authorise", "SUCCEEDED", "sandbox"],
        ["order_completed", "DONE", ""],
        ["fulfil_order", "DONE", "demo"],
    ]
    document = json.loads(folder.ok("orders", "show", sale.order_id, "--json"))
    assert document["total_price"] == {"minor": 3600, "currency": "DKK"}
    assert len(document["timeline"]) == 4


def test_an_order_that_is_not_there_is_one_line(shop: Folder) -> None:
    assert "'ord_none'" in shop.refused("orders", "show", "ord_none")


def results(folder: Folder) -> dict[str, str]:
    return {one["check"]: one["result"] for one in json.loads(folder.run("doctor", "--json").stdout)}


def test_a_healthy_shop_passes_every_check(shop: Folder) -> None:
    assert set(results(shop).values()) == {"ok"}
    assert shop.run("doctor").exit_code == 0


def test_what_is_missing_is_found_with_what_to_do(folder: Folder) -> None:
    result = folder.run("doctor")

    assert result.exit_code == 1
    assert "database\tfail\tsqlite:///var/tillhook.db: there is no such database yet; make it with `tillhook db" in (
        result.stdout
    )
    assert not folder.database.exists()
    folder.ok("db", "upgrade")
    assert results(folder)["stores"] == "warn"
    assert folder.run("doctor").exit_code == 0


def test_a_broken_configuration_or_plugin_is_found(shop: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLHOOK_DISABLE", "oidc")
    assert results(shop)["plugin"] == "warn"
    monkeypatch.setenv("TILLHOOK_DISABLE", "tax")
    assert results(shop)["plugin"] == "fail"
    shop.change("[tillhook]", "[tillhook")
    assert results(shop)["config"] == "fail"
    shop.configuration.unlink()
    assert "tillhook.toml: no such file" in shop.run("doctor").stdout


def test_a_payment_that_stays_unknown_is_found(folder: Folder, till: TillShop) -> None:
    till("demo/DK").scan("9521234001010").paid(token="tok_timeout")
    said = folder.run("doctor")

    assert said.exit_code == 0
    assert "payments\twarn\t1 with unknown outcome for more than an hour; the oldest is of payment pay_" in said.stdout


def test_a_tag_that_was_sold_is_not_handed_out_again(folder: Folder, till: TillShop) -> None:
    first = json.loads(folder.ok("demo", "--json"))["epcs"]
    till("demo/SE").scan(epc=first[0]).pay(token="tok_approve")
    second = json.loads(folder.ok("demo", "--json"))["epcs"]

    assert len(first) == len(second) == 100
    assert set(first) - set(second) == {first[0]}


def test_a_duty_that_gave_up_is_found(folder: Folder, till: TillShop) -> None:
    till("demo/DK").scan("9521234001010").pay(token="tok_approve")
    now, db = till.clock(), till.platform.db
    (duty,) = db.write(lambda tx: claim(tx, "test", now, now + timedelta(minutes=1), 9))
    db.write(lambda tx: finish(tx, duty.delivery_id, "test", DeliveryState.DEAD, error="no", result="", ms=1, now=now))

    assert "duties\twarn\t1 gave up" in folder.ok("doctor")


def test_the_doctor_tells_of_duties_that_wait_for_a_plugin_that_is_switched_off(
    folder: Folder, till: TillShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    till("demo/DK").scan("9521234001010").pay(token="tok_approve")  # by the shop's clock, which is months behind
    monkeypatch.setenv("TILLHOOK_DISABLE", "demo")
    till.crash_and_restart()
    till.do_duties()

    said = folder.run("doctor").stdout
    assert (
        "waiting\twarn\t1 for more than an hour; the oldest is fulfil_order:demo: waits: store_type_unavailable" in said
    )
    monkeypatch.delenv("TILLHOOK_DISABLE")
    till.crash_and_restart()
    till.clock.advance(60)
    till.do_duties()
    assert "waiting\tok\tno duty for more than an hour" in folder.ok("doctor")
