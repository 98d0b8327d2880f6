"""``tillhook shadow report``."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.conftest import Folder
from tillhook.core.cli.demonstration import prepare
from tillhook.core.domain.comparison import Asked, Comparison, Verdict
from tillhook.core.storage.shadows import save_comparison
from tillhook.core.testing.shop import TillShop


@pytest.fixture
def till(folder: Folder) -> Iterator[TillShop]:
    """The same system without a process."""
    opened = TillShop(folder.configuration, furnish=lambda platform: str(prepare(platform)))
    yield opened
    opened.close()


def compared(till: TillShop, verdict: Verdict, *differences: str, days_ago: int = 0, amount: int = 0) -> str:
    """A sale whose tax was compared so many days ago, by the clock of the commands; the order's id."""
    sale = till("demo/DK").scan("9521234001010").pay(token="tok_approve")
    found = Comparison(
        order_id=sale.order_id,
        asked=Asked.TAX,
        store_type="demo",
        region="DK",
        live="tables",
        shadow="second",
        verdict=verdict,
        differences=differences,
        amount=amount,
        currency="DKK",
        milliseconds=3,
        at=datetime.now(UTC) - timedelta(days=days_ago),
    )
    till.platform.db.write(lambda tx: save_comparison(tx, found))
    return sale.order_id


def test_it_shows_how_often_they_differ_and_in_which_orders(folder: Folder, till: TillShop) -> None:
    agreed = compared(till, Verdict.AGREED)
    differs = compared(till, Verdict.DIFFERS, "total tax 3.60 DKK, the shadow says 1.00 DKK", amount=-260)
    long_ago = compared(till, Verdict.FAILED, "the shadow raised ValueError", days_ago=8)

    said = folder.ok("shadow", "report")
    assert said.splitlines()[1] == "demo\ttax\ttables\tsecond\t2\t1\t1\t0\t-2.60 DKK"
    assert f"{differs}\ttax\tsecond\tdiffers\t" in said
    assert said.endswith("\ttotal tax 3.60 DKK, the shadow says 1.00 DKK\n")
    assert agreed not in said
    assert long_ago not in said
    assert long_ago in folder.ok("shadow", "report", "--days", "9")


def test_as_json_it_has_tallies_and_differences(folder: Folder, till: TillShop) -> None:
    differs = compared(till, Verdict.DIFFERS, "line 1: tax 3.60 DKK, the shadow says 1.00 DKK", amount=-260)

    told = json.loads(folder.ok("shadow", "report", "--store-type", "demo", "--json"))
    assert [(one["asked"], one["differs"], one["amount"]) for one in told["tallies"]] == [("tax", 1, -260)]
    assert [one["order_id"] for one in told["differences"]] == [differs]


def test_without_a_comparison_it_says_which_setting_names_a_shadow(shop: Folder) -> None:
    said = shop.ok("shadow", "report")
    assert said == "no shadow was asked within 7 days: a layer names it, such as shadow.calculator\n"


def test_a_store_type_that_does_not_exist_names_the_nearest(shop: Folder) -> None:
    line = shop.refused("shadow", "report", "--store-type", "demp", code=2)
    assert line == "tillhook.toml: no store type 'demp' (did you mean 'demo'?)"
