"""The error reference: every code, its status, what it means; as ``docs/errors.md`` and as a page of the server."""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import Final

from tillhook.core.domain.problems import PROBLEMS, ProblemKind

INTRODUCTION: Final = (
    "Every error answer is `application/problem+json` (RFC 9457). Decide by `code`: it never changes its meaning. "
    "`detail` says what went wrong, with which thing, and what to do; `request_id` (also the header `X-Request-Id`) "
    "finds the request in the log. Some codes add members of their own. 429 and 503 carry `Retry-After` in seconds."
)


def _by_status() -> list[tuple[int, list[ProblemKind]]]:
    kinds = sorted(PROBLEMS.values(), key=lambda kind: (kind.status, kind.code))
    return [(status, list(group)) for status, group in groupby(kinds, key=lambda kind: kind.status)]


def render() -> str:
    """``docs/errors.md``, made from the table of problems; ``tillhook docs`` writes it."""
    lines = ["# Errors", "", "<!-- Made by `tillhook docs` from core/domain/problems.py. -->", "", INTRODUCTION, ""]
    for status, kinds in _by_status():
        lines += [f"## {status}", ""]
        for kind in kinds:
            lines += [f'### <a id="{kind.code}"></a>`{kind.code}`', "", f"{kind.title}. {kind.meaning}", ""]
    return "\n".join(lines)


def render_html() -> str:
    """The page at ``/docs/errors``, to which the ``type`` of every problem points."""
    parts = []
    for status, kinds in _by_status():
        parts.append(f"<h2>{status}</h2>\n<dl>")
        parts += [
            f'<dt id="{kind.code}"><code>{kind.code}</code> {escape(kind.title)}</dt>'
            f"<dd>{_with_code(kind.meaning)}</dd>"
            for kind in kinds
        ]
        parts.append("</dl>")
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><title>Errors</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>Errors</h1>\n<p>{_with_code(INTRODUCTION)}</p>\n{body}\n</body></html>\n"
    )


_STYLE: Final = (
    "body{max-width:46rem;margin:2rem auto;padding:0 1rem;font:16px/1.5 system-ui,sans-serif;color:#1c2326}"
    "dt{margin-top:1rem;font-weight:600}dt:target{background:#fff3c4}dd{margin:0}"
    "code{font-family:ui-monospace,monospace;background:#eceff1;padding:.1em .3em;border-radius:3px}"
)


def _with_code(text: str) -> str:
    """Escaped, with what stands between backticks set as code."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if place % 2 else piece for place, piece in enumerate(pieces))
