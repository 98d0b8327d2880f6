"""Addresses of plugins' own routes and pages: what is wrong with one, and what tells two of them apart.

Checked when a shop is built: a route that could not be mounted keeps its plugin out, with one line that says why.
"""

from __future__ import annotations

import difflib
import inspect
import re
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec import inspect as types

from tillhook.core.roles.people import ROLES
from tillhook.core.roles.rooms import PluginPage, PluginRoute

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")

_PLUGIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LITERAL: Final = re.compile(r"[A-Za-z0-9._~-]+")
_PART: Final = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_TEXTUAL: Final = (
    *(types.StrType, types.IntType, types.FloatType, types.BoolType, types.DecimalType, types.UUIDType),
    *(types.DateTimeType, types.DateType, types.TimeType, types.EnumType, types.LiteralType, types.NoneType),
)
_SEVERAL: Final = (types.ListType, types.SetType, types.FrozenSetType, types.VarTupleType)


def part_names(path: str) -> tuple[str, ...]:
    """The names of the parts that a path hands on, in their order: ``/members/{member}`` → ``("member",)``."""
    return tuple(_PART.findall(path))


def shape(path: str) -> str:
    """A path without the names of its parts: two paths of one shape cannot be told apart."""
    return _PART.sub("{}", path)


def takes_several(field: types.Field) -> bool:
    """Whether a parameter of the address may come more than once."""
    return isinstance(_plain(field.type), _SEVERAL)


def query_fields(query: type[Struct]) -> tuple[types.Field, ...]:
    """The fields of a Struct of parameters."""
    info = types.type_info(query)
    return info.fields if isinstance(info, types.StructType) else ()


def fault_of(plugin: str, thing: PluginRoute | PluginPage) -> str:
    """Why a route or page cannot be mounted, naming it; empty when it can."""
    reason = _address_fault(plugin, thing.path) or _roles_fault(thing.roles) or _handler_fault(thing.handler)
    reason = reason or _query_fault(thing.query)
    if isinstance(thing, PluginPage):
        reason = reason or _title_fault(thing.title)
        return reason and f"page {thing.path}: {reason}"
    reason = reason or _method_fault(thing) or _summary_fault(thing.summary)
    reason = reason or _type_fault("body", thing.body) or _type_fault("answer", thing.answer)
    return reason and f"{thing.method} {thing.path}: {reason}"


def _address_fault(plugin: str, path: Any) -> str:
    if not _PLUGIN.fullmatch(plugin):
        return f"the plugin's name {plugin!r} cannot stand in an address: use letters, digits, '.', '_' and '-'"
    if not isinstance(path, str) or not path.startswith("/"):
        return "its path must begin with '/'"
    if path == "/":
        return ""
    for segment in path[1:].split("/"):
        if not segment:
            return "its path has an empty segment: write neither '//' nor a '/' at the end"
        if segment in {".", ".."} or not (_LITERAL.fullmatch(segment) or _PART.fullmatch(segment)):
            return (
                f"{segment!r} cannot stand in a path: use letters, digits, '.', '_', '~', '-', or {{name}} for a part"
            )
    names = part_names(path)
    twice = sorted({name for name in names if names.count(name) > 1} | {"store_id"} & set(names))
    return f"its path names {', '.join(twice)} twice (the store is in every address)" if twice else ""


def _roles_fault(roles: Any) -> str:
    if not isinstance(roles, frozenset) or not roles:
        return f"it declares no roles: give it a frozenset of {', '.join(sorted(ROLES))}"
    unknown = sorted(str(role) for role in roles - ROLES)
    if unknown:
        near = difflib.get_close_matches(unknown[0], ROLES, n=1)
        return f"it declares unknown roles: {', '.join(unknown)}" + (f" (did you mean {near[0]!r}?)" if near else "")
    return ""


def _title_fault(title: Any) -> str:
    return "" if isinstance(title, str) and title else "it has no title"


def _summary_fault(summary: Any) -> str:
    return "" if isinstance(summary, str) else f"its summary must be a text, it is {type(summary).__name__}"


def _handler_fault(handler: Any) -> str:
    if not callable(handler):
        return f"its handler is {handler!r}, which cannot be called"
    if inspect.iscoroutinefunction(handler):
        return "its handler is an async function: write a plain one, it runs in a thread"
    if inspect.isgeneratorfunction(handler):
        return "its handler is a generator: return the answer instead of yielding it"
    return ""


def _method_fault(route: PluginRoute) -> str:
    if route.method not in METHODS:
        return f"its method is none of {', '.join(METHODS)}"
    return "a GET has no body" if route.method == "GET" and route.body is not None else ""


def _type_fault(name: str, kind: Any) -> str:
    if kind is None:
        return ""
    try:
        hash(kind)
        msgspec.json.Decoder(kind)
        msgspec.json.schema(kind)
    except (TypeError, ValueError, NameError, RecursionError) as error:
        why = str(error).splitlines()[-1:]
        return f"its {name} {kind!r} is no type that JSON can be read into: {' '.join(why)}"
    return ""


def _query_fault(query: Any) -> str:
    if query is None:
        return ""
    if not (inspect.isclass(query) and issubclass(query, Struct)):
        return f"its query {query!r} is no msgspec Struct"
    if reason := _type_fault("query", query):
        return reason
    odd = [field.name for field in query_fields(query) if not _can_be_text(field.type)]
    return f"its query has fields that cannot stand in an address: {', '.join(odd)}" if odd else ""


def _can_be_text(kind: types.Type) -> bool:
    plain = _plain(kind)
    if isinstance(plain, _SEVERAL):
        return _can_be_text(plain.item_type) and not isinstance(_plain(plain.item_type), _SEVERAL)
    if isinstance(plain, types.UnionType):
        return all(isinstance(_plain(one), _TEXTUAL) for one in plain.types)
    return isinstance(plain, _TEXTUAL)


def _plain(kind: types.Type) -> types.Type:
    """A type without its constraints, and without the None beside it."""
    if isinstance(kind, types.Metadata):
        return _plain(kind.type)
    if isinstance(kind, types.UnionType):
        others = [one for one in kind.types if not isinstance(one, types.NoneType)]
        return _plain(others[0]) if len(others) == 1 else kind
    return kind
