"""``tillhook plugins`` and ``tillhook config``."""

import contextlib
import json
import os
import pty
import re
import subprocess
import sys

import pytest

from tests.cli.conftest import Folder
from tillhook.core.roles.grammar import HOOKSPEC_VERSION

UNWRITTEN = "and no sale may go without what it writes (transaction_id_for, poslog_for)"


def on_a_terminal(*arguments: str) -> tuple[int, list[str]]:
    """Run ``tillhook`` on a terminal of its own: exit code, and the lines that it shows, without their colours."""
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "tillhook", *arguments]
    shown = b""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=its, stderr=its) as process:
        os.close(its)
        with contextlib.suppress(OSError):  # so Linux tells that the other end is closed
            while read := os.read(ours, 65536):
                shown += read
    os.close(ours)
    return process.returncode, re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()


def test_plugins_are_listed_with_their_state_and_in_the_order_in_which_they_are_asked(folder: Folder) -> None:
    said = folder.ok("plugins")

    assert "sandbox\ttillhook-sandbox\t0.1.0\tready\t\tdemo" in said
    assert "oidc\ttillhook-oidc\t0.1.0\tnot used\t" in said
    assert "demo/SE: asked in this order: issuer → tax → sandbox → receipts → demo" in said


def test_a_quarantined_plugin_is_named_with_its_reason(folder: Folder) -> None:
    folder.change('demo.workstation_id = "900"', "demo.workstation_id = 900")
    line = folder.refused("plugins")
    listed = json.loads(folder.run("plugins", "--json").stdout)

    assert line.startswith("plugin 'demo' (tillhook-demo 0.1.0) is quarantined: store types demo/DK, demo/SE: ")
    assert line.endswith("tillhook.toml: demo.demo.workstation_id: Expected `str`, got `int`")
    (demo,) = [one for one in listed["plugins"] if one["name"] == "demo"]
    assert (demo["state"], demo["not_served"]) == ("quarantined", ["demo/DK", "demo/SE"])
    assert listed["order"]["demo/DK"][-1] == "demo"


def test_a_plugin_that_is_switched_off_is_shown_as_such_and_its_store_types_go_on(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TILLHOOK_DISABLE", "receipts,oidc")
    result = folder.run("plugins")

    assert result.exit_code == 0
    assert "receipts\ttillhook-receipts\t0.1.0\tswitched off\t" in result.stdout
    assert "oidc\ttillhook-oidc\t0.1.0\tswitched off" in result.stdout
    assert (
        "tillhook: plugin 'receipts' (tillhook-receipts 0.1.0) is switched off: asked nothing, its duties wait "
        "(TILLHOOK_DISABLE)"
    ) in result.stderr.splitlines()


def test_a_plugin_that_is_switched_off_and_needed_is_named_with_the_places_that_are_not_served(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TILLHOOK_DISABLE", "sandbox")

    assert folder.refused("plugins").startswith(
        "plugin 'sandbox' (tillhook-sandbox 0.1.0) is switched off: store types demo/DK, demo/SE: switched off by the "
        "variable TILLHOOK_DISABLE, but demo.payment.gateway may need its payment_gateways: "
    )


def test_a_retailer_that_is_switched_off_and_writes_the_log_is_named_with_the_places_that_are_not_served(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TILLHOOK_DISABLE", "demo")
    why = "switched off by the variable TILLHOOK_DISABLE, " + UNWRITTEN
    result = folder.run("plugins")

    assert result.exit_code == 1
    assert "demo\ttillhook-demo\t0.1.0\tswitched off\t" in result.stdout
    assert result.stderr == (
        f"tillhook: plugin 'demo' (tillhook-demo 0.1.0) is switched off: store types demo/DK, demo/SE: {why}\n"
    )
    listed = json.loads(folder.run("plugins", "--json").stdout)["plugins"]
    assert [one["name"] for one in listed if one["not_served"] == ["demo/DK", "demo/SE"]] == ["demo"]
    checked = folder.run("config", "check")
    assert checked.exit_code == 1
    assert checked.stdout.splitlines()[0] == f"store type demo/DK: plugin 'demo' (tillhook-demo 0.1.0): {why}"


def test_a_name_to_switch_off_that_no_plugin_has_is_told(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLHOOK_DISABLE", "recipts")

    assert folder.run("plugins").stderr == (
        "tillhook: TILLHOOK_DISABLE names 'recipts', which is no plugin here (did you mean 'receipts'?)\n"
    )


def test_a_plugin_that_is_not_installed_is_listed_as_wanted(folder: Folder) -> None:
    folder.change('"sandbox", ', '"sandbox", "sandbux", ')

    assert folder.refused("plugins").startswith("plugin 'sandbux' is quarantined: not installed")


def test_each_plugin_has_the_version_of_the_hooks_that_it_was_made_for(folder: Folder) -> None:
    listed = json.loads(folder.ok("plugins", "--json"))["plugins"]
    versions = {one["name"]: one["hookspec_version"] for one in listed}

    assert versions["demo"] == HOOKSPEC_VERSION
    assert versions["oidc"] is None, "it is not used, so it was not imported"


def test_explaining_a_store_type_lists_who_answers_each_hook_in_which_order(folder: Folder) -> None:
    said = folder.ok("plugins", "--explain", "demo", "--region", "se").splitlines()

    assert said[0].split("\t") == [
        *("hook", "kind", "when one fails", "limit", "asked", "version", "state", "offers"),
    ]
    rows = [line.split("\t") for line in said[1:-1]]
    [taxes] = [row for row in rows if row[0] == "tax_calculators"]
    assert taxes[1:3] + taxes[4:] == ["offer", "quarantine", "tax", "0.1.0", "ready", "tables ← taxes.calculator"]
    demonstrations = [row[4] for row in rows if row[0] == "demonstrations"]
    assert demonstrations == ["sandbox", "demo"]
    assert said[-1] == "demo/SE: asked in this order: issuer → tax → sandbox → receipts → demo"


def test_explaining_without_a_region_takes_the_first_of_the_store_type(folder: Folder) -> None:
    assert folder.ok("plugins", "--explain", "demo").splitlines()[-1].startswith("demo/DK: ")


def test_explaining_as_json_has_every_hook_with_its_rules(folder: Folder) -> None:
    said = json.loads(folder.ok("plugins", "--explain", "demo", "--json"))
    hooks = {one["hook"]: one for one in said["hooks"]}

    assert said["served"] is True
    assert (hooks["poslog_for"]["kind"], hooks["poslog_for"]["on_failure"]) == ("question", "block")
    assert hooks["poslog_for"]["seconds"] > 0
    assert hooks["payment_gateways"]["by"][0]["picked"] == {"payment.gateway": "sandbox"}


def test_explaining_marks_who_is_switched_off_and_who_keeps_the_place_from_being_served(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TILLHOOK_DISABLE", "receipts")
    said = folder.run("plugins", "--explain", "demo")
    assert said.exit_code == 0
    assert "receipts\t0.1.0\tswitched off" in said.stdout
    assert "demo\t0.1.0\tready" in said.stdout
    assert said.stderr == "tillhook: demo/DK: plugin 'receipts' 0.1.0 is switched off: TILLHOOK_DISABLE\n"

    folder.change('"sandbox", ', '"sandbox", "sandbux", ')
    said = folder.run("plugins", "--explain", "demo")
    assert said.exit_code == 1
    assert "demo/DK: plugin 'sandbux' is quarantined: demo.plugins names it, but it is not installed" in said.stderr
    assert "demo/DK is not served" in said.stderr
    assert "tax\t0.1.0\tnot asked" in said.stdout


def test_explaining_a_place_that_is_closed_by_who_is_switched_off_says_so_piped_and_on_a_terminal(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TILLHOOK_DISABLE", "demo")
    said = folder.run("plugins", "--explain", "demo")
    assert said.exit_code == 1
    assert "poslog_for\tquestion\tblock\t2 s\tdemo\t0.1.0\tswitched off" in said.stdout
    assert "tax\t0.1.0\tnot asked" in said.stdout
    told = said.stderr.splitlines()
    assert told[0].startswith("tillhook: demo/DK: plugin 'demo' 0.1.0 is switched off: ")
    assert told[0].endswith(UNWRITTEN)
    assert told[1:] == ["tillhook: demo/DK is not served: `tillhook config check` lists what is wrong"]

    code, shown = on_a_terminal("plugins", "--explain", "demo")
    assert code == 1
    at = shown.index("poslog_for: question, block, 2 s")
    assert shown[at + 1] == "  1. demo 0.1.0: switched off"
    assert shown[-2:] == told


def test_explaining_a_store_needs_no_store_type(shop: Folder) -> None:
    said = shop.ok("plugins", "--store", "sto_demo_dk")
    assert said.splitlines()[-1].startswith("demo/DK/sto_demo_dk: asked in this order: ")


def test_explaining_a_store_type_that_does_not_exist_names_the_nearest(folder: Folder) -> None:
    line = folder.refused("plugins", "--explain", "demmo", code=2)
    assert line == "tillhook.toml: no store type 'demmo' (did you mean 'demo'?)"
    assert "--region needs --explain" in folder.refused("plugins", "--region", "SE", code=2)


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
