"""Who answers each hook of a place, in which order: also in a place that cannot be served."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from tests.plugins.guests import CashGateway, Lent, Till, configured, found
from tillhook import Fulfilled, PaymentGateway, Plugin, PluginPage, PluginRoute, hookimpl
from tillhook.core.plugins.explaining import Answerer, Explained, Explanation, Silent
from tillhook.core.plugins.guard import Guard, Unlimited
from tillhook.core.plugins.host import Host


class Wallet(Plugin):
    @hookimpl
    def payment_gateways(self) -> Sequence[PaymentGateway]:
        return (CashGateway("wallet"), CashGateway("voucher"))

    @hookimpl
    def transaction_id_for(self, number: int) -> str:
        return "wallet"

    @hookimpl
    def receipts_for(self) -> Sequence[Any]:
        return ()

    @hookimpl
    def fulfil_order(self) -> Fulfilled:
        return Fulfilled("")

    @hookimpl
    def order_completed(self) -> None: ...

    @hookimpl
    def routes(self) -> Sequence[PluginRoute]:
        return (PluginRoute("GET", "/coins/{coin}", frozenset({"staff"}), print, answer=str),)

    @hookimpl
    def pages(self) -> Sequence[PluginPage]:
        return (PluginPage("/coins", "Coins", frozenset({"staff"}), print),)  # type: ignore[arg-type]


class Slips(Plugin):
    @hookimpl
    def receipts_for(self) -> Sequence[Any]:
        return ()


class Padded(Plugin):
    @hookimpl
    def transaction_id_for(self, number: int) -> str:
        return "padded"


class Torn(Padded):
    def __init__(self, settings: Any) -> None:
        raise ValueError("torn")


def explained(plugins: Sequence[str], off: str = "", region: str = "SE", **demo: Any) -> Explanation:
    classes: Mapping[str, type[Plugin]] = {
        "till": Till,
        "wallet": Wallet,
        "slips": Slips,
        "padded": Padded,
        "torn": Torn,
    }
    installed = [replace(found(name, kind), off=name == off) for name, kind in classes.items()]
    limits = Unlimited(question_seconds=2, news_seconds=1, duty_seconds=30, offer_seconds=10)
    host = Host(configured({"demo": {"plugins": list(plugins), **demo}}), installed, Lent, guard=Guard(limits))
    return host.explain("demo", region)


def hook(found: Explanation, name: str) -> Explained:
    [one] = [one for one in found.hooks if one.hook == name]
    return one


def test_hooks_stand_in_the_order_of_the_hall_and_those_that_nobody_implements_are_left_out() -> None:
    found = explained(["till", "wallet"])

    assert [one.hook for one in found.hooks] == [
        "tax_calculators",
        "payment_gateways",
        "routes",
        "pages",
        "transaction_id_for",
        "receipts_for",
        "fulfil_order",
        "order_completed",
    ]
    assert (found.served, found.plugins, found.silent) == (True, ("till", "wallet"), ())


def test_each_hook_has_its_kind_what_happens_when_one_fails_and_its_time_limit() -> None:
    found = explained(["till", "wallet"])

    rules = {one.hook: (one.kind, one.on_failure, one.seconds) for one in found.hooks}
    assert rules["payment_gateways"] == ("offer", "quarantine", 10)
    assert rules["transaction_id_for"] == ("question", "block", 2)
    assert rules["receipts_for"] == ("question to all", "degrade", 2)
    assert rules["fulfil_order"] == ("duty", "retry", 30)
    assert rules["order_completed"] == ("news", "log", 1)


def test_plugins_stand_in_the_order_of_the_configuration() -> None:
    asked = [one.plugin for one in hook(explained(["padded", "till", "wallet"]), "transaction_id_for").by]
    assert asked == ["padded", "wallet"]
    asked = [one.plugin for one in hook(explained(["wallet", "till", "padded"]), "transaction_id_for").by]
    assert asked == ["wallet", "padded"]


def test_offers_are_named_with_the_one_that_a_setting_picks() -> None:
    found = explained(["till", "wallet"], payment={"gateway": "wallet"})

    assert hook(found, "payment_gateways").by == (
        Answerer("till", "1.0", "ready", ("cash",), {}),
        Answerer("wallet", "1.0", "ready", ("wallet", "voucher"), {"payment.gateway": "wallet"}),
    )
    assert hook(found, "tax_calculators").by[0].picked == {"taxes.calculator": "free"}
    assert hook(found, "routes").by[0].offers == ("GET /coins/{coin}",)
    assert hook(found, "pages").by[0].offers == ("/coins",)


def test_one_that_is_switched_off_stands_in_its_place_and_is_marked() -> None:
    found = explained(["slips", "wallet", "till"], off="slips")

    assert hook(found, "receipts_for").by == (
        Answerer("slips", "1.0", "switched off"),
        Answerer("wallet", "1.0", "ready"),
    )
    assert found.silent == (Silent("slips", "1.0", "switched off", "TILLHOOK_DISABLE"),)
    assert found.served is True


def test_one_that_is_switched_off_and_closes_the_place_is_marked_with_the_reason_and_the_rest_is_not_asked() -> None:
    found = explained(["padded", "wallet", "till"], off="padded")

    assert found.served is False
    assert hook(found, "transaction_id_for").by == (
        Answerer("padded", "1.0", "switched off"),
        Answerer("wallet", "1.0", "not asked"),
    )
    assert [(one.plugin, one.state) for one in found.silent] == [("padded", "switched off")]
    assert found.silent[0].reason.endswith("no sale may go without what it writes (transaction_id_for)")


def test_in_a_place_that_is_not_served_the_culprit_is_marked_with_the_reason_and_the_rest_is_not_asked() -> None:
    found = explained(["torn", "till", "padded", "ghost"])

    assert found.served is False
    assert [one.state for one in hook(found, "transaction_id_for").by] == ["quarantined", "not asked"]
    torn, ghost = found.silent
    assert torn.reason.startswith("making it raised ValueError: torn (tests/plugins/test_explaining.py:")
    assert (ghost.plugin, ghost.state) == ("ghost", "quarantined")
    assert ghost.reason == "demo.plugins names it, but it is not installed"
