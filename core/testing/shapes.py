"""Whether an answer is what its hook promises, down to the fields of its values."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from tillhook.hookspecs import HOOKS


def promised(hook: str) -> Any:
    """The annotation of what a hook returns."""
    return get_type_hints(HOOKS[hook])["return"]


def fits(value: Any, wanted: Any) -> bool:
    """Whether ``value`` is of the annotated type; values are looked into, field by field."""
    origin, inner = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if origin is Sequence:
        return isinstance(value, list | tuple) and all(fits(at, inner[0]) for at in value)
    if origin is dict:
        return isinstance(value, Mapping) and all(
            fits(name, inner[0]) and fits(at, inner[1]) for name, at in value.items()
        )
    if wanted is Any:
        return True
    if wanted is None or not isinstance(value, wanted):
        return value is None and wanted in (None, type(None))
    return not isinstance(value, msgspec.Struct) or not isinstance(wanted, type) or _sound(value)


def _sound(value: msgspec.Struct) -> bool:
    """Whether each field holds what its annotation says (a frozen Struct does not look when it is made)."""
    kept: dict[str, Any] = {}

    def put_aside(found: Any) -> str:
        """Functions and other things that have no plain form; a name stands for them."""
        name = f"{len(kept)} {found!r}"
        kept[name] = found
        return name

    try:
        plain = msgspec.to_builtins(value, enc_hook=put_aside)
        msgspec.convert(plain, type(value), dec_hook=lambda _, found: kept.get(found, found))
    except (msgspec.ValidationError, TypeError):
        return False
    return True
