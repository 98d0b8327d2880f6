"""``tillhook plugins`` and ``tillhook config``."""

import json

import pytest

from tests.cli.conftest import Folder


def test_plugins_are_listed_with_their_state_and_in_the_order_in_which_they_are_asked(folder: Folder) -> None:
    said = folder.ok("plugins")

    assert "sandbox\ttillhook-sandbox\t0.1.0\tready\tdemo" in said
    assert "oidc\ttillhook-oidc\t0.1.0\tnot used\t" in said
    assert "demo/SE: asked in this order: issuer → tax → sandbox → receipts → demo" in said


def test_a_quarantined_plugin_is_named_with_its_reason(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLHOOK_DISABLE", "sandbox")
    line = folder.refused("plugins")
    listed = json.loads(folder.run("plugins", "--json").stdout)

    assert line == "sandbox is quarantined: switched off by the variable TILLHOOK_DISABLE"
    (sandbox,) = [one for one in listed["plugins"] if one["name"] == "sandbox"]
    assert sandbox["state"] == "quarantined"
    assert listed["order"]["demo/DK"][-1] == "demo"


def test_a_broken_plugin_that_nobody_uses_does_no_harm(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLHOOK_DISABLE", "oidc")

    assert "oidc\ttillhook-oidc\t0.1.0\tquarantined" in folder.ok("plugins")


def test_a_plugin_that_is_not_installed_is_listed_as_wanted(folder: Folder) -> None:
    folder.change('"sandbox", ', '"sandbox", "sandbux", ')

    assert folder.refused("plugins").startswith("sandbux is quarantined: not installed")


def test_the_shipped_configuration_has_no_fault(folder: Folder) -> None:
    assert folder.ok("config", "check") == "tillhook.toml: no fault in 1 store type, 2 places\n"


def test_every_fault_is_listed_not_only_the_first(folder: Folder) -> None:
    folder.add('["demo/SE/sto_1"]\ndemo.workstation = "901"\n[other]\nplugins = ["tax"]')
    result = folder.run("config", "check")

    assert result.exit_code == 1
    assert "there is no such setting (did you mean 'workstation_id'?)" in result.stdout
    assert "store type other" in result.stdout
    assert result.stderr == "tillhook: tillhook.toml: 2 faults\n"


def test_a_system_setting_that_does_not_exist_names_the_nearest(folder: Folder) -> None:
    folder.change("[tillhook]", "[tillhook]\ndatabas = 1")

    line = folder.refused("config", "check", code=2)
    assert line == "tillhook.toml: tillhook.databas: there is no such setting (did you mean 'database'?)"


def test_each_setting_is_shown_with_the_layer_that_it_comes_from(folder: Folder) -> None:
    said = folder.ok("config", "show", "--store-type", "demo", "--region", "se").splitlines()

    assert 'tax.rates.food\t"12"\tdemo/SE' in said
    assert 'receipts.tax_label\t"Moms"\t*/SE' in said
    assert 'taxes.calculator\t"tables"\t*' in said
    assert "order.first_number\t100000\tdefault" in said
    assert "sandbox.webhook_secret\t(not set)\tdefault" in said


def test_a_store_has_its_own_layer_and_needs_no_store_type(shop: Folder) -> None:
    shop.add('["demo/DK/sto_demo_dk"]\nbasket.max_lines = 7')

    said = shop.ok("config", "show", "--store", "sto_demo_dk")
    assert "basket.max_lines\t7\tdemo/DK/sto_demo_dk" in said
    assert '"sto_none"' not in said
    assert "'sto_none'" in shop.refused("config", "show", "--store", "sto_none")


def test_no_secret_is_shown_whether_it_is_named_or_wrongly_written(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_KEY", "hunter2")
    folder.add(
        '["demo/DK".sandbox]\nwebhook_secret = "env:HOOK_KEY"\nchallenge_url = "https://till:hunter2@psp.example/3ds"\n'
        '["demo/SE".sandbox]\nwebhook_secret = "hunter2"\napi_key = "hunter2"'
    )

    for region in ("DK", "SE"):
        for options in ((), ("--json",)):
            said = folder.ok("config", "show", "--store-type", "demo", "--region", region, *options)
            assert "hunter2" not in said
            assert "***" in said
    said = folder.ok("config", "show", "--store-type", "demo", "--region", "DK")
    assert "sandbox.webhook_secret\t*** (env:HOOK_KEY)\tdemo/DK" in said
    assert "https://till:***@psp.example/3ds" in said


def test_a_store_type_that_does_not_exist_names_the_nearest(folder: Folder) -> None:
    line = folder.refused("config", "show", "--store-type", "demmo", code=2)

    assert line == "tillhook.toml: no store type 'demmo' (did you mean 'demo'?)"
    assert "name a --store-type (known: demo)" in folder.refused("config", "show", code=2)
