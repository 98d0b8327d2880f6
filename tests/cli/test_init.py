"""``tillhook init``: a configuration to begin with, for the plugins that are installed."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Sequence
from typing import Any

import pytest

from tests.cli.conftest import Folder
from tests.plugins.guests import found as installed
from tillhook import (
    CompletedOrder,
    Config,
    Demonstration,
    PaymentGateway,
    Plugin,
    PosLog,
    Receipt,
    ReceiptType,
    Rule,
    Secret,
    Store,
    hookimpl,
)
from tillhook.core.cli.creating import beside
from tillhook.core.plugins.discovery import discover
from tillhook.core.scaffold.company import company, of_company
from tillhook.core.scaffold.templates import single

INSTALLED = discover()


@pytest.fixture
def empty(folder: Folder) -> Folder:
    folder.configuration.unlink()
    return folder


def written(folder: Folder) -> dict[str, Any]:
    return tomllib.loads(folder.configuration.read_text())


def test_it_writes_a_configuration_without_fault_and_says_what_next(empty: Folder) -> None:
    said = empty.ok("init")

    assert [path.name for path in empty.path.iterdir()] == ["tillhook.toml"]
    assert "tillhook new retailer acme" in said
    assert "no fault in 0 store types" in empty.ok("config", "check")
    assert written(empty)["tillhook"]["database"] == "sqlite:///var/tillhook.db"


def test_every_store_type_gets_who_takes_money_computes_tax_and_prints(empty: Folder) -> None:
    empty.ok("init")
    layer = written(empty)["*"]

    assert layer["payment"] == {"gateway": "sandbox"}
    assert layer["taxes"] == {"calculator": "tables"}
    assert layer["tax"]["rates"]["standard"] == "25"
    assert layer["receipts"]["footer"]
    assert '#   plugins = ["issuer", "tax", "sandbox", "receipts", "acme"]' in empty.configuration.read_text()


def test_what_plugins_keep_lies_beside_the_database(empty: Folder) -> None:
    empty.ok("init")
    layer = written(empty)["*"]

    assert layer["issuer"] == {"key_file": "var/issuer-key.json"}
    assert layer["sandbox"] == {"ledger": "var/sandbox-ledger.sqlite3"}


def test_a_folder_is_made_where_there_is_none(empty: Folder) -> None:
    said = empty.ok("init", "some where/else")

    assert (empty.path / "some where/else/tillhook.toml").is_file()
    assert "cd 'some where/else' && tillhook new" in said


def test_a_file_that_is_there_is_left_alone(folder: Folder) -> None:
    before = folder.configuration.read_text()

    assert folder.refused("init") == "tillhook.toml is there already; nothing was written"
    assert folder.refused("init", "tillhook.toml") == "tillhook.toml is no folder; nothing was written"
    (folder.path / "linked").mkdir()
    (folder.path / "linked" / "tillhook.toml").symlink_to("nowhere.toml")
    assert "is there already" in folder.refused("init", "linked")
    assert folder.configuration.read_text() == before


def test_what_no_plugin_does_is_said_and_left_out(empty: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLHOOK_DISABLE", "sandbox")
    result = empty.run("init")

    assert result.exit_code == 0
    assert "no plugin that is installed takes demonstration payments (`payment_gateways`)" in result.stderr
    assert set(written(empty)["*"]) == {"basket", "taxes", "tax", "issuer", "receipts"}


# --- who is chosen


class Chain(Plugin):
    """A retailer that prints receipts of its own."""

    @hookimpl
    def poslog_for(self, order: CompletedOrder, store: Store) -> PosLog | None:
        return None

    @hookimpl
    def receipt_for(self, receipt_type: ReceiptType, order: CompletedOrder, store: Store) -> Receipt | None:
        return Receipt(receipt_type, "Receipt", "en", (Rule(),))


class LiveSettings(Config, frozen=True, kw_only=True):
    api_key: Secret


class Live(Plugin):
    """A gateway that cannot be had without a key."""

    Settings = LiveSettings

    @hookimpl
    def payment_gateways(self) -> Sequence[PaymentGateway]:
        raise AssertionError("it is not asked")

    @hookimpl
    def demonstrations(self) -> Sequence[Demonstration]:
        return (Demonstration(payments={"approve": {}}),)


class Unwell(Plugin):
    def __init__(self, settings: Any) -> None:
        raise RuntimeError("not today")


class Leaving(Plugin):
    @hookimpl
    def tax_calculators(self) -> Any:
        raise SystemExit(4)


class Empty(Plugin):
    @hookimpl
    def demonstrations(self) -> Any:
        return None

    @hookimpl
    def tax_calculators(self) -> Any:
        return None


class Nameless(Plugin):
    @hookimpl
    def tax_calculators(self) -> Any:
        return (object(),)


OVER = threading.Event()


class Stuck(Plugin):
    @hookimpl
    def tax_calculators(self) -> Any:
        OVER.wait(60)


def test_a_retailers_own_plugin_and_one_that_wants_a_setting_are_not_chosen() -> None:
    found = beside([installed("a_chain", Chain), installed("a_live_gateway", Live), *INSTALLED])

    assert found == beside(INSTALLED)
    assert found.plugins == ("issuer", "tax", "sandbox", "receipts")
    assert found.missing == ()


def test_a_plugin_that_is_broken_does_not_keep_a_new_one_from_being_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tillhook.core.plugins.starting.MAKE_SECONDS", 0.5)
    broken = [installed(f"a_{one.__name__}", one) for one in (Unwell, Leaving, Empty, Nameless, Stuck)]
    try:
        assert beside([*broken, *INSTALLED]) == beside(INSTALLED)
    finally:
        OVER.set()


def test_without_any_plugin_what_is_left_is_a_configuration_still() -> None:
    nobody = company([])
    text = of_company(single("tillhook.toml"), nobody, {"plugins": nobody.listed("acme")})

    assert len(nobody.missing) == 4
    assert set(tomllib.loads(text)["*"]) == {"basket"}
    assert "{{" not in text


def test_the_lines_of_the_configuration_are_not_too_long_to_read() -> None:
    here = beside(INSTALLED)
    text = of_company(single("tillhook.toml"), here, {"plugins": here.listed("acme"), "gateway": "x" * 20})
    assert [line for line in text.splitlines() if len(line) > 120] == []
