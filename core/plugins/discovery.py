"""Finding what is installed: entry points of the group ``tillhook``, loaded one by one, each on its own risk.

stevedore loads. Its disk cache is not used (it can be minutes behind and forgets who a plugin came from), and nothing
that a plugin raises at import gets further than that plugin's own line in the report. One that hangs is left behind.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import inspect
import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace
from stevedore.extension import Extension, ExtensionManager
from stevedore.named import NamedExtensionManager

from tillhook.core.plugins.adapters import NotUnderstood, adapted
from tillhook.core.plugins.inspection import faults_of
from tillhook.core.plugins.starting import IMPORT_SECONDS, Hangs, within
from tillhook.core.plugins.whereabouts import in_brackets, of_error, said, shown
from tillhook.core.roles.grammar import PROJECT
from tillhook.core.roles.shop_settings import CORE_KEYS
from tillhook.hookspecs import Plugin

DISABLE_VARIABLE: Final = "TILLHOOK_DISABLE"

_SECTION: Final = re.compile(rf"^\s*\[\s*{PROJECT}\s*\]", re.MULTILINE)
_FILE_OF_NAME: Final = re.compile(r" \((?:/|[A-Za-z]:|unknown location).*\)$")


class Found(Struct, frozen=True):
    """One installed plugin. Quarantined when ``reason`` is not empty; not imported when ``plugin_class`` is None."""

    name: str
    distribution: str
    version: str
    value: str
    """Where its class is: ``package.module:Class``."""
    plugin_class: type[Plugin] | None = None
    reason: str = ""
    off: bool = False
    """Switched off by TILLHOOK_DISABLE."""
    hookspec_version: int | None = None
    """The version of the hooks that it was made for; None while its class is not known."""

    @property
    def package(self) -> str:
        """The top-level package of its class."""
        return self.value.partition(":")[0].partition(".")[0].strip()

    def __str__(self) -> str:
        made_by = f" ({self.distribution} {self.version})" if self.distribution else ""
        return f"plugin {self.name!r}{made_by}"


class NotLoaded(Exception):
    """A plugin's import failed; the text says why and where."""


class _Discovery(NamedExtensionManager[Any]):
    """Loads the named entry points that it is given; whatever one of them raises is collected, not raised."""

    def __init__(self, entry_points: Collection[EntryPoint], seconds: float) -> None:
        self._entry_points = list(entry_points)
        self._seconds = seconds
        self.failures: dict[str, str] = {}
        names = [point.name for point in entry_points]
        super().__init__(
            PROJECT,
            names,
            on_load_failure_callback=self._remember,
            on_missing_entrypoints_callback=lambda missing: None,  # each has its failure, which says more
        )

    def _remember(self, _: ExtensionManager[Any], entry_point: EntryPoint, error: BaseException) -> None:
        self.failures[entry_point.name] = str(error)

    def list_entry_points(self) -> list[EntryPoint]:
        return self._entry_points

    def _load_one_plugin(self, ep: EntryPoint, *args: Any, **kwargs: Any) -> Extension[Any] | None:
        load = super()._load_one_plugin
        try:
            return within(self._seconds, lambda: load(ep, *args, **kwargs), _package(ep))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit and AssertionError get past stevedore's own guard
            raise NotLoaded(_why_not(ep, error)) from error


def switched_off(environ: Mapping[str, str] | None = None) -> frozenset[str]:
    """The plugins that TILLHOOK_DISABLE names, whether there are such or not."""
    names = (os.environ if environ is None else environ).get(DISABLE_VARIABLE, "").split(",")
    return frozenset(name.strip() for name in names if name.strip())


def discover(
    wanted: Collection[str] | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    import_seconds: float = IMPORT_SECONDS,
) -> tuple[Found, ...]:
    """Every installed plugin, by name. Only those in ``wanted`` (None: all) are imported.

    A name that two distributions claim and one of the core's own are quarantined without being imported. One that is
    switched off is imported, as its duties must be known.
    """
    off = switched_off(environ)
    found: dict[str, list[Found]] = {}
    to_load: dict[str, EntryPoint] = {}
    for one, point in _installed():
        found.setdefault(one.name, []).append(replace(one, off=one.name in off))
        if point is not None and (wanted is None or one.name in wanted):
            to_load[one.name] = point
    for name, claims in found.items():
        reason = _refused(name, claims)
        if reason:
            to_load.pop(name, None)
            found[name] = [replace(one, reason=one.reason or reason) for one in claims]
    loaded = _Discovery(to_load.values(), import_seconds)
    for name, reason in loaded.failures.items():
        found[name] = [replace(found[name][0], reason=reason)]
    for extension in loaded.extensions:
        found[extension.name] = [_judged(found[extension.name][0], extension.plugin, import_seconds)]
    return tuple(one for name in sorted(found) for one in found[name])


def _installed() -> Iterator[tuple[Found, EntryPoint | None]]:
    """Every entry point of the group; a distribution that is on the path twice counts once, the first wins."""
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions():
        text, fault = _entry_points_of(distribution)
        if not (fault or _SECTION.search(text)):
            continue
        name, version, torn = _described(distribution)
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in seen:
            continue
        seen.add(key)
        try:
            points = [] if fault else list(distribution.entry_points.select(group=PROJECT))
        except Exception as error:  # noqa: BLE001 - whatever is wrong in its file is that distribution's fault alone
            fault, points = said(error), []
        if fault:
            yield Found(name, name, version, "", None, f"its entry_points.txt cannot be read: {fault}"), None
        for point in points:
            yield Found(point.name, name, version, point.value, None, torn), None if torn else point


def _described(distribution: Distribution) -> tuple[str, str, str]:
    """Its name and version, or what is wrong with the file that says them; its folder is its name then."""
    try:
        metadata = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    except (OSError, UnicodeDecodeError) as error:
        folder = Path(str(getattr(distribution, "_path", "a distribution without a folder"))).name
        return folder, "without version", f"its metadata cannot be read: {said(error)}"
    return _field(metadata, "Name"), _field(metadata, "Version"), ""


def _entry_points_of(distribution: Distribution) -> tuple[str, str]:
    """The text of the file, or what is wrong with it."""
    try:
        return distribution.read_text("entry_points.txt") or "", ""
    except (OSError, UnicodeDecodeError) as error:
        return "", said(error)


def _field(metadata: str, name: str) -> str:
    found = re.search(rf"^{name}: *(.+?) *$", metadata, re.MULTILINE)
    return found[1] if found else f"without {name.lower()}"


def _refused(name: str, claims: list[Found]) -> str:
    if name in CORE_KEYS:
        return f"{name!r} is a name of the core: rename the entry point of {claims[0].distribution}"
    if len(claims) > 1:
        owners = " and ".join(f"{one.distribution} {one.version} ({one.value})" for one in claims)
        return f"the name {name!r} is claimed twice, by {owners}: uninstall one"
    return ""


def _judged(one: Found, loaded: Any, seconds: float) -> Found:
    """With its class, or with the reason why that cannot be used. Looking at a class may run code of its own."""
    try:
        return within(seconds, lambda: _looked_at(one, loaded), one.package)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it raises is that plugin's fault alone
        what = str(error) if isinstance(error, Hangs) else f"raised {type(error).__name__}: {said(error)}"
        where = "" if isinstance(error, Hangs) else in_brackets(of_error(error, one.package)) or _stands(one.value)
        return replace(one, reason=f"looking at {one.value} {what}{where}")


def _looked_at(one: Found, loaded: Any) -> Found:
    if not (inspect.isclass(loaded) and issubclass(loaded, Plugin)):
        return replace(one, reason=f"{one.value} is no class that inherits tillhook.Plugin{_stands(one.value)}")
    version: Any = loaded.hookspec_version
    one = replace(one, hookspec_version=version if isinstance(version, int) else None)
    try:
        plugin_class = adapted(loaded, one.distribution)
    except NotUnderstood as why:
        return replace(one, reason=str(why))
    faults = faults_of(loaded)
    return replace(one, plugin_class=None if faults else plugin_class, reason="; ".join(faults))


def _package(point: EntryPoint) -> str:
    return point.value.partition(":")[0].partition(".")[0].strip()


def _why_not(point: EntryPoint, error: BaseException) -> str:
    """What kept a plugin from being imported, in one line, with the file and line."""
    leads_nowhere = f"its entry point {point.name} = {point.value} leads nowhere"
    where = in_brackets(of_error(error, _package(point)))
    if not EntryPoint.pattern.match(point.value):
        return f"{leads_nowhere}: write it as package.module:Class"
    if isinstance(error, Hangs):
        return f"the import of {point.value} {error}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        if f"{point.module}.".startswith(f"{error.name}."):
            return f"{leads_nowhere}: there is no module {error.name!r}"
        return f"it needs the module {error.name!r}, which is not installed: install it{where}"
    module = sys.modules.get(point.module)
    if isinstance(error, AttributeError) and module is not None and error.obj is module:
        near = difflib.get_close_matches(str(error.name), dir(module), n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        return f"{leads_nowhere}: {point.module} has no {error.name!r}{hint}{_stands(point.value)}"
    says = error.msg if isinstance(error, SyntaxError) else _FILE_OF_NAME.sub("", said(error))
    return f"{type(error).__name__} while importing {point.value}{says and f': {says}'}{where or _stands(point.value)}"


def _stands(value: str) -> str:
    """The file of the module that an entry point names, in brackets."""
    file = getattr(sys.modules.get(value.partition(":")[0].strip()), "__file__", None)
    return in_brackets(shown(file)) if file else ""
