"""Plugins that were made for an earlier version of the hooks, translated into the present one.

What changed, version by version:

- 1 → 2: what the core calls in a plugin's own rooms is handed one ``Errand``. The handler of a route took
  ``(request, store)``, the work of a schedule took ``(outside)``. Pages were routes that answered HTML; they are
  values now, which no translation can make of HTML.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from tillhook.core.plugins.whereabouts import in_brackets, of_class, of_hook
from tillhook.core.roles.grammar import HOOKSPEC_VERSION, hookimpl
from tillhook.core.roles.rooms import Errand, PluginRoute, Schedule
from tillhook.hookspecs import Plugin

_MARK: Final = f"{hookimpl.project_name}_impl"
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


class NotUnderstood(Exception):
    """A plugin cannot be translated; the text says why and what its author does about it."""


def adapted(plugin_class: type[Plugin], distribution: str) -> type[Plugin]:
    """The class as hooks of the present version call it: the class itself when it was made for them.

    Raises NotUnderstood for a version that there is no way from.
    """
    version: Any = plugin_class.hookspec_version
    if isinstance(version, bool) or not isinstance(version, int):
        raise NotUnderstood(
            f"its hookspec_version must be a whole number such as {HOOKSPEC_VERSION}, it is {version!r}"
            f"{in_brackets(of_class(plugin_class))}"
        )
    if version != HOOKSPEC_VERSION and version not in ADAPTERS:
        what = f"update {distribution}"
        if version > HOOKSPEC_VERSION:
            what = f"update tillhook, or install an older {distribution}"
        raise NotUnderstood(
            f"made for hooks of version {version}, these are version {HOOKSPEC_VERSION} "
            f"({_listed(ADAPTERS)} understood too): {what}{in_brackets(of_class(plugin_class))}"
        )
    for step in range(version, HOOKSPEC_VERSION):
        plugin_class = ADAPTERS[step](plugin_class)
    return plugin_class


def _from_1(plugin_class: type[Plugin]) -> type[Plugin]:
    if hasattr(plugin_class.pages, _MARK):
        raise NotUnderstood(
            "hook pages: a page of version 1 answers HTML and cannot be shown any more: offer tillhook.PluginPage and "
            f"declare hookspec_version = 2{in_brackets(of_hook(plugin_class, 'pages'))}"
        )
    changed: dict[str, Callable[[Any], Any]] = {"routes": _route_from_1, "schedules": _schedule_from_1}
    own = {name: change for name, change in changed.items() if hasattr(getattr(plugin_class, name), _MARK)}
    body = {name: _translating(getattr(plugin_class, name), change) for name, change in own.items()}
    names = {"__module__": plugin_class.__module__, "__qualname__": plugin_class.__qualname__}
    return type(plugin_class.__name__, (plugin_class,), {**names, "__doc__": plugin_class.__doc__, **body})


def _translating(offers: Callable[[Any], Any], change: Callable[[Any], Any]) -> Callable[[Any], Sequence[Any]]:
    """The same offers, each one changed."""

    @functools.wraps(offers)
    def translated(self: Any) -> Sequence[Any]:
        return [change(thing) for thing in offers(self) or ()]

    return translated


def _route_from_1(route: Any) -> Any:
    if not isinstance(route, PluginRoute):
        return route  # what is no route is found when the offers are looked at
    handler: Callable[..., Any] = route.handler

    def handle(errand: Errand) -> Any:
        request = {
            "path": dict(errand.path),
            "query": msgspec.to_builtins(errand.query) or {},
            "body": msgspec.to_builtins(errand.body),
        }
        return handler(request, errand.store)

    body = Any if route.method in _WITH_BODY else None
    return replace(route, handler=handle, answer=Any, body=body)


def _schedule_from_1(schedule: Any) -> Any:
    if not isinstance(schedule, Schedule):
        return schedule
    run: Callable[..., Any] = schedule.run
    return replace(schedule, run=lambda errand: run(errand.outside))


ADAPTERS: Final[dict[int, Callable[[type[Plugin]], type[Plugin]]]] = {1: _from_1}
"""Version → what makes a plugin of it one of the next version."""


def _listed(versions: Sequence[int] | dict[int, Any]) -> str:
    known = " and ".join(map(str, sorted(versions)))
    return f"{known} {'is' if len(versions) == 1 else 'are'}"
