"""What was raised and logged while something ran: for people, one line in place of a traceback."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from tillhook.core.plugins.whereabouts import in_brackets, of_error, said
from tillhook.core.telemetry.logs import redacted


@contextmanager
def collected(*, tracebacks: bool) -> Iterator[list[str]]:
    """The list grows by ``error: text (file:line)`` for each exception that is logged, once for each.

    With ``tracebacks`` they are logged as well.
    """
    found: list[str] = []

    def collect(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        error = event.get("exc_info")
        if error is True:
            error = sys.exc_info()[1]
        if not isinstance(error, BaseException):
            return event
        line = _line(_root(error))
        if line not in found:
            found.append(line)
        if not tracebacks:
            raise structlog.DropEvent
        return event

    before = structlog.get_config()["processors"]
    structlog.configure(processors=[collect, *before])
    try:
        yield found
    finally:
        structlog.configure(processors=before)


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _line(error: BaseException) -> str:
    text = f"{type(error).__name__}: {said(error)}{in_brackets(of_error(error, _package(error)))}"
    return redacted(text)  # type: ignore[no-any-return]


def _package(error: BaseException) -> str:
    """Whose code raised it: the first that is neither ours nor what we call plugins with."""
    names = (str(frame.f_globals.get("__name__", "")) for frame, _ in traceback.walk_tb(error.__traceback__))
    tops = (name.partition(".")[0] for name in names)
    return next((top for top in tops if top not in {"tillhook", "pluggy", *sys.stdlib_module_names}), "")
