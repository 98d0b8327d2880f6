"""Tables of TOML become typed settings: unknown names are refused, secrets are read from the environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, inspect

from tillhook.core.config.errors import ConfigError, nearest
from tillhook.core.roles.settings import Secret

S = TypeVar("S", bound=Struct)
Path = tuple[str, ...]
Refuse = Callable[[Path, str], ConfigError]
"""Makes the error for a path below a table and a reason."""

_ENV = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
_PLACE = re.compile(r"(?P<reason>.*?)(?: - at `\$(?P<place>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|(\[[^\]]*\])")


def decode(table: Mapping[str, Any], kind: type[S], environ: Mapping[str, str], refuse: Refuse) -> S:
    """Build ``kind`` from ``table``; the first misfit is raised as ``refuse`` words it."""
    for path, reason in _misfits(table, inspect.type_info(kind), ()):
        raise refuse(path, reason)

    def custom(wanted: type, value: Any) -> Any:
        if wanted is Secret:
            return _secret(value, environ)
        raise TypeError(f"settings cannot be of type {wanted.__name__}")

    try:
        return msgspec.convert(table, kind, dec_hook=custom)
    except msgspec.ValidationError as error:
        found = _PLACE.fullmatch(str(error))
        place = (found and found["place"]) or ""
        path = tuple(name or index for name, index in _STEP.findall(place))
        reason = found["reason"] if found else str(error)
        raise refuse(path, reason.replace("`object`", "a table").replace("`array`", "a list")) from None


def defaults(kind: type[Struct]) -> Iterator[tuple[Path, Any]]:
    """Each setting of ``kind`` that has a default, with it; tables are taken apart."""
    for one in msgspec.structs.fields(kind):
        value = one.default
        if value is msgspec.NODEFAULT and one.default_factory is not msgspec.NODEFAULT:
            value = one.default_factory()
        if isinstance(value, Struct) or (isinstance(one.type, type) and issubclass(one.type, Struct)):
            inner = type(value) if isinstance(value, Struct) else one.type
            yield from (((one.encode_name, *path), default) for path, default in defaults(inner))
        elif value is not msgspec.NODEFAULT:
            yield (one.encode_name,), value


def _secret(value: Any, environ: Mapping[str, str]) -> Secret:
    named = _ENV.fullmatch(value) if isinstance(value, str) else None
    if named is None:
        raise ValueError('a secret is never written here: name the variable that holds it, as "env:NAME"')
    name = named[1]
    if not environ.get(name):
        raise ValueError(f"the environment variable {name} is not set")
    return Secret(name, environ[name])


def _misfits(value: Any, kind: inspect.Type, path: Path) -> Iterator[tuple[Path, str]]:
    """Unknown and missing names, wherever ``kind`` holds exactly one Struct; the types themselves are msgspec's."""
    if isinstance(kind, inspect.UnionType):
        structs = [one for one in kind.types if isinstance(one, inspect.StructType)]
        if len(structs) == 1:
            yield from _misfits(value, structs[0], path)
    elif isinstance(kind, inspect.DictType) and isinstance(value, Mapping):
        for name, one in value.items():
            yield from _misfits(one, kind.value_type, (*path, name))
    elif isinstance(kind, inspect.ListType | inspect.VarTupleType) and isinstance(value, list):
        for index, one in enumerate(value):
            yield from _misfits(one, kind.item_type, (*path, f"[{index}]"))
    elif isinstance(kind, inspect.StructType) and isinstance(value, Mapping) and kind.tag_field is None:
        yield from _struct_misfits(value, {one.encode_name: one for one in kind.fields}, path)


def _struct_misfits(
    table: Mapping[str, Any], fields: Mapping[str, inspect.Field], path: Path
) -> Iterator[tuple[Path, str]]:
    for name in table:
        if name not in fields:
            yield (*path, name), f"there is no such setting{nearest(name, fields)}"
    for name, one in fields.items():
        if name in table or (isinstance(one.type, inspect.StructType) and one.required):
            yield from _misfits(table.get(name, {}), one.type, (*path, name))
        elif one.required:
            yield (*path, name), "is missing"
