"""What the pages say is so: listings are whole, links lead somewhere, and every name that they mention exists."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner

from tests.docs.pages import OPERATIONS, PAGES, README, ROOT, Listing, anchors, links, listings, prose, spans, the
from tillhook import CompletedOrder, Outside, Plugin
from tillhook.core.cli import main
from tillhook.core.cli.reference import PAGES as REFERENCE
from tillhook.core.config.layers import Layers
from tillhook.core.config.loading import FILE_VARIABLE, SYSTEM_TABLE
from tillhook.core.config.system import VARIABLES, System
from tillhook.core.plugins.discovery import DISABLE_VARIABLE, discover
from tillhook.core.telemetry import metrics

OWN = [page for page in PAGES if page.parent != ROOT / "docs" / "decisions"]
LISTINGS = list(listings(*OWN))
SHELL = {"bash", "sh"}


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def of(*languages: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("listing", [at for at in LISTINGS if at.language in languages], ids=str)


# --- listings


def test_every_listing_says_its_language() -> None:
    known = {*SHELL, "python", "toml", "csv", "text"}
    assert [str(at) for at in LISTINGS if at.language not in known] == []


@of("python")
def test_python_is_python_and_imports_what_there_is(listing: Listing) -> None:
    for node in ast.walk(ast.parse(listing.text)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "tillhook":
            module = importlib.import_module(node.module)
            assert [at.name for at in node.names if not hasattr(module, at.name)] == []


@of("bash", "sh")
def test_shell_lines_can_be_read_by_a_shell(listing: Listing) -> None:
    done = subprocess.run(["bash", "-n", "-c", listing.text], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for name, value in above.items():
        found = result.get(name)
        result[name] = merged(found, value) if isinstance(found, dict) and isinstance(value, dict) else value
    return result


def plugin_classes() -> dict[str, type[Plugin]]:
    """The installed ones, and the one of the README."""
    module: dict[str, Any] = {"__name__": "corner_of_the_readme"}
    exec(compile(the(README, "python"), "README.md", "exec", dont_inherit=True), module)
    found = {at.name: at.plugin_class for at in discover() if at.plugin_class is not None}
    return {**found, "corner": module["Corner"]}


OTHER = {"project", "stores"}
"""Tables of a pyproject.toml and of a file of stores: the tests of the retailer use those listings."""
CONFIGURATIONS = [at for at in LISTINGS if at.language == "toml" and not set(tomllib.loads(at.text)) & OTHER]


@pytest.mark.parametrize("listing", CONFIGURATIONS, ids=str)
def test_toml_is_a_configuration_that_is_accepted(listing: Listing) -> None:
    """Laid over the configuration that tillhook comes with, and the README's."""
    tables = tomllib.loads(listing.text)
    for known in (the(README, "toml", "[corner]"), (ROOT / "tillhook.toml").read_text()):
        tables = merged(tomllib.loads(known), tables)
    msgspec.convert(tables.pop(SYSTEM_TABLE), System)
    classes = plugin_classes()
    environ = dict.fromkeys(re.findall(r"'env:(\w+)'", str(tables)), "x")
    layers = Layers(tables, str(listing), environ)
    for place in layers.places():
        for name in layers.shop_settings(*place, installed=classes).plugins:
            layers.plugin_settings(name, classes[name].Settings, *place)


# --- the plan of the house


def test_the_plan_shows_the_top_level() -> None:
    plan, _ = (at.text for at in listings(README) if at.language == "text")
    names = re.findall(r"(?:^|  )([a-z]+/|[a-z]+\.py) ", plan, re.MULTILINE)
    assert [name for name in names if not (ROOT / name).exists()] == []
    for folder in ("plugins", "retailers"):
        told = re.search(rf"{folder}/ .*: (.+)$", plan, re.MULTILINE)
        assert told is not None
        assert told[1].split(", ") == sorted(at.parent.name for at in ROOT.glob(f"{folder}/*/pyproject.toml"))


def test_the_plan_shows_the_floors_in_the_order_that_is_checked() -> None:
    _, plan = (at.text for at in listings(README) if at.language == "text")
    shown = [re.findall(r"core/[a-z]+|[a-z]+\.py", line.split("    ")[0]) for line in plan.splitlines()]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (floors,) = (at["layers"] for at in contracts if at["id"] == "floors")
    checked = [re.findall(r"tillhook\.([\w.]+)", floor) for floor in floors]
    as_files = {"app": "app.py", "hookspecs": "hookspecs.py"}
    assert [sorted(floor) for floor in shown] == [
        sorted(as_files.get(name, name.replace(".", "/")) for name in floor) for floor in checked[1:]
    ]


# --- links


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_map_leads_to_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / link).resolve() for link in links(index)}
    assert [named(page) for page in PAGES if page != index and page not in linked] == []


# --- names


def commands(page: Path) -> Iterator[list[str]]:
    """Every call of ``tillhook`` that a page shows, as words after the name of the program."""
    shown = [line for at in listings(page) if at.language in SHELL for line in at.text.splitlines()]
    shown += spans(page)
    for line in shown:
        for found in re.finditer(r"(?:^|[(;=] ?|&& )(?:\.venv/bin/)?tillhook (?=[a-z-])([^()|;&]*)", line):
            yield shlex.split(found[1], comments=True)


def commands_of_plugin(name: str) -> set[str]:
    plugin = plugin_classes()[name]
    return {offered.command.name for offered in plugin(plugin.Settings()).commands()}


@pytest.mark.parametrize("page", OWN, ids=named)
def test_every_command_and_option_exists(page: Path) -> None:
    for words in commands(page):
        if words[0] not in main.commands and words[0] in plugin_classes():
            assert set(words) & commands_of_plugin(words[0]), words
            continue
        command: click.Command = main
        path: list[str] = []
        while isinstance(command, click.Group) and words and words[0] in command.commands:
            path.append(words.pop(0))
            command = command.commands[path[-1]]
        assert path, words
        assert not (isinstance(command, click.Group) and words), f"{path} has no command {words}"
        options = {name for at in command.params for name in at.opts}
        assert [at for at in words if at.startswith("-") and at not in options] == [], path
        assert CliRunner().invoke(main, [*path, "--help"]).exit_code == 0


def test_commands_are_found_where_they_are_shown() -> None:
    """So that the test above has something to look at."""
    assert ["token"] in list(commands(README))
    assert ["serve", "--workers", "4", "--no-work"] in list(commands(OPERATIONS))


@pytest.fixture(scope="module")
def settings() -> set[str]:
    """Every setting, those of plugins with the name of their table."""
    found: set[str] = set()
    table = ""
    for line in REFERENCE["settings"]().splitlines():
        if heading := re.match(r"## Plugin `(\w+)`", line):
            table = f"{heading[1]}."
        if row := re.match(r"\| `([\w.]+)` \|", line):
            found.add(f"{table}{row[1]}")
    return found


THINGS = {"outside": Outside, "order": CompletedOrder}
"""Words that are the first part of settings as well as the name of a thing in a plugin's hands."""


@pytest.mark.parametrize("page", OWN, ids=named)
def test_every_setting_exists(page: Path, settings: set[str]) -> None:
    tables = {name.split(".")[0] for name in settings if "." in name}
    for span in spans(page):
        first, _, rest = span.partition(".")
        if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", span) and first in tables and not hasattr(THINGS.get(first), rest):
            assert span in settings, span


@pytest.mark.parametrize("page", OWN, ids=named)
def test_every_variable_exists(page: Path) -> None:
    known = {*VARIABLES, FILE_VARIABLE, DISABLE_VARIABLE}
    assert set(re.findall(r"TILLHOOK_[A-Z_]+", page.read_text())) <= known


def test_every_metric_and_log_line_to_watch_exists() -> None:
    told = metrics.exposition().decode()
    watched = set(re.findall(r"\btillhook_[a-z_]+", prose(OPERATIONS)))
    assert len(watched) >= 8
    assert [name for name in watched if f"# HELP {name} " not in told] == []
    code = "".join(path.read_text() for path in (ROOT / "core").rglob("*.py"))
    events = [at for at in spans(OPERATIONS) if re.fullmatch(r"[a-z]+( [a-z]+){3,}", at)]
    assert len(events) >= 2
    assert [at for at in events if f'"{at}"' not in code] == []
