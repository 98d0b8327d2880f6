"""Finding what is installed: entry points of the group ``tillhook``, loaded one by one, each on its own risk.

stevedore loads. Its disk cache is not used (it can be minutes behind and forgets who a plugin came from), and nothing
that a plugin raises at import gets further than that plugin's own line in the report.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import os
import re
from collections.abc import Collection, Iterator, Mapping
from importlib.metadata import EntryPoint
from typing import Any, Final

from msgspec import Struct
from stevedore.extension import Extension, ExtensionManager
from stevedore.named import NamedExtensionManager

from tillhook.core.plugins.inspection import faults_of
from tillhook.core.roles.grammar import PROJECT
from tillhook.core.roles.shop_settings import CORE_KEYS
from tillhook.hookspecs import Plugin

DISABLE_VARIABLE: Final = "TILLHOOK_DISABLE"

_SECTION: Final = re.compile(rf"^\s*\[\s*{PROJECT}\s*\]", re.MULTILINE)


class Found(Struct, frozen=True):
    """One installed plugin. Quarantined when ``reason`` is not empty; not imported when ``plugin_class`` is None."""

    name: str
    distribution: str
    version: str
    value: str
    """Where its class is: ``package.module:Class``."""
    plugin_class: type[Plugin] | None = None
    reason: str = ""

    def __str__(self) -> str:
        return f"plugin {self.name!r} ({self.distribution} {self.version})"


class NotLoaded(Exception):
    """A plugin's import failed, by whatever it raised."""


class _Discovery(NamedExtensionManager[Any]):
    """Loads the named entry points that it is given; whatever one of them raises is collected, not raised."""

    def __init__(self, entry_points: Collection[EntryPoint]) -> None:
        self._entry_points = list(entry_points)
        self.failures: dict[str, str] = {}
        names = [point.name for point in entry_points]
        super().__init__(PROJECT, names, on_load_failure_callback=self._remember)

    def _remember(self, _: ExtensionManager[Any], entry_point: EntryPoint, error: BaseException) -> None:
        self.failures[entry_point.name] = str(error)

    def list_entry_points(self) -> list[EntryPoint]:
        return self._entry_points

    def _load_one_plugin(self, ep: EntryPoint, *args: Any, **kwargs: Any) -> Extension[Any] | None:
        try:
            return super()._load_one_plugin(ep, *args, **kwargs)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit and AssertionError get past stevedore's own guard
            raise NotLoaded(f"{type(error).__name__} while importing {ep.value}: {error}") from error


def discover(wanted: Collection[str] | None = None, environ: Mapping[str, str] | None = None) -> tuple[Found, ...]:
    """Every installed plugin, by name. Only those in ``wanted`` (None: all) are imported.

    A name that two distributions claim, one of the core's own, and one listed in TILLHOOK_DISABLE are quarantined
    without being imported.
    """
    environ = os.environ if environ is None else environ
    off = {name.strip() for name in environ.get(DISABLE_VARIABLE, "").split(",")}
    found: dict[str, list[Found]] = {}
    to_load: dict[str, EntryPoint] = {}
    for one, point in _installed():
        found.setdefault(one.name, []).append(one)
        if point is not None and (wanted is None or one.name in wanted):
            to_load[one.name] = point
    for name, claims in found.items():
        reason = _refused(name, claims, off)
        if reason:
            to_load.pop(name, None)
            found[name] = [_with(one, None, one.reason or reason) for one in claims]
    loaded = _Discovery(to_load.values())
    for name, reason in loaded.failures.items():
        found[name] = [_with(found[name][0], None, reason)]
    for extension in loaded.extensions:
        found[extension.name] = [_judged(found[extension.name][0], extension.plugin)]
    return tuple(one for name in sorted(found) for one in found[name])


def _installed() -> Iterator[tuple[Found, EntryPoint | None]]:
    """Every entry point of the group; a distribution that is on the path twice counts once, the first wins."""
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions():
        text = distribution.read_text("entry_points.txt") or ""
        if not _SECTION.search(text):
            continue
        metadata = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
        name, version = _field(metadata, "Name"), _field(metadata, "Version")
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in seen:
            continue
        seen.add(key)
        try:
            points = list(distribution.entry_points.select(group=PROJECT))
        except Exception as error:  # noqa: BLE001 - whatever is wrong in its file is that distribution's fault alone
            yield Found(name, name, version, "", None, f"its entry_points.txt cannot be read: {error}"), None
            continue
        for point in points:
            yield Found(point.name, name, version, point.value), point


def _field(metadata: str, name: str) -> str:
    found = re.search(rf"^{name}: *(.+?) *$", metadata, re.MULTILINE)
    return found[1] if found else f"without {name.lower()}"


def _refused(name: str, claims: list[Found], off: Collection[str]) -> str:
    if name in off:
        return f"switched off by the variable {DISABLE_VARIABLE}"
    if name in CORE_KEYS:
        return f"{name!r} is a name of the core: rename the entry point"
    if len(claims) > 1:
        owners = " and ".join(f"{one.distribution} {one.version} ({one.value})" for one in claims)
        return f"the name {name!r} is claimed twice, by {owners}: uninstall one"
    return ""


def _judged(one: Found, loaded: Any) -> Found:
    if not (inspect.isclass(loaded) and issubclass(loaded, Plugin)):
        return _with(one, None, f"{one.value} is no class that inherits tillhook.Plugin")
    faults = faults_of(loaded)
    return _with(one, None if faults else loaded, "; ".join(faults))


def _with(one: Found, plugin_class: type[Plugin] | None, reason: str) -> Found:
    return Found(one.name, one.distribution, one.version, one.value, plugin_class, reason)
