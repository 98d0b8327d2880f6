"""The one error of configuration: which file, which setting, what is wrong and what was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_INDEX = re.compile(r"\[[0-9.]*\]")


class ConfigError(ValueError):
    """A setting cannot be used. ``where`` is its full dotted name as TOML writes it, or the name of a variable."""

    def __init__(self, file: str, where: str, reason: str) -> None:
        super().__init__(f"{file}: {where}: {reason}" if where else f"{file}: {reason}")
        self.file = file
        self.where = where
        self.reason = reason


def dotted(names: Sequence[str]) -> str:
    """Write a path as TOML does: ``"demo/SE".payment.gateway``; a place in a list is ``[1]``."""
    written = (name if _BARE.fullmatch(name) or _INDEX.fullmatch(name) else f'"{name}"' for name in names)
    return ".".join(written).replace(".[", "[")


def nearest(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` when a known name is near, else the known names; empty when there are none."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f" (did you mean {near[0]!r}?)"
    return f" (known: {', '.join(names)})" if names else ""
