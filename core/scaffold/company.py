"""The plugins that a first retailer is switched on with, found by what they offer and not by their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from tillhook.core.roles.offers import TokenIssuer
from tillhook.core.roles.shop_settings import CORE_KEYS
from tillhook.core.scaffold.templates import filled, marks
from tillhook.hookspecs import Hooks, Plugin

FILES: Final = "var"
"""The folder that gets whatever plugins keep."""
APPROVE: Final = "approve"
"""The demonstration payment that goes well."""
_RETAILERS: Final = ("transaction_id_for", "poslog_for", "fulfil_order")
"""Whoever answers one of these speaks for one retailer."""
_FILE: Final = re.compile(r"[\w-]+(?:\.[\w-]+)*\.(?:json|db|sqlite3?)")
_SETTING: Final = re.compile(r"^(\w+)\.\w", re.MULTILINE)


class Company(Struct, frozen=True):
    """Who takes part in a first sale beside the retailer's own plugin."""

    plugins: tuple[str, ...]
    """In the order in which they are asked."""
    calculator: str | None
    gateway: str | None
    settings: tuple[str, ...]
    """Lines of TOML: where the files of these plugins are."""
    missing: tuple[str, ...]
    """What no installed plugin does."""

    def listed(self, newcomer: str) -> str:
        """With a further plugin at the end, as a list in TOML has them, without the brackets."""
        return ", ".join(f'"{name}"' for name in (*self.plugins, newcomer))


class Able(Struct, frozen=True):
    """What one plugin does with nothing set: the names of what it offers; empty where it offers nothing."""

    tokens: str
    tax: str
    payments: str
    receipts: str
    files: tuple[str, ...]


PARTS: Final = {
    "tokens": "makes tokens (`identity_providers`)",
    "tax": "computes tax (`tax_calculators`)",
    "payments": "takes demonstration payments (`payment_gateways`)",
    "receipts": "prints receipts (`receipt_for`)",
}


def company(installed: Iterable[tuple[str, Able]]) -> Company:
    """The first installed plugin for each part: makes tokens, computes tax, takes money in play, prints receipts."""
    ready = list(installed)
    chosen = {part: next(((name, at) for name, at in ready if getattr(at, part)), None) for part in PARTS}
    tax, gateway = chosen["tax"], chosen["payments"]
    names = tuple(dict.fromkeys(found[0] for found in chosen.values() if found))
    return Company(
        names,
        tax and tax[1].tax,
        gateway and gateway[1].payments,
        tuple(line for name, at in ready if name in names for line in at.files),
        tuple(what for part, what in PARTS.items() if chosen[part] is None),
    )


def able(name: str, made: type[Plugin]) -> Able | None:
    """What a plugin can do in any company; None for a retailer's own. It is made and asked: raises whatever it raises.

    One that does not work without a setting of its own raises as well.
    """
    if any(getattr(made, hook) is not getattr(Hooks, hook) for hook in _RETAILERS):
        return None
    plugin = made(msgspec.convert({}, made.Settings))
    return Able(
        tokens=_first(plugin, "identity_providers", lambda at: isinstance(at, TokenIssuer)),
        tax=_first(plugin, "tax_calculators", lambda at: True),
        payments=_first(plugin, "payment_gateways", lambda at: True) if _pretends(plugin) else "",
        receipts=name if _implements(plugin, "receipt_for") else "",
        files=tuple(_files(name, plugin)),
    )


def of_company(text: str, there: Company, values: Mapping[str, str | None]) -> str:
    """A configuration for them: ``{{name}}`` is replaced by its value.

    A paragraph goes when it has a name without a value, or sets something of a plugin that is not among them.
    """
    known = {*CORE_KEYS, *there.plugins}
    given = {name: value for name, value in values.items() if value}
    kept = [
        filled(paragraph, given)
        for paragraph in text.split("\n\n")
        if known.issuperset(_SETTING.findall(paragraph)) and given.keys() >= marks(paragraph)
    ]
    return "\n\n".join(kept)


def _first(plugin: Plugin, hook: str, fits: Callable[[Any], bool]) -> str:
    """The name of the first offer that fits."""
    offered = getattr(plugin, hook)() or () if _implements(plugin, hook) else ()
    return next((thing.name for thing in offered if fits(thing)), "")


def _pretends(plugin: Plugin) -> bool:
    """Whether it says how to pay without money."""
    if not _implements(plugin, "demonstrations"):
        return False
    return any(APPROVE in one.payments for one in plugin.demonstrations() or ())


def _implements(plugin: Plugin, hook: str) -> bool:
    return getattr(type(plugin), hook) is not getattr(Hooks, hook)


def _files(name: str, plugin: Plugin) -> Iterator[str]:
    """Each setting that names a file, with the file below ``FILES``."""
    for one in msgspec.structs.fields(plugin.Settings):
        if isinstance(one.default, str) and _FILE.fullmatch(one.default):
            yield f'{name}.{one.encode_name} = "{FILES}/{one.default}"'
