"""``tillhook new``: what it writes works as it stands, and what it cannot write it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Folder
from tests.cli.installing import install
from tests.cli.neighbour import Neighbour
from tillhook import Answer, Secret
from tillhook.app import assemble
from tillhook.core.cli.demonstration import prepare
from tillhook.core.config.loading import load
from tillhook.core.scaffold.templates import KINDS, originals
from tillhook.core.scaffold.writing import Occupied, write_folder
from tillhook.core.testing.shop import TillShop

NAME = "blue_fox"
MODULE = f"tillhook_{NAME}"
DEMO = '"issuer", "tax", "sandbox", "receipts", "demo"'
"""The plugins of the demonstration retailer, as the configuration lists them."""
PATIENCE = 300
"""Seconds; nothing takes so long unless it hangs."""

of_every_kind = pytest.mark.parametrize("kind", list(KINDS))


def tool(folder: Path, *command: str) -> None:
    """Run a Python tool in a new package, as its author does; it must find nothing."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TILLHOOK_"))}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**environ, "PYTHONPATH": "src", "MYPYPATH": "src"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def switching_on(folder: Folder) -> str:
    """What the README of the new package says to write into the configuration."""
    (found,) = re.findall(
        r"^```toml\n(.*?)^```$", (folder.path / NAME / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    return str(found)


@pytest.fixture
def begun(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Begin a plugin of a kind and install it for this process; gives what the README says to configure."""

    def begin(kind: str) -> str:
        folder.ok("new", kind, NAME)
        lines = switching_on(folder)
        install(folder.path / NAME, folder.path / "site")
        monkeypatch.syspath_prepend(str(folder.path / "site"))
        return lines

    yield begin
    for name in [name for name in sys.modules if name.split(".")[0] == MODULE]:
        del sys.modules[name]


# --- what is written


@of_every_kind
def test_a_new_package_passes_its_contract_suite_ruff_and_mypy(folder: Folder, kind: str) -> None:
    folder.ok("new", kind, NAME)
    package = folder.path / NAME

    tool(package, "ruff", "check", "--no-cache")
    tool(package, "mypy", "--strict", "--cache-dir", os.devnull, "src", "tests")
    tool(package, "pytest", "-q", "-p", "no:cacheprovider")


def test_a_name_and_a_kind_are_needed(folder: Folder) -> None:
    assert "Missing argument 'NAME'" in folder.refused("new", "epc", code=2)


@of_every_kind
def test_nothing_of_the_stand_in_is_left_under_another_name(folder: Folder, kind: str) -> None:
    folder.ok("new", kind, NAME)
    word = re.compile(KINDS[kind].standin[0], re.IGNORECASE)

    files = [path for path in (folder.path / NAME).rglob("*") if path.is_file()]
    assert len(files) == len(list(originals(KINDS[kind])))
    assert [path for path in files if word.search(str(path.relative_to(folder.path)) + path.read_text())] == []
    assert "{{" not in "".join(path.read_text() for path in files)


def test_the_package_lies_where_it_is_wanted(folder: Folder) -> None:
    folder.ok("new", "retailer", NAME, "--folder", "else where")

    package = folder.path / "else where"
    assert (package / "src" / MODULE / "__init__.py").is_file()
    assert package.stat().st_mode == (package / "src").stat().st_mode
    assert sorted(path.name for path in folder.path.iterdir()) == ["else where", "tillhook.toml"]


def test_an_empty_folder_may_be_there_also_the_one_that_one_is_in(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = folder.path / "empty"
    package.mkdir()
    monkeypatch.chdir(package)
    folder.ok("new", "retailer", NAME, "--folder", ".")

    assert sorted(path.name for path in package.iterdir()) == [
        ".gitignore",
        "README.md",
        "pyproject.toml",
        "src",
        "tests",
    ]
    assert Path.cwd().samefile(package)


def test_it_ends_by_saying_what_to_do_next(folder: Folder) -> None:
    said = folder.ok("new", "retailer", NAME)

    assert f"  pip install --editable ./{NAME}\n  pytest {NAME}\n" in said
    assert f'  [{NAME}]\n  plugins = ["issuer", "tax", "sandbox", "receipts", "{NAME}"]\n' in said
    assert f"  tillhook try {NAME}\n" in said


# --- switched on


def test_two_lines_switch_a_retailer_on_and_it_sells(folder: Folder, begun: Callable[[str], str]) -> None:
    lines = begun("retailer")
    assert len(lines.splitlines()) == 2
    folder.configuration.unlink()
    folder.ok("init")
    folder.add(lines)
    sale = json.loads(folder.ok("try", NAME, "--json"))

    assert sale["problems"] == []
    assert sale["order"]["order_status"] == "COMPLETED"
    document = json.loads(sale["poslog"]["document"])
    assert document["transaction"] == sale["order"]["transaction_id_poslog"] == "0001-900-000001"
    assert document["total"] == sale["order"]["total_price"]["minor"]
    assert [(at["topic"], at["value"]) for at in sale["messages"]] == [(f"{NAME}.sales", document)]


def test_an_rfid_vendor_is_told_of_a_sale_of_tagged_pieces(folder: Folder, begun: Callable[[str], str]) -> None:
    plugins, url = begun("epc").splitlines()
    vendor = Neighbour(Answer(204, {}, b""))
    with vendor as address:
        folder.change(f"plugins = [{DEMO}]", plugins.replace('"receipts"', '"receipts", "demo"'))
        folder.change("demo.workstation_id", f'{url.partition(" = ")[0]} = "{address}"\ndemo.workstation_id')
        sale = json.loads(folder.ok("try", "demo", "--region", "SE", "--json"))

    assert sale["problems"] == []
    ((call, headers, told),) = vendor.calls
    assert call == "POST /tags/state"
    assert headers["idempotency-key"] == sale["order"]["order_id"]
    assert told["state"] == "SOLD"
    assert sorted(told["epcs"]) == sorted(epc for line in sale["order"]["items"] for epc in line["epcs"])
    assert ("mark_epcs_sold", NAME, "DONE") in [(at["step"], at["plugin"], at["state"]) for at in timeline(sale)]


def test_a_settlement_parser_is_offered_and_sales_go_on(folder: Folder, begun: Callable[[str], str]) -> None:
    lines = begun("settlement")
    folder.change(f"plugins = [{DEMO}]", lines.replace('"receipts"', '"receipts", "demo"'))
    assert json.loads(folder.ok("try", "demo", "--json"))["problems"] == []

    running = assemble(load(folder.configuration))
    (offered,) = running.platform.host.shop_for("demo", "DK").offers("settlement_parsers")
    with (folder.path / NAME / "tests" / "payouts.csv").open("rb") as file:
        entries = list(offered.thing.parse(file))
    running.stop()
    assert (offered.plugin, offered.thing.name) == (NAME, NAME)
    assert {entry.kind for entry in entries} >= {"charge", "refund", "payout"}


def test_a_gateway_takes_the_money_of_a_sale(folder: Folder, begun: Callable[[str], str]) -> None:
    lines = begun("gateway")
    environ = dict.fromkeys(re.findall(r'"env:(\w+)"', lines), "not a real key")
    provider = Neighbour(Answer(404, {}, b""))
    with provider as address:
        folder.change(f"plugins = [{DEMO}]", lines.replace('"receipts"', '"receipts", "demo"'))
        folder.change('payment.gateway = "sandbox"\n', "")
        folder.change("demo.workstation_id", f'{NAME}.base_url = "{address}"\ndemo.workstation_id')
        shop = TillShop(folder.configuration, furnish=prepare, environ=environ)
        simulator = import_module(f"{MODULE}.simulator")
        key = Secret("NAME", "not a real key")
        settings = simulator.BlueFoxSettings(api_key=key, webhook_secret=key, base_url=address)
        books = simulator.BlueFoxSimulator(settings, lambda: datetime.now(UTC))
        provider.handle = books.handle
        order = shop("demo/DK").scan("9521234001010").pay(token=simulator.APPROVE).order()
        shop.close()

    assert (order.payment.status, order.payment.captured_amount) == ("CAPTURED", order.total_price)
    assert books.taken(order.payment.payment_id) == order.total_price.minor
    assert [at.plugin for at in order.timeline if at.step.startswith("payment.")] == [NAME, NAME]


def timeline(sale: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sale["order"]["timeline"]
    return found


# --- what cannot be written


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Acme", "small letters"),
        ("a", "small letters"),
        ("a" * 32, "small letters"),
        ("1st", "small letters"),
        ("blue-fox", "small letters"),
        ("blue fox", "small letters"),
        ("blue__fox", "small letters"),
        ("blue_", "small letters"),
        ("bläck", "small letters"),
        ("../blue", "small letters"),
        ("", "small letters"),
        ("class", "keyword"),
        ("none", "keyword"),
        ("payment", "belongs to the core"),
        ("tillhook", "belongs to the core"),
        ("sandbox", "installed already"),
        ("store", "class would be called Store"),
        ("exception", "class would be called Exception"),
    ],
)
def test_a_name_that_cannot_be_is_refused_in_one_line(folder: Folder, name: str, says: str) -> None:
    line = folder.refused("new", "retailer", "--", name, code=2)

    assert says in line
    assert repr(name) in line
    assert [path.name for path in folder.path.iterdir()] == ["tillhook.toml"]


@pytest.mark.parametrize("arguments", [(), ("shop", NAME)])
def test_a_kind_that_is_not_there_is_refused_with_those_that_are(folder: Folder, arguments: tuple[str, ...]) -> None:
    line = folder.refused("new", *arguments, code=2)
    assert all(kind in line for kind in KINDS)


def test_what_is_there_is_never_overwritten(folder: Folder) -> None:
    taken = folder.path / NAME
    taken.mkdir()
    (taken / "notes.txt").write_text("mine")
    assert "is not empty; nothing was written" in folder.refused("new", "retailer", NAME)
    assert [path.name for path in taken.iterdir()] == ["notes.txt"]

    assert "is no folder" in folder.refused("new", "retailer", NAME, "--folder", "tillhook.toml")
    assert "there is no folder nowhere" in folder.refused("new", "retailer", NAME, "--folder", "nowhere/at/all")
    (folder.path / "link").symlink_to(folder.path / "missing")
    assert "is no folder" in folder.refused("new", "retailer", NAME, "--folder", "link")
    assert sorted(path.name for path in folder.path.iterdir()) == [NAME, "link", "tillhook.toml"]


def test_what_somebody_else_puts_there_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    class Racing(dict[str, str]):
        """Another writer is quicker."""

        def items(self) -> Any:
            (tmp_path / "README.md").write_text("mine")
            return super().items()

    with pytest.raises(Occupied, match=r"README\.md is there already"):
        write_folder(tmp_path, Racing({"README.md": "new", "src/a.py": "new"}))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("README.md", "mine")]


def test_a_package_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    for folder in (tmp_path / "new", tmp_path):
        with pytest.raises(OSError, match="a"):
            write_folder(folder, {"a": "a file", "a/b": "a file in a file"})
        assert list(tmp_path.iterdir()) == []
