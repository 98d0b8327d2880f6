"""Comparing what was found with the part of it that somebody wrote down, and saying where the two differ."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

LONGEST: Final = 400
"""Characters of a value that are shown."""


def plain(value: Any) -> Any:
    """A value as JSON knows it: tables, lists, texts, numbers; dates, decimals and enumerations as text."""
    return msgspec.to_builtins(value, str_keys=True, enc_hook=repr, order="deterministic")


def differences(wanted: Any, found: Any, where: str) -> Iterator[str]:
    """One line for each place where ``found`` lacks what is ``wanted``; both are plain.

    Of a table only the wanted names are looked at; a list must have as many entries; everything else must be equal.
    """
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            yield f"{where}: expected a table, got {shown(found)}"
            return
        for name, at in wanted.items():
            if name in found:
                yield from differences(at, found[name], f"{where}.{name}")
            else:
                yield f"{where}.{name}: expected {shown(at)}, but there is only {', '.join(found) or 'nothing'}"
    elif isinstance(wanted, list | tuple):
        if not isinstance(found, list | tuple):
            yield f"{where}: expected a list, got {shown(found)}"
            return
        if len(wanted) != len(found):
            yield f"{where}: expected {len(wanted)} entries, got {len(found)}"
        for place, (one, other) in enumerate(zip(wanted, found, strict=False)):
            yield from differences(one, other, f"{where}[{place}]")
    elif wanted != found or isinstance(wanted, bool) != isinstance(found, bool):
        yield f"{where}: expected {shown(wanted)}, got {shown(found)}"


def shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def nearest(word: str, known: Mapping[str, Any]) -> str:
    """What to say about a name that nobody knows."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
