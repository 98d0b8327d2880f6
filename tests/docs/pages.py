"""The pages that people read, taken apart: listings, code spans, links, headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PLUGINS = ROOT / "docs" / "plugins.md"
OPERATIONS = ROOT / "docs" / "operations.md"
PAGES = (
    README,
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(ROOT.glob("plugins/*/README.md")),
    *sorted(ROOT.glob("retailers/*/README.md")),
)

_FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_ANCHOR = re.compile(r'<a id="([^"]+)">')


class Listing(Struct, frozen=True):
    """One fenced block of a page."""

    page: Path
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}, listing {self.number} ({self.language})"


def listings(*pages: Path) -> Iterator[Listing]:
    """Every fenced block of ``pages``, in order."""
    for page in pages:
        for number, found in enumerate(_FENCED.finditer(page.read_text(encoding="utf-8")), start=1):
            yield Listing(page, number, found[1].strip(), found[2])


def the(page: Path, language: str, beginning: str = "") -> str:
    """The text of the one listing of a page in this language that begins so."""
    (found,) = (at for at in listings(page) if at.language == language and at.text.startswith(beginning))
    return found.text


def prose(page: Path) -> str:
    """A page without its listings."""
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def spans(page: Path) -> list[str]:
    """What stands between single backticks."""
    return _SPAN.findall(prose(page))


def links(page: Path) -> list[str]:
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """What a link may name after ``#``: headings as GitHub writes them, and anchors of their own."""
    headings = (re.sub(r"<[^>]*>|[^\w\- ]", "", at.lower()).strip().replace(" ", "-") for at in _headings(page))
    return {*headings, *_ANCHOR.findall(prose(page))}


def _headings(page: Path) -> list[str]:
    return _HEADING.findall(prose(page))
