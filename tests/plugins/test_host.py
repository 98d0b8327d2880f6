"""A host builds a shop for each place of the configuration; what is broken is named and kept out, the rest runs."""

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from tests.plugins.guests import STORE, CashGateway, Installer, Lent, Till, configured, found, hosting
from tillhook import (
    Config,
    IdentityProvider,
    PaymentGateway,
    Plugin,
    PluginRoute,
    Principal,
    Problem,
    Secret,
    Store,
    TaxCalculator,
    hookimpl,
)
from tillhook.core.config.loading import load
from tillhook.core.plugins.discovery import discover
from tillhook.core.plugins.host import Host, State
from tillhook.core.plugins.offers import RULES
from tillhook.core.plugins.shop import Shop
from tillhook.core.roles.grammar import Kind, kind_of
from tillhook.hookspecs import HOOKS


class PrinterSettings(Config, frozen=True):
    width: int = 42
    key: Secret | None = None


class Printer(Plugin):
    Settings = PrinterSettings
    settings: PrinterSettings

    @hookimpl
    def transaction_id_for(self, number: int) -> str | None:
        return str(number).zfill(self.settings.width)


class Explodes(Plugin):
    def __init__(self, settings: Config) -> None:
        raise SystemExit("no paper")


class AlsoCash(Plugin):
    @hookimpl
    def payment_gateways(self) -> Sequence[PaymentGateway]:
        return (CashGateway(),)


class Wallet(Plugin):
    @hookimpl
    def payment_gateways(self) -> Sequence[PaymentGateway]:
        return (CashGateway("wallet", ("card", "app")),)


class HalfAGateway(Plugin):
    @hookimpl
    def tax_calculators(self) -> Sequence[TaxCalculator]:
        return (type("Half", (), {"name": "half"})(),)


class LooseGateway(Plugin):
    @hookimpl
    def payment_gateways(self) -> Sequence[PaymentGateway]:
        gateway = CashGateway("loose")
        gateway.capabilities = ["cash"]  # type: ignore[assignment]
        return (gateway,)


class RaisesInAnOffer(Plugin):
    @hookimpl
    def item_feeds(self) -> Sequence[Any]:
        raise SystemExit(4)


class OpenDoor(Plugin):
    @hookimpl
    def routes(self) -> Sequence[PluginRoute]:
        return (PluginRoute("GET", "/all", frozenset(), print),)


class Late(Plugin):
    """Brings a hook that its class does not show."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.order_created = hookimpl(lambda ordr: None)  # type: ignore[method-assign,assignment]


class Vouches(Plugin):
    """An identity provider of one issuer, whatever its name."""

    name = "one"

    @hookimpl
    def identity_providers(self) -> Sequence[IdentityProvider]:
        return (_Provider(self.name),)


class VouchesToo(Vouches):
    name = "two"


class _Provider:
    issuer = "https://id.example"
    algorithms: tuple[str, ...] = ("RS256",)

    def __init__(self, name: str) -> None:
        self.name = name

    def keys(self, outside: Any) -> Mapping[str, Any]:
        return {}

    def accepts(self, claims: Mapping[str, Any]) -> bool:
        return True

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        raise ValueError("nobody")


GUESTS: Mapping[str, type[Plugin]] = {
    "printer": Printer,
    "explodes": Explodes,
    "also_cash": AlsoCash,
    "wallet": Wallet,
    "half": HalfAGateway,
    "loose": LooseGateway,
    "raises": RaisesInAnOffer,
    "open_door": OpenDoor,
    "late": Late,
    "vouches": Vouches,
    "vouches_too": VouchesToo,
}


def at(store_type: str = "demo", region: str = "SE", store_id: str = "s1") -> Store:
    return msgspec.structs.replace(STORE, store_type=store_type, region=region, store_id=store_id)


def without_lines(text: str) -> str:
    """With HERE for every line of this file."""
    return re.sub(r"tests/plugins/test_host\.py:\d+", "HERE", text)


def transaction_id(shop: Shop) -> Any:
    return shop.ask("transaction_id_for", order=None, number=7, store=STORE)


def test_each_region_and_store_has_a_shop_with_its_own_settings() -> None:
    host = hosting(
        {
            "demo": {"plugins": ["till", "printer"], "printer": {"width": 3}},
            "demo/DK": {"printer": {"width": 4}},
            "demo/DK/s9": {"printer": {"width": 5}},
        },
        GUESTS,
    )
    assert transaction_id(host.shop(at(region="SE"))) == "007"
    assert transaction_id(host.shop(at(region="DK"))) == "0007"
    assert transaction_id(host.shop(at(region="DK", store_id="s9"))) == "00007"
    assert host.shop(at(region="DK")).region == "DK"
    assert host.shop(at(region="DK")).settings.plugins == ("till", "printer")


def test_stores_without_a_layer_of_their_own_share_the_shop_of_their_region() -> None:
    host = hosting({"demo": {"plugins": ["till"]}, "demo/SE/s3": {}}, GUESTS)
    assert host.shop(at(store_id="s1")) is host.shop(at(store_id="s2")) is host.shop_for("demo", "SE")
    assert host.shop(at(store_id="s3")) is not host.shop(at(store_id="s1"))
    assert host.shop_for("demo", "NO") is not host.shop_for("demo", "SE")


def test_a_shop_is_built_once_even_when_many_ask_at_the_same_time() -> None:
    made = []

    class Counted(Plugin):
        def __init__(self, settings: Any) -> None:
            super().__init__(settings)
            made.append(self)

    host = hosting({"demo": {"plugins": ["till", "counted"]}}, {"counted": Counted})
    gate = threading.Barrier(8)

    def ask() -> None:
        gate.wait()
        host.shop(STORE)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


@pytest.mark.parametrize(
    ("demo", "says"),
    [
        (
            {"plugins": ["till", "prnter"]},
            "plugin 'prnter': demo.plugins names it, but it is not installed (did you mean 'printer'?)",
        ),
        (
            {"plugins": ["till", "printer"], "printer": {"widht": 3}},
            (
                "plugin 'printer' (acme-printer 1.0): shop.toml: demo.printer.widht: there is no such setting "
                "(did you mean 'width'?)"
            ),
        ),
        (
            {"plugins": ["till", "printer"], "printer": {"width": "wide"}},
            "plugin 'printer' (acme-printer 1.0): shop.toml: demo.printer.width: Expected `int`, got `str`",
        ),
        (
            {"plugins": ["till", "printer"], "printer": {"key": "env:PRINTER_KEY"}},
            (
                "plugin 'printer' (acme-printer 1.0): shop.toml: demo.printer.key: "
                "the environment variable PRINTER_KEY is not set"
            ),
        ),
        (
            {"plugins": ["till", "explodes"]},
            "plugin 'explodes' (acme-explodes 1.0): making it raised SystemExit: no paper (HERE)",
        ),
        (
            {"plugins": ["till", "also_cash"]},
            (
                "plugin 'also_cash' (acme-also_cash 1.0): hook payment_gateways: 'cash' is offered twice, "
                "by plugin till 1.0 and by plugin also_cash 1.0 (HERE)"
            ),
        ),
        (
            {"plugins": ["till", "vouches", "vouches_too"]},
            (
                "plugin 'vouches_too' (acme-vouches_too 1.0): hook identity_providers: 'https://id.example' is offered "
                "twice, by plugin vouches 1.0 and by plugin vouches_too 1.0 (HERE)"
            ),
        ),
        (
            {"plugins": ["till", "half"]},
            "plugin 'half' (acme-half 1.0): hook tax_calculators: Half is no TaxCalculator: it lacks evaluate (HERE)",
        ),
        (
            {"plugins": ["till", "loose"]},
            (
                "plugin 'loose' (acme-loose 1.0): hook payment_gateways: the gateway 'loose' must declare its "
                "capabilities as tillhook.Capabilities (HERE)"
            ),
        ),
        (
            {"plugins": ["till", "raises"]},
            "plugin 'raises' (acme-raises 1.0): hook item_feeds: it called sys.exit(4) (HERE)",
        ),
        (
            {"plugins": ["till", "open_door"]},
            (
                "plugin 'open_door' (acme-open_door 1.0): hook routes: GET /all: it declares no roles: "
                "give it a frozenset of device, guest, operator, shopper, staff (HERE)"
            ),
        ),
        (
            {"plugins": ["till", "late"]},
            (
                "plugin 'late' (acme-late 1.0): Plugin 'late' for hook 'order_created' hookimpl definition: "
                "<lambda>(ordr) Argument(s) {'ordr'} are declared in the hookimpl but can not be found in the hookspec "
                "(HERE)"
            ),
        ),
        (
            {"plugins": ["till", "wallet"], "payment": {"gateway": "walet"}},
            "demo.payment.gateway: 'walet' is offered by no plugin of this store type (did you mean 'wallet'?)",
        ),
        (
            {"plugins": ["till"], "taxes": {"calculator": "x"}},
            "demo.taxes.calculator: 'x' is offered by no plugin of this store type (offered: free)",
        ),
        (
            {"plugins": ["till"], "promotion": {"engine": "x"}},
            "demo.promotion.engine: 'x' is offered by no plugin of this store type (offered: none)",
        ),
        (
            {"plugins": ["till", "wallet"], "payment": {"gateway": "wallet", "methods": ["app", "cash"]}},
            "demo.payment.methods: the gateway 'wallet' cannot do cash (it can do card, app)",
        ),
        (
            {"plugins": ["till"], "pament": {}},
            "shop.toml: demo.pament: is neither a setting nor a plugin (did you mean 'payment'?)",
        ),
    ],
    ids=lambda value: None if isinstance(value, dict) else value[:60],
)
def test_what_is_broken_is_named_and_the_other_store_types_keep_working(demo: dict[str, Any], says: str) -> None:
    host = hosting({"demo": demo, "kiosk": {"plugins": ["till", "printer"]}}, GUESTS)
    with pytest.raises(Problem) as refused:
        host.shop(STORE)
    assert refused.value.code == "store_type_unavailable"
    assert without_lines(refused.value.detail) == f"store type demo/SE: {says}"
    assert refused.value.facts["store_type"] == "demo"
    assert host.shop(at("kiosk")).plugins == ("till", "printer")
    assert [without_lines(str(fault)) for fault in host.problems()] == [f"store type demo: {says}"]


def test_every_broken_plugin_of_a_store_type_is_named_at_once() -> None:
    host = hosting({"demo": {"plugins": ["explodes", "printr", "till"]}}, GUESTS)
    with pytest.raises(Problem, match=r"'explodes'.*no paper .*; .*'printr'.*not installed") as refused:
        host.shop(STORE)
    assert refused.value.facts["plugins"] == ["explodes", "printr"]


def test_a_store_type_that_the_configuration_does_not_know_is_told() -> None:
    host = hosting({"demo": {"plugins": ["till"]}}, GUESTS)
    with pytest.raises(
        Problem, match=r"store type dmo/SE: the configuration has no layer for it \(did you mean 'demo'"
    ):
        host.shop(at("dmo"))
    assert host.problems() == []
    assert [fault.place for fault in host.problems([at("dmo")])] == [("dmo", "SE", None)]


def test_a_mistake_in_one_region_leaves_the_other_regions_alone() -> None:
    host = hosting(
        {"demo": {"plugins": ["till", "printer"]}, "demo/DK": {}, "demo/SE": {"printer": {"width": []}}}, GUESTS
    )
    assert host.shop(at(region="DK")).region == "DK"
    assert [fault.place for fault in host.problems()] == [("demo", "SE", None)]
    assert [shop.region for shop in host.shops()] == ["DK"]


def test_the_report_lists_every_plugin_with_its_state_its_users_and_its_hooks() -> None:
    host = hosting(
        {
            "demo": {"plugins": ["till", "printer", "ghost"]},
            "kiosk": {"plugins": ["till", "printer"], "printer": {"width": "wide"}},
            "bar": {"plugins": ["till"]},
        },
        {"printer": Printer, "wallet": Wallet},
    )
    report = {line.name: line for line in host.report()}
    assert list(report) == ["ghost", "printer", "till", "wallet"]
    assert report["till"].state is State.READY
    assert report["till"].store_types == ("demo", "kiosk", "bar")
    assert report["till"].hooks == ("tax_calculators", "payment_gateways")
    assert (report["till"].distribution, report["till"].version) == ("acme-till", "1.0")
    assert report["wallet"].state is State.NOT_USED
    assert (report["ghost"].state, report["ghost"].reason) == (State.QUARANTINED, "not installed")
    assert report["printer"].state is State.QUARANTINED
    assert "store type kiosk" in report["printer"].reason
    assert report["printer"].store_types == ("demo", "kiosk")


def test_an_installed_plugin_that_fails_at_import_stops_only_the_store_types_that_need_it(install: Installer) -> None:
    install("acme-torn", "raise SystemExit('torn')", entry="torn", version="0.9")
    tables = {"demo": {"plugins": ["till", "torn"]}, "kiosk": {"plugins": ["till"]}}
    host = Host(configured(tables), [*discover({"torn"}, {}), found("till", Till)], Lent)
    assert host.shop(at("kiosk")).plugins == ("till",)
    with pytest.raises(Problem) as refused:
        host.shop(at("demo"))
    assert refused.value.detail == (
        "store type demo/SE: plugin 'torn' (acme-torn 0.9): SystemExit while importing guest_acme_torn:Guest: torn "
        "(guest_acme_torn.py:1)"
    )
    torn = next(line for line in host.report() if line.name == "torn")
    assert (torn.state, torn.version) == (State.QUARANTINED, "0.9")


def test_every_offer_has_a_rule_and_every_rule_an_offer() -> None:
    assert set(RULES) == {name for name, hook in HOOKS.items() if kind_of(hook).kind is Kind.OFFER}


@pytest.mark.parametrize("region", ["DK", "SE"])
def test_the_demonstration_is_ready(region: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, request: Any) -> None:
    layers = load(request.config.rootpath / "tillhook.toml", {}).layers
    monkeypatch.chdir(tmp_path)
    host = Host(layers, discover(layers.plugin_names(), {}), Lent)
    assert host.problems() == []
    shop = host.shop_for("demo", region)
    assert shop.owner(shop.gateway) == "sandbox"
    assert shop.owner(shop.tax) == "tax"
