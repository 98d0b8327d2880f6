"""``tillhook certify`` on a distribution that is really installed, and what ``tillhook plugins`` makes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import ROOT, Folder
from tillhook.core.plugins.certificate import key_at
from tillhook.core.testing.certifying import Refused, Target, targets

PATIENCE = 300
"""Seconds; nothing takes so long unless it hangs."""
PACKAGE = '''
from tillhook import Basket, Config, Plugin, Secret, Store, hookimpl


class GoodSettings(Config, frozen=True, kw_only=True):
    limit: int = 100
    """Lines of a basket."""


class Good(Plugin):
    """Refuses baskets that are too large."""

    hookspec_version = 2
    Settings = GoodSettings
    settings: GoodSettings

    @hookimpl
    def problems_for(self, basket: Basket, store: Store) -> list[str]:
        return ["It is too large."] if len(basket.lines) > self.settings.limit else []


class Plain(Plugin):
    @hookimpl
    def problems_for(self, basket: Basket, store: Store) -> list[str]:
        return []


class ShakySettings(Config, frozen=True, kw_only=True):
    api_key: Secret


class Shaky(Plugin):
    """Keeps its secret where everybody sees it."""

    hookspec_version = 2
    Settings = ShakySettings

    def __init__(self, settings: ShakySettings) -> None:
        super().__init__(settings)
        self.key = settings.api_key.reveal()
'''
TESTS = """
import pytest
from tillhook.core.testing.contracts import PluginContract
from tillhook_trio import Good, Plain, Shaky


class TestGood(PluginContract):
    plugin = Good


class TestPlain(PluginContract):
    plugin = Plain


class TestShaky(PluginContract):
    plugin = Shaky
    settings = {"api_key": "env:SHAKY_KEY"}


@pytest.mark.parametrize("number", range(3))
def test_of_its_own(number):
    assert Good
"""
POINTS = """[tillhook]
good = tillhook_trio:Good
lost = tillhook_trio:Lost
plain = tillhook_trio:Plain
shaky = tillhook_trio:Shaky
"""
METADATA = """Metadata-Version: 2.4
Name: tillhook-trio
Version: 1.0
License-Expression: MIT
Requires-Dist: tillhook
"""


class Trio:
    """A working folder with a project of four plugins, of which one cannot be loaded, installed in ``site``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "trio"
        self.site = folder / "site"
        self.package = self.site / "tillhook_trio"
        for path, text in {
            "tillhook.toml": (ROOT / "tillhook.toml").read_text(),
            "trio/pyproject.toml": '[project]\nname = "Tillhook.Trio"\n',
            "trio/README.md": "| `limit` | how many lines |",
            "trio/tests/test_trio.py": TESTS,
            "site/tillhook_trio/__init__.py": PACKAGE,
            "site/tillhook_trio/py.typed": "",
            "site/tillhook_trio-1.0.dist-info/METADATA": METADATA,
            "site/tillhook_trio-1.0.dist-info/entry_points.txt": POINTS,
        }.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        environ = {name: value for name, value in os.environ.items() if not name.startswith("TILLHOOK_")}
        self.certified = subprocess.run(
            [sys.executable, "-m", "tillhook", "certify", "trio", "--json", "--at-least", "gold"],
            cwd=folder,
            env={**environ, "PYTHONPATH": "site"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.lines = self.certified.stderr.splitlines()

    def certificate(self, plugin: str) -> dict[str, Any]:
        found = [one for one in json.loads(self.certified.stdout) if one["plugin"] == plugin]
        assert len(found) == 1, self.certified.stderr
        return found[0]

    def broken(self, plugin: str) -> list[str]:
        """The rules that it does not keep."""
        return [rule["rule"] for rule in self.certificate(plugin)["rules"] if not rule["kept"]]


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Trio:
    """It is certified once; the tests are about what came of it."""
    return Trio(tmp_path_factory.mktemp("certify"))


@pytest.fixture
def here(folder: Folder, trio: Trio, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """The same folder, for commands that run nothing."""
    monkeypatch.syspath_prepend(str(trio.site))
    monkeypatch.setenv("PYTHONPATH", str(trio.site))
    monkeypatch.chdir(trio.folder)
    yield Folder(trio.folder)
    for name in [name for name in sys.modules if name.startswith("tillhook_trio")]:
        del sys.modules[name]


def tiers(folder: Folder) -> dict[str, tuple[str, str]]:
    listed = json.loads(folder.run("plugins", "--json").stdout)["plugins"]
    return {one["name"]: (one["tier"], one["tier_reason"]) for one in listed}


# --- what came of it


def test_each_plugin_of_a_distribution_reaches_the_tier_that_it_deserves(trio: Trio) -> None:
    found = [(one["plugin"], one["tier"]) for one in json.loads(trio.certified.stdout)]
    assert found == [("good", "gold"), ("plain", "bronze"), ("shaky", "none")]
    assert trio.broken("good") == []
    assert trio.broken("plain") == ["version"]
    assert trio.broken("shaky") == ["promises", "readme", "settings"]


def test_their_suites_are_run_once_for_all_of_them(trio: Trio) -> None:
    assert [line for line in trio.lines if "running" in line] == [f"tillhook: running {trio.project}/tests …"]


def test_what_pytest_says_of_a_broken_promise_is_there_to_read(trio: Trio) -> None:
    assert "test_no_setting_shows_a_secret" in trio.certified.stderr


def test_the_last_line_says_what_is_missing_and_of_which_plugin(trio: Trio) -> None:
    assert trio.certified.returncode == 1
    assert trio.lines[-1].startswith(
        "tillhook: plugin 'lost' (tillhook-trio 1.0): it is quarantined, so there is nothing to certify: "
        "its entry point lost = tillhook_trio:Lost leads nowhere: "
    )
    assert trio.lines[-1].endswith("; plain is bronze, not gold; shaky is none, not gold")


def test_a_certificate_says_what_was_looked_at(trio: Trio) -> None:
    good = trio.certificate("good")
    assert (good["distribution"], good["version"], good["hookspec_version"]) == ("tillhook-trio", "1.0", 2)
    assert (good["hooks"], good["exercised"]) == (["problems_for"], ["problems_for"])
    assert good["suites"].keys() == {"PluginContract"}
    assert good["milliseconds"].keys() == {"problems_for"}
    assert good["import_milliseconds"] >= 0


def test_nothing_else_is_left_in_the_folder(trio: Trio) -> None:
    kept = {"certificates", "site", "tillhook.toml", "trio", "var"}
    assert {at.name for at in trio.folder.iterdir()} == kept
    assert {at.name for at in (trio.folder / "certificates").iterdir()} == {"good.json", "plain.json", "shaky.json"}
    assert {at.name for at in (trio.folder / "var").iterdir()} == {"certificate-key.json"}
    assert [at.name for at in trio.project.rglob("__pycache__")] == []


# --- the list of plugins


def test_the_list_shows_the_tiers(here: Folder) -> None:
    shown = {name: tier for name, (tier, _) in tiers(here).items() if tier}
    assert shown == {"good": "gold", "plain": "bronze", "shaky": "none"}
    rows = [line.split("\t") for line in here.run("plugins").stdout.splitlines()]
    assert rows[0] == ["plugin", "distribution", "version", "state", "tier", "store types"]
    assert ["good", "tillhook-trio", "1.0", "not used", "gold", ""] in rows


def test_a_plugin_loses_its_tier_when_a_file_changes(here: Folder, trio: Trio) -> None:
    more = trio.package / "more.py"
    more.write_text("A = 1\n")
    tier, reason = tiers(here)["good"]
    said = here.run("plugins").stderr
    verified = here.refused("certify", "--verify", "certificates/good.json")
    more.unlink()
    changed = "certificates/good.json: the code has changed since; run `tillhook certify good` again"
    assert (tier, reason, verified) == ("", changed, changed)
    assert f"tillhook: plugin 'good': its certificate does not count: {changed}" in said
    assert tiers(here)["good"] == ("gold", "")


def test_without_its_key_a_certificate_counts_only_where_the_key_is_trusted(here: Folder, trio: Trio) -> None:
    own, configured = trio.folder / "var" / "certificate-key.json", here.configuration.read_text()
    thumbprint = key_at(own).thumbprint()
    away = own.rename(own.with_suffix(".away"))
    try:
        assert f"signed by the key {thumbprint}, which is not trusted here" in tiers(here)["good"][1]
        assert "not trusted here" in here.refused("certify", "--verify", "certificates/good.json")
        here.change("[tillhook]\n", f'[tillhook]\ncertificates.trusted = ["{thumbprint}"]\n')
        assert tiers(here)["good"] == ("gold", "")
        own.write_text("{}")
        own.chmod(0o600)
        assert tiers(here)["good"] == ("gold", "")
        here.configuration.write_text(configured)
        assert f"({own.relative_to(trio.folder)} holds no" in tiers(here)["good"][1]
    finally:
        here.configuration.write_text(configured)
        away.rename(own)


def test_a_folder_without_certificates_shows_no_tiers(folder: Folder) -> None:
    assert set(tiers(folder).values()) == {("", "")}
    assert not (folder.path / "certificates").exists()


# --- verifying


def test_a_certificate_is_verified_without_running_anything(here: Folder, trio: Trio) -> None:
    said = here.ok("certify", "--verify", "certificates/good.json")
    assert said.startswith("certificates/good.json: good 1.0 is gold, by the key ")
    assert said.endswith("(the code that is installed here)\n")
    assert here.refused("certify", "--verify", "--at-least", "silver", "certificates/plain.json") == (
        "plain is bronze, not silver"
    )
    assert here.refused("certify", "--verify", "certificates/shaky.json") == "shaky is none, not bronze"


def test_a_certificate_of_what_is_not_installed_says_that_it_was_not_compared(folder: Folder, trio: Trio) -> None:
    thumbprint = key_at(trio.folder / "var" / "certificate-key.json").thumbprint()
    folder.change("[tillhook]\n", f'[tillhook]\ncertificates.trusted = ["{thumbprint}"]\n')
    said = folder.ok("certify", "--verify", str(trio.folder / "certificates" / "good.json"))
    assert said.endswith("(not installed here, so its code was not compared)\n")


@pytest.mark.parametrize(
    ("file", "reason", "code"),
    [("nowhere.json", "nowhere.json: No such file or directory", 1), ("tillhook.toml", "is no certificate", 2)],
)
def test_what_is_no_certificate_cannot_be_verified(folder: Folder, file: str, reason: str, code: int) -> None:
    assert reason in folder.refused("certify", "--verify", file, code=code)


def test_verifying_runs_nothing_so_it_takes_no_tests(folder: Folder) -> None:
    assert "--verify runs nothing" in folder.refused("certify", "--verify", "x", "--tests", ".", code=2)


# --- naming it


def test_a_distribution_is_named_by_its_name_or_its_folder_and_a_plugin_by_its_own(here: Folder, trio: Trio) -> None:
    tests = trio.project / "tests"
    every = ["good", "lost", "plain", "shaky"]
    assert [one.found.name for one in targets("tillhook-trio", tests)] == every
    assert [one.found.name for one in targets("Tillhook_Trio", tests)] == every
    assert [one.found.name for one in targets("trio")] == every
    (good,) = targets("good", tests)
    assert isinstance(good, Target)
    assert (good.tests, good.home.name) == (tests, "tillhook_trio")
    assert good.others == {"tillhook_trio:Plain", "tillhook_trio:Shaky"}
    (lost,) = targets("lost", tests)
    assert isinstance(lost, Refused)


def test_a_quarantined_plugin_is_one_clear_line(here: Folder) -> None:
    line = here.refused("certify", "lost")
    assert line.startswith("plugin 'lost' (tillhook-trio 1.0): it is quarantined, so there is nothing to certify: ")


def test_a_plugin_whose_tests_are_elsewhere_says_how_to_name_them(here: Folder) -> None:
    assert here.refused("certify", "good") == (
        "plugin 'good' (tillhook-trio 1.0): its tests are not here, it was not installed from a folder: "
        "name theirs with --tests"
    )
    assert "there is no folder nowhere: name theirs" in here.refused("certify", "good", "--tests", "nowhere")


def test_tests_that_are_none_prove_nothing(here: Folder, tmp_path: Path) -> None:
    """And a certificate that says so is written all the same."""
    here.configuration.write_text(
        here.configuration.read_text().replace("[tillhook]\n", f'[tillhook]\ncertificates.folder = "{tmp_path}/made"\n')
    )
    try:
        assert here.refused("certify", "good", "--tests", str(tmp_path)) == "good is none, not bronze"
    finally:
        here.configuration.write_text((ROOT / "tillhook.toml").read_text())
    certificate = json.loads((tmp_path / "made" / "good.json").read_text())["certificate"]
    found = {rule["rule"]: rule["found"] for rule in certificate["rules"] if not rule["kept"]}
    assert found["suites"] == "inherit in its tests: PluginContract"
    assert found["promises"] == f"1 failed: there is no test in {tmp_path}"


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("acmee", "no plugin and no distribution 'acmee' is installed; see `tillhook plugins`"),
        ("empty", "empty is no project: it has no pyproject.toml"),
        ("project", "project: its project 'tillhook-absent' brings no plugin here; install it: pip install --editable"),
        ("nameless", "nameless/pyproject.toml names no project (KeyError: 'project')"),
        ("garbled", "garbled/pyproject.toml names no project (TOMLDecodeError: "),
    ],
)
def test_what_cannot_be_certified_says_why(folder: Folder, named: str, reason: str) -> None:
    for name, text in {"project": '[project]\nname = "tillhook-absent"', "nameless": "", "garbled": "="}.items():
        (folder.path / name).mkdir()
        (folder.path / name / "pyproject.toml").write_text(text)
    (folder.path / "empty").mkdir()
    assert folder.refused("certify", named, code=2).startswith(reason)
    assert not (folder.path / "var").exists()


def test_without_pytest_it_says_what_to_install(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytest", None)
    assert folder.refused("certify", "tax", code=2) == "the suites need pytest: pip install 'tillhook[testing]'"


def test_a_key_that_others_may_read_is_refused_before_anything_is_run(folder: Folder) -> None:
    key = folder.path / "var" / "certificate-key.json"
    key_at(key)
    key.chmod(0o644)
    assert "chmod 600" in folder.refused("certify", "tax", code=2)


def test_a_project_needs_no_configuration(folder: Folder) -> None:
    folder.configuration.unlink()
    assert "no plugin and no distribution 'acmee'" in folder.refused("certify", "acmee", code=2)
    assert "no such file" in Folder.refused(folder, "--config", "other.toml", "certify", "acmee", code=2)
