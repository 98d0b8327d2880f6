"""Shadows: a second calculator, engine and gateway beside the live ones change nothing, and their differences show."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.guests import Installer
from tillhook.core.domain.comparison import Asked, Comparison, Verdict
from tillhook.core.domain.money import Money
from tillhook.core.domain.order import OrderStatus
from tillhook.core.services import reading
from tillhook.core.services.settling import load_case
from tillhook.core.services.shadowing import shadow_order
from tillhook.core.storage.shadows import disagreements, purge_comparisons, tallies
from tillhook.core.testing.shop import Till, TillShop

GUEST = '''
from tillhook import (
    Captured, Capabilities, Declined, Discount, Money, NotSent, Plugin, TaxResult, Unknown, hookimpl,
)


class Flat:
    """One crown of tax on each line."""

    name = "flat"

    def evaluate(self, lines, store):
        by_line = tuple((line.line_no, 100) for line in lines)
        return TaxResult(included=True, total_tax=100 * len(by_line), breakup=(), by_line=by_line)


class Broken(Flat):
    name = "broken"

    def evaluate(self, lines, store):
        raise RuntimeError("the text may hold a secret")


class Tenth:
    """A tenth off each line."""

    name = "tenth"

    def evaluate(self, basket, store, special, now):
        return {line.line_no: Discount(line.unit_price * line.quantity // 10, ("TENTH",)) for line in basket.lines}


class Shadowing:
    """Knows of half of each payment; whatever it is asked that is no reading it notes in the file."""

    name = "half"
    capabilities = Capabilities(methods=("credit_card",))

    def create_session(self, request, outside): raise NotImplementedError
    def authorise(self, request, outside): raise NotImplementedError
    capture = cancel = refund = authorise
    def read_webhook(self, headers, raw_body): raise ValueError("none")

    def inquire(self, request, outside):
        if request.payment_method == "card_terminal":
            outside.publish("effects", key="1", value={})
        return Captured("shadow_1", request.amount)


class Writing(Shadowing):
    name = "writing"

    def inquire(self, request, outside):
        for effect in (
            lambda: outside.publish("effects", key="1", value={}),
            lambda: outside.request("POST", "https://provider.invalid/charges", json={}),
            lambda: outside.tables,
        ):
            try:
                effect()
            except Exception as error:
                print(error)
            else:
                raise SystemExit("it could")
        return Unknown("nothing was written")


class Guest(Plugin):
    @hookimpl
    def tax_calculators(self):
        return (Flat(), Broken())

    @hookimpl
    def promotion_engines(self):
        return (Tenth(),)

    @hookimpl
    def payment_gateways(self):
        return (Shadowing(), Writing())
'''
SWITCHED_ON = """
["demo/DK"]
plugins = ["issuer", "tax", "sandbox", "receipts", "demo", "second"]
tax.rates = {{ standard = "25", food = "25", books = "25" }}
shadow = {{ {shadow} }}
"""


on_both_databases = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """SQLite; what reads and forgets comparisons is tested on PostgreSQL as well."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path}/tillhook.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
def shadowed(
    open_shop: Callable[..., TillShop], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., TillShop]]:
    """Opens a shop whose Danish store has these shadows."""
    site = tmp_path / "site"
    site.mkdir()
    Installer(site)("second-opinion", GUEST, entry="second")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr("tests.journey.conftest.CONFIGURATION", _without_denmark())

    def open_one(shadow: str) -> TillShop:
        return open_shop(SWITCHED_ON.format(shadow=shadow))

    yield open_one
    sys.modules.pop("guest_second_opinion", None)


def _without_denmark() -> str:
    from tests.journey import conftest

    begin = conftest.CONFIGURATION.index('["demo/DK"]')
    return conftest.CONFIGURATION[:begin] + conftest.CONFIGURATION[conftest.CONFIGURATION.index('["demo/SE"]') :]


def sold(shop: TillShop, place: str = "demo/DK", **details: Any) -> Till:
    sale = shop(place).scan("9521234001010", times=2).pay(token="tok_approve", **details)
    shop.do_duties()
    return sale


def compared(shop: TillShop) -> list[Comparison]:
    since = shop.clock() - timedelta(days=1)
    return shop.platform.db.read(lambda tx: disagreements(tx, since=since, limit=100))


def counted(shop: TillShop) -> list[tuple[str, str, str, int, int, int, int]]:
    since = shop.clock() - timedelta(days=1)
    found = shop.platform.db.read(lambda tx: tallies(tx, since=since))
    return [(one.asked.value, one.live, one.shadow, one.agreed, one.differs, one.failed, one.amount) for one in found]


@on_both_databases
def test_a_shadow_calculator_that_says_the_same_agrees_and_one_that_does_not_is_shown(
    shadowed: Callable[..., TillShop],
) -> None:
    shop = shadowed('calculator = "tables"')
    sold(shop)
    assert counted(shop) == [("tax", "tables", "tables", 1, 0, 0, 0)]
    assert compared(shop) == []


@on_both_databases
def test_the_tax_of_an_order_is_the_live_ones_whatever_the_shadow_says(shadowed: Callable[..., TillShop]) -> None:
    shop = shadowed('calculator = "flat"')
    sale = sold(shop)
    order = load_case(shop.platform, sale.order_id).order
    assert order.status is OrderStatus.COMPLETED
    (found,) = compared(shop)
    assert (found.order_id, found.asked, found.verdict) == (sale.order_id, Asked.TAX, Verdict.DIFFERS)
    assert f"total tax {Money(order.tax.total_tax, 'DKK')}, the shadow says 1.00 DKK" in found.differences
    assert found.amount == 100 - order.tax.total_tax
    assert any(at.startswith("only the live one has the row") for at in found.differences)


def test_the_total_of_an_order_is_the_live_ones_whatever_the_shadow_engine_takes_off(
    shadowed: Callable[..., TillShop],
) -> None:
    shop = shadowed('engine = "tenth"')
    sale = sold(shop)
    (found,) = compared(shop)
    assert (found.asked, found.live, found.shadow) == (Asked.PROMOTION, "none", "tenth")
    total = load_case(shop.platform, sale.order_id).order.total.minor
    assert found.amount == -(total // 10)
    assert "TENTH" in found.differences[0]


def test_a_shadow_that_raises_is_counted_and_its_words_are_not_kept(shadowed: Callable[..., TillShop]) -> None:
    shop = shadowed('calculator = "broken"')
    sale = sold(shop)
    assert sale.order().payment.order_complete
    (found,) = compared(shop)
    assert found.verdict is Verdict.FAILED
    assert found.differences == ("the tax calculator 'broken' failed: RuntimeError",)


def test_a_shadow_gateway_is_asked_about_what_was_paid_and_charges_nothing(shadowed: Callable[..., TillShop]) -> None:
    shop = shadowed('gateway = "half"')
    sold(shop)
    assert counted(shop) == [("payment", "sandbox", "half", 1, 0, 0, 0)]


def test_a_payment_that_was_declined_is_compared_too(shadowed: Callable[..., TillShop]) -> None:
    shop = shadowed('gateway = "half"')
    till = shop("demo/DK").scan("9521234001010")
    assert not till.paid(token="tok_decline").order_complete
    shop.do_duties()
    (found,) = compared(shop)
    assert found.verdict is Verdict.DIFFERS
    assert found.amount == load_case(shop.platform, till.order_id).order.total.minor
    assert found.differences[0].startswith("taken 0.00 DKK, the shadow says ")


def test_a_shadow_gateway_can_write_nothing(shadowed: Callable[..., TillShop]) -> None:
    shop = shadowed('gateway = "writing"')
    sold(shop)
    (found,) = compared(shop)
    assert found.differences == ("the shadow knows nothing of it: nothing was written",)
    assert shop.published("effects") == []


@on_both_databases
def test_the_same_comparison_made_again_is_kept_once(shadowed: Callable[..., TillShop]) -> None:
    shop = shadowed('calculator = "flat"')
    sale = sold(shop)
    assert shadow_order(shop.platform, sale.order_id) == "tax differs"
    assert counted(shop)[0][3:6] == (0, 1, 0)


def test_only_the_share_of_orders_that_is_asked_for_is_compared(shadowed: Callable[..., TillShop]) -> None:
    shop = shadowed('calculator = "tables", percent = 1')
    for _ in range(5):
        sold(shop)
    assert sum(one[3] for one in counted(shop)) < 5


def test_a_store_without_shadows_is_not_compared(shadowed: Callable[..., TillShop]) -> None:
    shop = shadowed('calculator = "flat"')
    sold(shop, "demo/SE")
    assert counted(shop) == []


def test_a_shadow_that_nobody_offers_keeps_the_place_out_and_is_named(shadowed: Callable[..., TillShop]) -> None:
    shop = shadowed('calculator = "flaat"')
    (fault,) = shop.platform.host.problems()
    assert "shadow.calculator" in str(fault)
    assert "did you mean 'flat'?" in str(fault)


def test_a_shadow_whose_plugin_is_switched_off_is_left_out_and_the_store_sells(
    shadowed: Callable[..., TillShop], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = shadowed('calculator = "flat", engine = "tenth", gateway = "half"')
    before = shop("demo/DK").scan("9521234001010").pay(token="tok_approve")
    monkeypatch.setenv("TILLHOOK_DISABLE", "second")
    shop.crash_and_restart()
    assert shop.platform.host.problems() == []
    assert sold(shop).order().order_status == "COMPLETED"
    assert counted(shop) == [], "nothing is compared, not even what was waiting for it"
    staff = shop.principal(before.store, "operator")
    timeline = reading.order(shop.platform, staff, before.order_id).timeline
    assert {entry.state for entry in timeline if entry.plugin == "core"} == {"DONE"}

    monkeypatch.delenv("TILLHOOK_DISABLE")
    shop.crash_and_restart()
    sold(shop)
    assert [(one[0], one[2], one[3]) for one in counted(shop)] == [
        (Asked.PAYMENT, "half", 1),
        (Asked.PROMOTION, "tenth", 0),
        (Asked.TAX, "flat", 0),
    ]


@on_both_databases
def test_old_comparisons_are_forgotten(shadowed: Callable[..., TillShop]) -> None:
    shop = shadowed('calculator = "flat"')
    sold(shop)
    before = shop.clock() + timedelta(seconds=1)
    assert shop.platform.db.write(lambda tx: purge_comparisons(tx, before)) == 1
    assert counted(shop) == []


def test_the_keeper_forgets_what_is_older_than_a_month(shadowed: Callable[..., TillShop]) -> None:
    shop = shadowed('calculator = "flat"')
    sold(shop)
    shop.clock.advance(31 * 86400)
    shop.dispatcher.keep_house()
    since = shop.clock() - timedelta(days=60)
    assert shop.platform.db.read(lambda tx: tallies(tx, since=since)) == []
