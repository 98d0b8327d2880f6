"""The reference pages are what the code says."""

from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Folder
from tillhook.core.cli.reference import PAGES
from tillhook.hookspecs import HOOKS


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_up_to_date(folder: Folder, name: str) -> None:
    """If not: ``tillhook docs``."""
    folder.ok("docs", name, "--check", "--folder", str(ROOT / "docs"))


def test_a_page_that_differs_or_is_missing_is_named(folder: Folder, tmp_path: Path) -> None:
    pages = tmp_path / "docs"
    pages.mkdir()
    assert "docs/errors.md, docs/hooks.md, docs/settings.md, docs/tiers.md: not what the code says" in folder.refused(
        "docs", "--check"
    )
    assert list(pages.iterdir()) == []
    folder.ok("docs")
    folder.ok("docs", "--check")
    (pages / "hooks.md").write_text("# Hooks\n")
    assert folder.refused("docs", "--check").startswith("docs/hooks.md: ")


def test_without_a_folder_it_writes_nothing(folder: Folder) -> None:
    assert "docs: no such folder" in folder.refused("docs")


def test_every_hook_has_its_contract_on_the_page() -> None:
    page = PAGES["hooks"]()
    for name in HOOKS:
        part = page.split(f'<a id="{name}">')[1].split('<a id="')[0]
        assert f"def {name}(" in part
        for word in ("**Called**: ", "**Return**: ", "**Raise**: ", "**Traps**: "):
            assert part.count(word) == 1, (name, word)


def test_settings_are_told_with_their_bounds_their_defaults_and_their_meaning() -> None:
    page = PAGES["settings"]()

    assert "| `server.threads` | integer from 1 | `16` | Requests worked on at the same time in one process. |" in page
    assert '| `log.format` | `"json"` or `"console"` | `"json"` |' in page
    assert "| `payment.gateway` | text | – | Name of a gateway" in page
    assert '| `webhook_secret` | `"env:NAME"` | none | Signs and checks webhooks' in page
