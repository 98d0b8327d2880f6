"""Writing for people on a terminal, and plainly for scripts: rows with tabs, JSON, no colours."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click


def is_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout.isatty()


def say(text: str = "") -> None:
    click.echo(text)


def warn(text: str) -> None:
    """One line on standard error."""
    click.echo(f"tillhook: {text}", err=True)


def show_json(value: Any) -> None:
    """One JSON document, with Structs and dates."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def show_table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, nothing: str = "") -> None:
    """A table: drawn on a terminal, else a header line and one line per row, cells separated by tabs.

    Without any rows only ``nothing`` is said.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        say(nothing or "nothing to show")
        return
    if not is_terminal():
        for row in [[header.lower() for header in headers], *cells]:
            say("\t".join(" ".join(cell.split()) for cell in row))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for header, column in zip(headers, zip(*cells, strict=True), strict=True):
        numbers = all(cell.isdigit() for cell in column if cell)
        table.add_column(header, justify="right" if numbers else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    Console(highlight=False).print(table)


_STYLES = {
    **dict.fromkeys(("ready", "ok", "DONE", "CAPTURED", "SUCCEEDED"), "green"),
    **dict.fromkeys(("warn", "not used", "switched off", "not asked", "PENDING", "RUNNING", "UNKNOWN"), "yellow"),
    **dict.fromkeys(("fail", "quarantined", "DEAD", "DECLINED", "FAILED"), "bold red"),
}
"""Words that have a colour of their own."""


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, tuple | list | frozenset) else str(value)
