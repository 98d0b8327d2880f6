"""Whether an answer is what its hook promises, down to the fields of its values.

What a promise asks for is worked out once; holding an answer against it then costs a few microseconds.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec

from tillhook.hookspecs import HOOKS

Look = Callable[[Any], str]
"""What a value is, in a few words, where it is not what was asked for; empty when it is."""

_PLAIN: Final = (bytes, datetime, date, time, timedelta, Decimal)
"""Left as they are when a value is looked into: as text they would pass for text."""


@cache
def promised(hook: str) -> Any:
    """The annotation of what a hook returns."""
    return get_type_hints(HOOKS[hook])["return"]


def written(hook: str) -> str:
    """The same as it is written in the hall: ``Customer | None``."""
    return str(HOOKS[hook].__annotations__["return"])


def fits(value: Any, wanted: Any) -> bool:
    """Whether ``value`` is of the annotated type; values are looked into, field by field."""
    return not looking_for(wanted)(value)


@cache
def looking_for(wanted: Any) -> Look:
    """What holds a value against an annotated type."""
    origin, inner = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        return _one_of([looking_for(one) for one in inner])
    if origin is Sequence:
        return _each(looking_for(inner[0]))
    if origin is dict:
        return _entries(looking_for(inner[0]), looking_for(inner[1]))
    if wanted is Any:
        return lambda _: ""
    if wanted in (None, type(None)):
        return lambda value: "" if value is None else _named(value)
    return _instance(wanted)


def _one_of(looks: Sequence[Look]) -> Look:
    def look(value: Any) -> str:
        found = ""
        for one in looks:
            found = one(value)
            if not found:
                return ""
            if found != _named(value):  # of the right type, with something wrong in it
                return found
        return found

    return look


def _each(look: Look) -> Look:
    def look_at_all(value: Any) -> str:
        if not isinstance(value, list | tuple):
            return _named(value)
        return next((f"{_named(value)} with {found}" for at in value if (found := look(at))), "")

    return look_at_all


def _entries(key: Look, entry: Look) -> Look:
    def look_at_all(value: Any) -> str:
        if not isinstance(value, Mapping):
            return _named(value)
        return next(
            (f"{_named(value)} with {found}" for name, at in value.items() if (found := key(name) or entry(at))), ""
        )

    return look_at_all


def _instance(wanted: type) -> Look:
    def look(value: Any) -> str:
        if not isinstance(value, wanted):
            return _named(value)
        return _within(value) if isinstance(value, msgspec.Struct) else ""

    return look


def _within(value: msgspec.Struct) -> str:
    """What is wrong with a field (a frozen Struct does not look when it is made)."""
    kept: dict[str, Any] = {}

    def put_aside(found: Any) -> str:
        """Functions and other things that have no plain form; a name stands for them."""
        name = f"{len(kept)} {found!r}"
        kept[name] = found
        return name

    try:
        plain = msgspec.to_builtins(value, builtin_types=_PLAIN, enc_hook=put_aside)
        msgspec.convert(plain, type(value), dec_hook=lambda _, found: kept.get(found, found))
    except (msgspec.ValidationError, TypeError, RecursionError) as error:
        return f"{_named(value)}: {error}"
    return ""


def _named(value: Any) -> str:
    return "None" if value is None else type(value).__name__
