"""Plugins' typed settings: frozen Structs, unknown names refused, secrets that print as ``***``."""

from __future__ import annotations

import threading
from typing import Final

from msgspec import Struct

SHORTEST: Final = 8
"""Characters of a secret that is looked for in texts: a shorter one would be found where it is not meant."""
HIDDEN: Final = "***"

_values: tuple[str, ...] = ()
"""Every secret of this process, the longest first: one may begin another. Replaced whole, never changed."""
_adding: Final = threading.Lock()


def without_secrets(text: str) -> str:
    """The text with every known secret hidden. An address may hold one in its path, as incoming webhooks' do."""
    for value in _values:
        if value in text:
            text = text.replace(value, HIDDEN)
    return text


def _remember(value: str) -> None:
    global _values  # noqa: PLW0603 - secrets are of the process: whoever writes an address does not know whose it is
    with _adding:
        if value not in _values:
            _values = tuple(sorted((*_values, value), key=len, reverse=True))


class Config(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Subclass it with typed fields; the core decodes the store type's layers of ``tillhook.toml`` into it."""


class Secret:
    """A secret named in configuration as ``env:NAME`` and read from there. Prints as ``***`` everywhere.

    ``reveal()`` is for the one place that needs the value (a signature, an authorisation header).
    """

    __slots__ = ("_value", "name")

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self._value = value
        if len(value) >= SHORTEST:
            _remember(value)

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.name}=***)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a Secret cannot be pickled or copied out of the process")
