"""Receipts to fixed-width text and to one self-contained HTML page. Control characters never reach the paper."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from html import escape
from typing import Final

from tillhook.core.domain.receipt import Align, Blank, Code, ItemRow, Pair, Receipt, Row, Rule, Text

_EMOJI_STYLE: Final = "\ufe0f"
"""Variation selector 16: the character before it is drawn as an emoji, two cells wide."""


def printable(text: str) -> str:
    """The text without control and format characters (they would steer the printer), white space folded."""
    kept = "".join(" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    return " ".join(kept.split())


def columns(text: str) -> int:
    """Cells a fixed-width font needs: wide East Asian characters and emoji take two, combining marks none."""
    return sum(cells for _, cells in _letters(text))


def render_text(receipt: Receipt, width: int = 42) -> str:
    """The receipt for ``width`` columns (48, 42 and 32 are usual), ending in a newline; no line is wider.

    Raises ValueError below two columns, where an emoji has no room.
    """
    if width < 2:
        raise ValueError(f"a receipt cannot be {width} columns wide; the least is 2")
    return "".join(f"{line.rstrip()}\n" for row in receipt.rows for line in _text_lines(row, width))


def _text_lines(row: Row, width: int) -> list[str]:
    match row:
        case Text(text, align, _):
            return [_aligned(line, align, width) for line in _wrap(text, width)]
        case Pair(left, right, _):
            return _pair(left, right, width)
        case ItemRow(name, detail, amount):
            return [*_wrap(name, width), *_pair(detail, amount, width, indent="  ")]
        case Rule():
            return ["-" * width]
        case Blank():
            return [""]
        case Code(value, symbology):
            return [*_wrap(f"[{symbology}]", width), *_wrap(value, width)]


def _pair(left: str, right: str, width: int, indent: str = "") -> list[str]:
    """The label wrapped beside the value; above it where the value leaves it less than a quarter of the paper."""
    value = printable(right)
    room = width - len(indent) - columns(value) - 1
    if room < max(2, width // 4):
        return [*_wrap(left, width), *(_aligned(line, Align.RIGHT, width) for line in _wrap(value, width))]
    *above, last = (indent + line for line in _wrap(left, room))
    return [*above, last + " " * (width - columns(last) - columns(value)) + value]


def _aligned(line: str, align: Align, width: int) -> str:
    spare = width - columns(line)
    match align:
        case Align.LEFT:
            return line
        case Align.CENTER:
            return " " * (spare // 2) + line
        case Align.RIGHT:
            return " " * spare + line


def _wrap(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` cells, broken at spaces, and inside a word only where a line cannot hold it."""
    lines = [""]
    for word in printable(text).split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if columns(joined) <= width:
            lines[-1] = joined
            continue
        pieces = _pieces(word, width)
        lines = [*lines, *pieces] if lines[-1] else pieces
    return lines


def _pieces(word: str, width: int) -> list[str]:
    pieces, used = [""], 0
    for letter, cells in _letters(word):
        if used + cells > width:
            pieces.append("")
            used = 0
        pieces[-1] += letter
        used += cells
    return pieces


def _letters(text: str) -> Iterator[tuple[str, int]]:
    """Each character with the marks on it, and the cells that they take together."""
    letter, cells = "", 0
    for c in text:
        if unicodedata.category(c) in {"Mn", "Me"}:
            letter += c
            cells = min(2, cells + 1) if c == _EMOJI_STYLE else cells
            continue
        if letter:
            yield letter, cells
        letter, cells = c, 2 if unicodedata.east_asian_width(c) in "WF" else 1
    if letter:
        yield letter, cells


_STYLE = (
    "body{margin:0;background:#eceff1;font:15px/1.45 system-ui,sans-serif;color:#1c2326}"
    "main{max-width:24rem;margin:2rem auto;padding:1.5rem;background:#fff;box-shadow:0 1px 6px #0003}"
    "p{margin:.2rem 0;overflow-wrap:anywhere}.center{text-align:center}.right{text-align:right}.bold{font-weight:650}"
    ".pair{display:flex;justify-content:space-between;gap:1rem}.pair span:last-child{white-space:nowrap;"
    "font-variant-numeric:tabular-nums}.detail{color:#5a666b;padding-left:1rem}"
    "hr{border:0;border-top:1px dashed #90a4ae}"
    ".code{font-family:ui-monospace,monospace;text-align:center;word-break:break-all}"
    "@media print{body{background:#fff}main{box-shadow:none;margin:0}}"
)


def render_html(receipt: Receipt) -> str:
    """One page without scripts or outside resources; every text is escaped."""
    body = "\n".join(_html_row(row) for row in receipt.rows)
    return (
        f'<!doctype html>\n<html lang="{_html(receipt.language)}">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{_html(receipt.title)}</title><style>{_STYLE}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


def _html(text: str) -> str:
    return escape(printable(text))


def _html_row(row: Row) -> str:
    match row:
        case Text(text, align, bold):
            return f'<p class="{align}{" bold" if bold else ""}">{_html(text)}</p>'
        case Pair(left, right, bold):
            strong = " bold" if bold else ""
            return f'<p class="pair{strong}"><span>{_html(left)}</span><span>{_html(right)}</span></p>'
        case ItemRow(name, detail, amount):
            return (
                f"<p>{_html(name)}</p>"
                f'<p class="pair detail"><span>{_html(detail)}</span><span>{_html(amount)}</span></p>'
            )
        case Rule():
            return "<hr>"
        case Blank():
            return "<p>&nbsp;</p>"
        case Code(value, _):
            return f'<p class="code">{_html(value)}</p>'
