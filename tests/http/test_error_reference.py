"""The error reference is made from the table of problems."""

from pathlib import Path

from tillhook.core.domain.problems import PROBLEMS
from tillhook.core.http.error_reference import render, render_html

COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "errors.md"


def test_the_committed_reference_is_current() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == render(), "run `tillhook docs`"


def test_every_code_is_explained_under_its_status() -> None:
    sections = {section.split("\n", 1)[0]: section for section in render().split("\n## ")[1:]}
    for code, kind in PROBLEMS.items():
        assert f"`{code}`" in sections[str(kind.status)]
        assert kind.meaning in sections[str(kind.status)]


def test_the_page_escapes_what_it_shows() -> None:
    assert "<script" not in render_html()
    assert "<code>Retry-After</code>" in render_html()
