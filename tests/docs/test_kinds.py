"""The pages of docs/kinds, a page for each kind of plugin: what they list is a plugin that keeps its contract.

How a page ``docs/kinds/<kind>.md`` is written, so that it is checked here without further ado:

- the first ``python`` listing is the whole plugin, in the module ``acme_<kind>`` (``-`` in the name becomes ``_``);
- the second is its whole test file, which imports the plugin from ``acme_<kind>``;
- whatever other ``python`` listings there are must at least compile;
- a listing of any other language is not run.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, listings

KINDS = sorted((ROOT / "docs" / "kinds").glob("*.md"))
PATIENCE = 240
"""Seconds; nothing takes so long unless it hangs."""


def python(page: Path) -> list[str]:
    return [listing.text for listing in listings(page) if listing.language == "python"]


def test_there_is_a_page_for_each_kind() -> None:
    assert {page.stem for page in KINDS} >= {"epc", "fiscal", "loyalty", "receipts", "retailer"}


@pytest.mark.parametrize("page", KINDS, ids=lambda page: page.stem)
def test_the_plugin_of_the_page_keeps_its_contract(page: Path, tmp_path: Path) -> None:
    module = f"acme_{page.stem.replace('-', '_')}"
    plugin, suite, *further = python(page)
    for text in further:
        compile(text, str(page), "exec")
    (tmp_path / f"{module}.py").write_text(plugin, encoding="utf-8")
    (tmp_path / f"test_{module}.py").write_text(suite, encoding="utf-8")

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", "."]
    done = subprocess.run(
        [*command, "-W", "error", f"test_{module}.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert " passed" in done.stdout


@pytest.mark.parametrize("page", KINDS, ids=lambda page: page.stem)
def test_the_test_file_of_the_page_is_short(page: Path) -> None:
    """Six lines and what it imports are what a suite may ask of an author; a page shows no more."""
    suite = python(page)[1]
    written = [line for line in suite.splitlines() if line.strip() and not line.startswith(("from ", "import "))]
    assert len(written) <= 8, f"{page.name} needs {len(written)} lines"
