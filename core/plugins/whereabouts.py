"""Where in a plugin's files something stands: ``acme/till.py:12``, as short as it is still found."""

from __future__ import annotations

import inspect
import sys
import traceback
from pathlib import Path
from typing import Any

from tillhook.hookspecs import Plugin

_LONGEST = 400
"""Characters of what a plugin raised; the rest is left out."""


def shown(file: str, line: int | None = None) -> str:
    """``file:line``, the file as it lies below a folder of ``sys.path`` or below the working folder."""
    path = Path(file)
    if path.is_absolute():
        folders = [Path(folder).absolute() for folder in (*sys.path, "")]
        below = [path.relative_to(folder) for folder in folders if path.is_relative_to(folder)]
        path = min(below, key=lambda short: len(short.parts), default=path)
    return f"{path.as_posix()}:{line}" if line else path.as_posix()


def of_class(plugin_class: type[Any]) -> str:
    """Where a class begins; empty when its source is not there."""
    try:
        file = inspect.getsourcefile(plugin_class) or ""
        return shown(file, inspect.getsourcelines(plugin_class)[1])
    except (OSError, TypeError):
        return ""


def of_hook(plugin_class: type[Plugin], hook: str) -> str:
    """Where a plugin's implementation of a hook begins; that of its class when the hook is no plain function."""
    function = inspect.getattr_static(plugin_class, hook, None)
    code = getattr(inspect.unwrap(getattr(function, "__func__", function)), "__code__", None) if function else None
    return shown(code.co_filename, code.co_firstlineno) if code else of_class(plugin_class)


def of_error(error: BaseException, package: str) -> str:
    """The innermost line of the plugin's own ``package`` that it, or what caused it, went through; empty: none."""
    if isinstance(error, SyntaxError) and error.filename:
        return shown(error.filename, error.lineno)
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] == package:
            return shown(frame.f_code.co_filename, line)
    return of_error(error.__cause__, package) if error.__cause__ else ""


def in_brackets(where: str) -> str:
    """To be put behind a sentence."""
    return f" ({where})" if where else ""


def said(error: BaseException) -> str:
    """What an exception says, on one line."""
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
