"""A plugin that TILLHOOK_DISABLE names is muted in its shops, and they go on.

Unless a setting needs what it offers, or it writes what is kept with each sale: then its places are closed.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from tests.plugins.guests import STORE, CashGateway, Lent, Till, configured, found
from tillhook import (
    Config,
    Customer,
    Fulfilled,
    PaymentGateway,
    Plugin,
    PluginRoute,
    PosLog,
    Problem,
    Schedule,
    hookimpl,
)
from tillhook.core.plugins.host import Host, State
from tillhook.core.plugins.shop import Shop
from tillhook.core.roles.duties import Parked


class PointsSettings(Config, frozen=True, kw_only=True):
    url: str


class Points(Plugin):
    """Answers a hook of each kind, none that writes the sale down; cannot even be made."""

    Settings = PointsSettings

    def __init__(self, settings: Any) -> None:
        raise SystemExit("this is why it was switched off")

    @hookimpl
    def payment_gateways(self) -> Sequence[PaymentGateway]:
        return (CashGateway("points"),)

    @hookimpl
    def routes(self) -> Sequence[PluginRoute]:
        return (PluginRoute("GET", "/all", frozenset({"staff"}), print),)

    @hookimpl
    def schedules(self) -> Sequence[Schedule]:
        return (Schedule("tidy", 60, print),)

    @hookimpl
    def customer_for(self, customer_id: str) -> Customer:
        return Customer(customer_id, "points")

    @hookimpl
    def problems_for(self) -> Sequence[str]:
        return ("points",)

    @hookimpl
    def update_loyalty(self) -> Fulfilled:
        return Fulfilled("points")

    @hookimpl
    def order_completed(self) -> None:
        raise AssertionError("nobody tells it anything")


class Other(Plugin):
    @hookimpl
    def customer_for(self, customer_id: str) -> Customer:
        return Customer(customer_id, "other")

    @hookimpl
    def update_loyalty(self) -> Fulfilled:
        return Fulfilled("other")


class Numbers(Plugin):
    @hookimpl
    def transaction_id_for(self, number: int) -> str:
        return f"{number:06d}"


class Logs(Plugin):
    @hookimpl
    def poslog_for(self) -> PosLog:
        return PosLog("text/plain", "a sale")


class RefundLogs(Plugin):
    @hookimpl
    def refund_poslog_for(self) -> PosLog:
        return PosLog("text/plain", "a refund")


class Retailer(Logs, Numbers):
    """Writes both, and owes something, too."""

    @hookimpl
    def fulfil_order(self) -> Fulfilled:
        return Fulfilled("retailer")


def hosting(tables: Mapping[str, Any], off: type[Plugin] = Points) -> Host:
    """A host in which ``points`` is switched off."""
    plugins = [found("till", Till), replace(found("points", off), off=True), found("other", Other)]
    return Host(configured(tables), plugins, Lent)


def shop() -> Shop:
    return hosting({"demo": {"plugins": ["till", "points", "other"]}}).shop(STORE)


class Unfinished(Points, abc.ABC):
    """A class that nothing can be made of."""

    @abc.abstractmethod
    def finish(self) -> None: ...


def test_one_that_is_only_half_written_is_muted_as_any_other() -> None:
    muted = hosting({"demo": {"plugins": ["till", "points", "other"]}}, off=Unfinished).shop(STORE)

    assert muted.implementers("update_loyalty") == ("points", "other")
    assert muted.ask("customer_for", customer_id="cus_1", store=STORE) == Customer("cus_1", "other")


def test_its_questions_are_not_asked_its_news_not_told_and_its_offers_not_taken() -> None:
    muted = shop()

    assert muted.ask("customer_for", customer_id="cus_1", store=STORE) == Customer("cus_1", "other")
    assert muted.ask_all("problems_for", basket=None, store=STORE) == []
    muted.tell("order_completed", order=None, store=STORE)
    assert muted.implementers("order_completed") == ()
    for hook in ("routes", "schedules"):
        assert muted.offers(hook) == ()
    assert [one.plugin for one in muted.offers("payment_gateways")] == ["till"]


def test_its_duties_are_planned_in_the_order_of_the_configuration_and_wait() -> None:
    muted = shop()

    assert muted.implementers("update_loyalty") == ("points", "other")
    with pytest.raises(Parked, match=r"plugin points is switched off \(TILLHOOK_DISABLE\)"):
        muted.perform("points", "update_loyalty", order=None, store=STORE)
    assert muted.perform("other", "update_loyalty", order=None, store=STORE) == Fulfilled("other")


def test_a_duty_that_it_never_had_is_still_unknown() -> None:
    with pytest.raises(LookupError):
        shop().perform("points", "fulfil_order", order=None, store=STORE)


def test_settings_of_it_that_are_wrong_or_missing_do_no_harm() -> None:
    host = hosting({"demo": {"plugins": ["till", "points"], "points": {"ulr": 3}}})

    assert host.problems() == []
    assert host.shop(STORE).plugins == ("till", "points")


def test_a_place_whose_setting_needs_an_offer_of_it_is_refused_and_the_others_sell() -> None:
    host = hosting(
        {
            "demo": {"plugins": ["till", "points"], "payment": {"gateway": "points"}},
            "kiosk": {"plugins": ["till", "points"]},
        }
    )
    with pytest.raises(Problem) as refused:
        host.shop(STORE)
    assert refused.value.detail == (
        "store type demo/SE: plugin 'points' (acme-points 1.0): switched off by the variable TILLHOOK_DISABLE, but "
        "demo.payment.gateway may need its payment_gateways: 'points' is offered by no plugin of this store type "
        "(offered: cash)"
    )
    assert refused.value.facts["plugins"] == ["points"]
    assert host.shop(replace(STORE, store_type="kiosk")).gateway.name == "cash"


@pytest.mark.parametrize(
    ("plugin", "writes"),
    [
        (Numbers, "transaction_id_for"),
        (Logs, "poslog_for"),
        (RefundLogs, "refund_poslog_for"),
        (Retailer, "transaction_id_for, poslog_for"),
    ],
)
def test_a_place_whose_sales_it_writes_down_is_refused_and_the_others_sell(plugin: type[Plugin], writes: str) -> None:
    host = hosting({"demo": {"plugins": ["till", "points"]}, "kiosk": {"plugins": ["till", "other"]}}, off=plugin)
    with pytest.raises(Problem) as refused:
        host.shop(STORE)
    assert refused.value.code == "store_type_unavailable"
    assert refused.value.detail == (
        "store type demo/SE: plugin 'points' (acme-points 1.0): switched off by the variable TILLHOOK_DISABLE, and no "
        f"sale may go without what it writes ({writes})"
    )
    assert refused.value.facts["plugins"] == ["points"]
    assert host.shop(replace(STORE, store_type="kiosk")).plugins == ("till", "other")
    report = {line.name: line for line in host.report()}["points"]
    assert (report.state, report.not_served) == (State.SWITCHED_OFF, ("demo",))


def test_another_that_would_write_the_sale_down_does_not_take_its_place() -> None:
    host = Host(
        configured({"demo": {"plugins": ["till", "logs", "retailer"]}}),
        [found("till", Till), replace(found("logs", Logs), off=True), found("retailer", Retailer)],
        Lent,
    )
    assert [fault.plugin for fault in host.problems()] == ["logs"]


def test_the_report_calls_it_switched_off_and_says_what_that_means() -> None:
    tables = {"demo": {"plugins": ["till", "points"]}, "kiosk": {"plugins": ["till", "points"]}}
    report = {line.name: line for line in hosting(tables).report()}["points"]

    assert report.state is State.SWITCHED_OFF
    assert str(report) == (
        "plugin 'points' (acme-points 1.0) is switched off: asked nothing, its duties wait (TILLHOOK_DISABLE)"
    )
    assert (report.not_served, report.store_types) == ((), ("demo", "kiosk"))
    assert "update_loyalty" in report.hooks


def test_the_report_names_the_places_that_are_not_served_without_it() -> None:
    host = hosting(
        {"demo": {"plugins": ["till", "points"], "payment": {"gateway": "points"}}, "demo/DK": {}, "demo/SE": {}}
    )
    report = {line.name: line for line in host.report()}["points"]

    assert report.state is State.SWITCHED_OFF
    assert report.not_served == ("demo/DK", "demo/SE")
    assert report.reason.startswith("store types demo/DK, demo/SE: switched off by the variable TILLHOOK_DISABLE, but ")


def test_one_that_cannot_be_imported_is_quarantined_as_nobody_knows_its_duties() -> None:
    torn = replace(found("points", Points), plugin_class=None, reason="it needs the module 'x'", off=True)
    host = Host(configured({"demo": {"plugins": ["till", "points"]}}), [found("till", Till), torn], Lent)

    assert [fault.reason for fault in host.problems()] == ["it needs the module 'x'"]
    assert {line.name: line.state for line in host.report()}["points"] is State.QUARANTINED
