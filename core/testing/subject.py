"""The plugin under test: made from plain settings as the core makes it, with planted secrets, and its hooks called."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from tillhook.core.config.decode import decode
from tillhook.core.config.errors import ConfigError, dotted
from tillhook.core.plugins.inspection import hooks_of
from tillhook.core.testing.planted import PLANTED
from tillhook.core.testing.recorder import RECORDER
from tillhook.hookspecs import Plugin

P = TypeVar("P", bound=Plugin)

__all__ = ["PLANTED", "Subject", "build"]

_ENV: Final = "env:"


def build(plugin: type[P], settings: Mapping[str, Any], folder: Path) -> P:
    """The plugin with ``settings``; ``{tmp}`` in a text stands for ``folder``.

    Raises ValueError naming the setting that is unknown, missing or malformed.
    """
    table = _in_folder(settings, folder)
    planted = {text.removeprefix(_ENV): PLANTED for text in _texts(table) if text.startswith(_ENV)}

    def refuse(path: tuple[str, ...], reason: str) -> ConfigError:
        return ConfigError(plugin.__name__, dotted(path), reason)

    return plugin(decode(table, plugin.Settings, planted, refuse))


class Subject:
    """A plugin whose hooks are called as the core calls them: with the arguments that each of them names."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self.hooks = hooks_of(type(plugin))

    def call(self, hook: str, **arguments: Any) -> Any:
        """Raises whatever the plugin raises."""
        function = getattr(self.plugin, hook)
        taken = {name: arguments[name] for name in inspect.signature(function).parameters if name in arguments}
        with RECORDER.call(hook):
            return function(**taken)


def _in_folder(value: Any, folder: Path) -> Any:
    match value:
        case str():
            return value.replace("{tmp}", str(folder))
        case Mapping():
            return {name: _in_folder(at, folder) for name, at in value.items()}
        case list() | tuple():
            return [_in_folder(at, folder) for at in value]
        case _:
            return value


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for at in value.values():
                yield from _texts(at)
        case list():
            for at in value:
                yield from _texts(at)
