"""Judging a plugin's class before any instance of it is made: what is wrong with it, hook by hook."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator
from typing import Any, Final

from tillhook.core.plugins.whereabouts import in_brackets, of_class, of_hook
from tillhook.core.roles.grammar import hookimpl
from tillhook.core.roles.settings import Config
from tillhook.hookspecs import HOOKS, Hooks, Plugin

_MARK: Final = f"{hookimpl.project_name}_impl"
_OUT_OF_ORDER: Final = ("tryfirst", "trylast", "wrapper", "hookwrapper")


def hooks_of(plugin_class: type[Plugin]) -> tuple[str, ...]:
    """The hooks that a plugin implements, in the order of the hall."""
    return tuple(name for name in HOOKS if hasattr(getattr(plugin_class, name), _MARK))


def faults_of(plugin_class: type[Plugin]) -> list[str]:
    """Why this class cannot be used; empty when it can."""
    return list(_faults(plugin_class))


def _faults(plugin_class: type[Plugin]) -> Iterator[str]:
    settings: Any = plugin_class.Settings
    if not (inspect.isclass(settings) and issubclass(settings, Config)):
        yield f"its Settings must be a class that inherits tillhook.Config{in_brackets(of_class(plugin_class))}"
    if plugin_class.__eq__ is not object.__eq__:
        yield f"it defines __eq__: plugins are told apart by identity{in_brackets(of_class(plugin_class))}"
    for name in dir(plugin_class):
        function = inspect.getattr_static(plugin_class, name)
        mark = getattr(function, _MARK, None)
        if mark is not None:
            for fault in _faults_of_hook(name, function, mark):
                yield f"hook {name}: {fault}{in_brackets(of_hook(plugin_class, name))}"
        elif name in HOOKS and function is not vars(Hooks)[name]:
            yield f"hook {name}: overrides a hook, mark it with @hookimpl{in_brackets(of_hook(plugin_class, name))}"


def _faults_of_hook(name: str, function: Any, mark: dict[str, Any]) -> Iterator[str]:
    if name not in HOOKS:
        near = difflib.get_close_matches(name, HOOKS, n=1)
        yield "there is no such hook" + (f" (did you mean {near[0]}?)" if near else "")
        return
    if not inspect.isfunction(function):
        yield "must be a plain method"
        return
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        yield "must be a plain function that returns its answer: hooks neither await nor yield"
    for option in _OUT_OF_ORDER:
        if mark.get(option):
            yield f"{option} is not possible: the order of plugins is that of the configuration"
    if mark.get("specname"):
        yield "specname is not possible: a method bears the name of its hook"
    offered = list(inspect.signature(HOOKS[name]).parameters)[1:]
    taken = list(inspect.signature(function).parameters.values())
    if not taken or taken[0].name in offered:
        yield "its first argument must be self"
    for parameter in taken[1:]:
        if parameter.name not in offered and parameter.default is parameter.empty:
            yield f"takes {parameter.name!r}, the hook has {', '.join(offered) or 'no arguments'}"
