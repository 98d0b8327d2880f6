"""Plugins' typed settings: frozen Structs, unknown names refused, secrets that print as ``***``."""

from __future__ import annotations

from msgspec import Struct


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

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.name}=***)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a Secret cannot be pickled or copied out of the process")
