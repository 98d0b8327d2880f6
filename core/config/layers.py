"""Settings in layers, from broad to specific: ``*`` → ``*/SE`` → ``demo`` → ``demo/SE`` → ``demo/SE/<store_id>``.

Tables are merged, everything else is replaced by the more specific layer. Each value remembers its layer.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, TypeVar

from msgspec import Struct

from tillhook.core.config.decode import Path, Refuse, decode, defaults
from tillhook.core.config.errors import ConfigError, dotted, nearest
from tillhook.core.roles.settings import Config
from tillhook.core.roles.shop_settings import CORE_KEYS, ShopSettings

_KEY: Final = re.compile(r"\*(/[A-Z]{2})?|[A-Za-z0-9_-]+(/[A-Z]{2}(/[^/]+)?)?")
_FORMS: Final = '"*", "*/SE", "demo", "demo/SE" or "demo/SE/<store_id>", regions in two capitals'

C = TypeVar("C", bound=Config)


class Setting(Struct, frozen=True):
    """One effective setting: its dotted name, value, and the layer it came from (``default``: from the code)."""

    name: str
    value: Any
    layer: str


class Layers:
    """Every layer of one file. Raises ConfigError at once for a key that is no layer."""

    def __init__(self, tables: Mapping[str, Any], file: str, environ: Mapping[str, str]) -> None:
        self.file = file
        self._environ = environ
        for key, table in tables.items():
            if not _KEY.fullmatch(key):
                raise ConfigError(file, dotted([key]), f"is no layer: write {_FORMS}")
            if not isinstance(table, dict):
                raise ConfigError(file, dotted([key]), "must be a table")
        self._tables: dict[str, dict[str, Any]] = dict(tables)

    def store_types(self) -> tuple[str, ...]:
        """Every store type that has a layer, in the order of the file."""
        return tuple(dict.fromkeys(kind for key in self._tables if (kind := key.split("/")[0]) != "*"))

    def places(self) -> tuple[tuple[str, str, str | None], ...]:
        """The (store type, region, store id) that this file speaks of: what can be checked without any store.

        A store type without regional layers is one place, with the region ``""``.
        """
        found: list[tuple[str, str, str | None]] = []
        for store_type in self.store_types():
            keys = [key.split("/") for key in self._tables if key.startswith(f"{store_type}/")]
            regions = list(dict.fromkeys(key[1] for key in keys)) or [""]
            found += [(store_type, region, None) for region in regions]
            found += [(store_type, key[1], key[2]) for key in keys if len(key) == 3]
        return tuple(found)

    def path(self, store_type: str, region: str, store_id: str | None = None) -> tuple[str, ...]:
        """The layers that exist for a place, broad to specific."""
        wanted = ("*", f"*/{region}", store_type, f"{store_type}/{region}", f"{store_type}/{region}/{store_id}")
        return tuple(key for key in wanted if key in self._tables)

    def plugin_names(self) -> frozenset[str]:
        """Every plugin that some layer switches on."""
        lists = (table.get("plugins", ()) for table in self._tables.values())
        return frozenset(name for names in lists if isinstance(names, list) for name in names if isinstance(name, str))

    def effective(self, store_type: str, region: str, store_id: str | None = None) -> dict[str, Any]:
        """The merged table of a place."""
        return self._merged(store_type, region, store_id)[0]

    def explain(
        self,
        store_type: str,
        region: str,
        store_id: str | None = None,
        plugins: Mapping[str, type[Config]] | None = None,
    ) -> list[Setting]:
        """Each effective setting and its layer, by name; with the defaults of the core and of ``plugins``' settings."""
        table, origin = self._merged(store_type, region, store_id)
        found = {path: Setting(dotted(path), value, origin[path]) for path, value in _leaves(table)}
        kinds: dict[Path, type[Struct]] = {(): ShopSettings}
        kinds.update({(name,): kind for name, kind in (plugins or {}).items()})
        for prefix, kind in kinds.items():
            for below, value in defaults(kind):
                path = (*prefix, *below)
                if not any(known[: len(path)] == path for known in found):
                    found[path] = Setting(dotted(path), value, "default")
        return [found[path] for path in sorted(found)]

    def shop_settings(
        self, store_type: str, region: str, store_id: str | None, installed: Collection[str]
    ) -> ShopSettings:
        """The core's settings of a place. Raises ConfigError, also for a table that is of no known plugin."""
        table, origin = self._merged(store_type, region, store_id)
        refuse = self._refuser(origin, self.path(store_type, region, store_id))
        known = CORE_KEYS | self.plugin_names() | set(installed)
        for name in table:
            if name not in known:
                raise refuse((name,), f"is neither a setting nor a plugin{nearest(name, known)}")
        own = {name: value for name, value in table.items() if name in CORE_KEYS}
        settings = decode(own, ShopSettings, self._environ, refuse)
        twice = sorted({name for name in settings.plugins if settings.plugins.count(name) > 1})
        if twice:
            raise refuse(("plugins",), f"names {', '.join(twice)} twice")
        return settings

    def plugin_settings(
        self, plugin: str, kind: type[C], store_type: str, region: str, store_id: str | None = None
    ) -> C:
        """A plugin's own table of a place as its ``Settings``. Raises ConfigError."""
        table, origin = self._merged(store_type, region, store_id)
        refuse = self._refuser(origin, self.path(store_type, region, store_id))
        own = table.get(plugin, {})
        if not isinstance(own, dict):
            raise refuse((plugin,), f"must be a table with the settings of the plugin {plugin}")
        return decode(own, kind, self._environ, lambda path, reason: refuse((plugin, *path), reason))

    def where(self, names: Path, store_type: str, region: str, store_id: str | None = None) -> str:
        """The full dotted name of a setting, with the layer that says it, for messages."""
        _, origin = self._merged(store_type, region, store_id)
        return self._refuser(origin, self.path(store_type, region, store_id))(names, "").where

    def _merged(self, store_type: str, region: str, store_id: str | None) -> tuple[dict[str, Any], dict[Path, str]]:
        layers = self.path(store_type, region, store_id)
        merged: dict[str, Any] = {}
        for layer in layers:
            _merge(merged, self._tables[layer])
        origin = {
            path: next(layer for layer in reversed(layers) if _says(self._tables[layer], path))
            for path, _ in _leaves(merged)
        }
        return merged, origin

    def _refuser(self, origin: Mapping[Path, str], layers: tuple[str, ...]) -> Refuse:
        """Makes ConfigErrors whose path begins with the layer that holds the culprit."""

        def refuse(path: Path, reason: str) -> ConfigError:
            layer = layers[-1] if layers else ""
            for length in range(len(path), 0, -1):
                holders = {origin[known] for known in origin if known[:length] == path[:length]}
                if holders:
                    layer = next(name for name in reversed(layers) if name in holders)
                    break
            return ConfigError(self.file, dotted([layer, *path]), reason)

        return refuse


def _merge(target: dict[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in table.items():
        if isinstance(value, dict):
            below = target.get(name)
            target[name] = _merge(below if isinstance(below, dict) else {}, value)
        else:
            target[name] = value
    return target


def _leaves(table: Mapping[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), value


def _says(table: Any, path: Path) -> bool:
    for name in path:
        if not isinstance(table, dict) or name not in table:
            return False
        table = table[name]
    return True
