"""Judging the tables, commands, schedules and topics that a plugin declares, before anything relies on them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any, Final

import msgspec

from tillhook.core.roles.rooms import PluginCommand, PluginTables, Schedule, Topic

_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")
"""What a broker takes."""
_SCHEDULE: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")

_YEAR: Final = 366 * 86_400
"""Seconds; beyond it lie intervals that are meant in another unit, and dates that no calendar has."""
_ROOM: Final = 100
"""Characters of a consumed topic and its plugin: the rest of a receiver's name is the place."""

Declaration = PluginTables | PluginCommand | Schedule | Topic


def fault_of(plugin: str, thing: Declaration) -> str:
    """Why a declaration cannot be used; empty when it can."""
    match thing:
        case PluginTables():
            return _tables(plugin, thing)
        case PluginCommand():
            return _command(thing)
        case Schedule():
            return _schedule(thing)
        case Topic():
            return _topic(plugin, thing)


def _tables(plugin: str, thing: PluginTables) -> str:
    if thing.name != plugin:
        return f"PluginTables are named {thing.name!r}, a plugin's tables bear its own name: {plugin!r}"
    folder = PurePosixPath(thing.folder)
    if not thing.folder or folder.is_absolute() or ".." in folder.parts:
        return f"the folder {thing.folder!r} of PluginTables must be one inside the package {thing.package!r}"
    return ""


def _command(thing: PluginCommand) -> str:
    import click  # only a plugin with commands needs it, and has imported it already

    if isinstance(thing.command, click.Command) and thing.command.name:
        return ""
    return f"PluginCommand needs a click command with a name, not {type(thing.command).__name__}"


def _schedule(thing: Schedule) -> str:
    if not _SCHEDULE.fullmatch(thing.name):
        return f"schedule {thing.name!r}: its name may have letters, digits, dots, dashes and underscores, up to 100"
    seconds: Any = thing.seconds
    run: Any = thing.run
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 1 <= seconds <= _YEAR:
        return f"schedule {thing.name!r}: seconds must be a whole number from 1 to {_YEAR} (a year), it is {seconds!r}"
    return "" if callable(run) else f"schedule {thing.name!r}: run must be a function"


def _topic(plugin: str, thing: Topic) -> str:
    consume: Any = thing.consume
    if not _TOPIC.fullmatch(thing.name):
        return f"topic {thing.name!r}: its name may have letters, digits, dots, dashes and underscores, up to 100"
    if not thing.produces and thing.consume is None:
        return f"topic {thing.name!r} is neither produced nor consumed: set produces or give it a consume function"
    if consume is not None and not callable(consume):
        return f"topic {thing.name!r}: consume must be a function"
    if consume is not None and len(thing.name) + len(plugin) > _ROOM:
        return f"topic {thing.name!r}: with the name of who consumes it ({plugin}) it is longer than {_ROOM} characters"
    try:
        msgspec.json.Decoder(thing.payload)
    except TypeError as error:
        return f"topic {thing.name!r}: {thing.payload!r} is no type that can be read from JSON: {error}"
    return ""
