"""The pytest plugin: found by its entry point, quiet where nobody needs it, and its report of what was proven."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 120
PLUGIN = """
from tillhook import CompletedOrder, Plugin, PosLog, Store, hookimpl


class Acme(Plugin):
    @hookimpl
    def poslog_for(self, order: CompletedOrder, store: Store) -> PosLog | None:
        return PosLog("text/plain", f"{order.order_id} {store.name} {order.lines and ''}")
"""
SUITE = """
from acme import Acme
from tillhook.core.testing.contracts import PosLogContract


class TestAcme(PosLogContract):
    plugin = Acme
    examples = 5


def test_of_its_own():
    assert Acme
"""


@pytest.fixture
def author(tmp_path: Path) -> Path:
    """An author's folder; tillhook is installed, and pytest knows nothing else of it."""
    (tmp_path / "acme.py").write_text(PLUGIN)
    (tmp_path / "test_acme.py").write_text(SUITE)
    return tmp_path


def run(folder: Path, *options: str, code: int = 0) -> str:
    """What pytest says in the author's folder, with warnings as errors."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", "."]
    environ = {name: value for name, value in os.environ.items() if name not in {"CI", "PYTEST_ADDOPTS"}}
    done = subprocess.run(
        [*command, "-W", "error", *options],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_report_says_what_was_proven_of_which_plugin(author: Path) -> None:
    run(author, "--tillhook-report=out/report.json", code=1)
    found: dict[str, Any] = json.loads((author / "out" / "report.json").read_text())
    tests = {test["name"]: test for test in found["tests"]}

    assert (found["format"], found["exit"]) == (1, 1)
    same = tests["test_the_same_sale_gives_the_same_document"]
    assert same["nodeid"] == "test_acme.py::TestAcme::test_the_same_sale_gives_the_same_document"
    assert (same["class"], same["plugin"]) == ("TestAcme", "acme:Acme")
    assert same["contracts"] == ["PosLogContract", "PluginContract"]
    assert same["outcome"] == "passed"
    assert same["called"].keys() == {"poslog_for"}
    assert len(same["called"]["poslog_for"]) >= 3
    assert all(milliseconds >= 0 for milliseconds in same["called"]["poslog_for"])

    broken = tests["test_the_document_shows_the_number_every_line_and_the_total"]
    assert broken["outcome"] == "failed"
    assert "AssertionError: no " in broken["message"]

    skipped = tests["test_two_numbers_are_never_written_alike"]
    assert (skipped["outcome"], skipped["reason"]) == ("skipped", "it does not implement transaction_id_for")
    assert skipped["called"] == {}

    own = tests["test_of_its_own"]
    assert (own["outcome"], own["contracts"], own["plugin"]) == ("passed", [], "")


def test_a_broken_contract_shows_both_sides(author: Path) -> None:
    """Its asserts are rewritten, although the plugin is imported long before it."""
    said = run(author, "-k", "every_line", code=1)
    assert "AssertionError: no " in said
    assert "assert (" in said
    assert "Already imported" not in said


def test_the_fixtures_are_there(author: Path) -> None:
    (author / "test_acme.py").write_text(
        """
from tillhook import Answer


def test_outside(outside, planted_secret):
    outside.answer(Answer(201, {}, b""))
    assert outside.request("POST", "https://acme.example/", json={"a": 1}).status == 201
    assert planted_secret not in repr(outside.calls)
"""
    )
    assert "1 passed" in run(author)


def test_without_contracts_nothing_is_imported_and_no_profile_chosen(author: Path) -> None:
    (author / "test_acme.py").write_text(
        """
import sys


def test_nothing():
    heavy = ("hypothesis.strategies", "tillhook.core.testing.report", "tillhook.core.testing.contracts", "sqlalchemy")
    assert [name for name in heavy if name in sys.modules] == []
"""
    )
    assert "1 passed" in run(author, "-p", "no:hypothesispytest")


@pytest.mark.parametrize(
    ("options", "conftest", "profile"),
    [
        ((), "", "tillhook"),
        (("--hypothesis-profile=ci",), "", "ci"),
        (
            (),
            "from hypothesis import settings\nsettings.register_profile('mine')\nsettings.load_profile('mine')",
            "mine",
        ),
    ],
)
def test_the_profile_of_hypothesis_is_the_authors_if_there_is_one(
    author: Path, options: tuple[str, ...], conftest: str, profile: str
) -> None:
    (author / "conftest.py").write_text(conftest)
    (author / "test_acme.py").write_text(
        f"""{SUITE}
def test_profile():
    from hypothesis import settings
    assert settings.get_current_profile_name() == {profile!r}
"""
    )
    run(author, "-k", "test_profile or misspelt", *options)
