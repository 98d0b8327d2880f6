"""``tillhook schedules`` and ``tillhook topics``: the work and the messages that plugins have of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from tillhook.core.cli.faults import Trouble, Unusable
from tillhook.core.cli.output import say, show_json, show_table
from tillhook.core.cli.session import Session, pass_session

if TYPE_CHECKING:
    from tillhook.core.services.platform import Platform
    from tillhook.core.services.rooms import Room
    from tillhook.core.storage.schedules import ScheduleRow

NEVER = "never ran"
RUNNING = "running"


class ScheduleLine(Struct, frozen=True):
    """One schedule in one place. Times are UTC; ``next_at`` None: at once."""

    plugin: str
    name: str
    place: str
    every_seconds: int
    last_started_at: datetime | None
    last_finished_at: datetime | None
    result: str
    next_at: datetime | None


class TopicLine(Struct, frozen=True):
    """One topic of one plugin."""

    topic: str
    direction: str
    key: str
    payload: str
    plugin: str
    places: tuple[str, ...]


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
@click.pass_context
def schedules(context: click.Context, as_json: bool) -> None:
    """List the schedules of plugins: when each ran last, how it ended, when it runs next.

    \b
    Example:
      tillhook schedules --json | jq '.[] | select(.result | startswith("failed"))'
    """
    if context.invoked_subcommand is not None:
        return
    session: Session = context.obj
    with session.system() as assembled:
        lines = list(_schedules(assembled.platform))
    if as_json:
        show_json(lines)
        return
    show_table(
        ("Plugin", "Schedule", "Place", "Every", "Last run (UTC)", "Result", "Next (UTC)"),
        [
            (at.plugin, at.name, at.place, _every(at.every_seconds), _at(at.last_started_at), at.result, _next(at))
            for at in lines
        ],
        nothing="no plugin that is switched on has a schedule",
    )


@schedules.command()
@click.argument("plugin")
@click.argument("name")
@click.option("--place", metavar="TYPE/CC", help="Only there; default: in every place that has it.")
@pass_session
def run(session: Session, plugin: str, name: str, place: str | None) -> None:
    """Run the schedule NAME of PLUGIN now, in this process; the times at which it is due stay as they are.

    Exit code 1 when it fails, or when another process runs it at this moment.

    \b
    Example:
      tillhook schedules run points expire --place demo/DK
    """
    with session.system() as assembled:
        rooms = assembled.platform.rooms.schedules()
        wanted = [one for one in rooms if (one.plugin, one.thing.name) == (plugin, name) and place in {None, one.place}]
        if not wanted:
            known = sorted({f"{one.plugin} {one.thing.name} ({one.place})" for one in rooms}) or ["none"]
            where = f" in {place}" if place else ""
            raise Unusable(f"plugin {plugin!r} has no schedule {name!r}{where}; there are: {', '.join(known)}")
        troubles = [trouble for room in wanted for trouble in _run(assembled.platform, room)]
    if troubles:
        raise Trouble("; ".join(troubles))


def _run(platform: Platform, room: Room) -> Iterator[str]:
    """What went wrong, if anything."""
    from tillhook.core.messaging.scheduling import Scheduler

    what = f"{room.plugin} {room.thing.name} in {room.place}"
    error = Scheduler(platform).run_now(room)
    if error is None:
        yield f"{what}: another process runs it at this moment"
    elif error:
        yield f"{what}: {error}"
    else:
        say(f"{what}: done")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
@pass_session
def topics(session: Session, as_json: bool) -> None:
    """List the bus topics that plugins produce and consume, with the type of their messages.

    \b
    Example:
      tillhook topics --json | jq -r '.[] | select(.direction == "consumes") | .topic'
    """
    with session.system() as assembled:
        lines = _topics(assembled.platform.rooms.topics())
    if as_json:
        show_json(lines)
        return
    show_table(
        ("Topic", "Direction", "Key", "Message", "Plugin", "Places"),
        [(at.topic, at.direction, at.key, at.payload, at.plugin, at.places) for at in lines],
        nothing="no plugin that is switched on declares a topic",
    )


def last_failures(platform: Platform) -> list[str]:
    """Schedules whose last run failed, each with the reason."""
    return [
        f"{one.plugin} {one.name} in {one.place} {one.result}"
        for one in _schedules(platform)
        if one.result.startswith("failed")
    ]


def _schedules(platform: Platform) -> Iterator[ScheduleLine]:
    from tillhook.core.messaging.scheduling import key_of
    from tillhook.core.storage.schedules import known_schedules

    rows, now = platform.db.read(known_schedules), platform.clock()
    for room in platform.rooms.schedules():
        row = rows.get(key_of(room))
        yield ScheduleLine(
            room.plugin,
            room.thing.name,
            room.place,
            room.thing.seconds,
            row.last_started_at if row else None,
            row.last_finished_at if row else None,
            _result(row, now),
            row.next_at if row and row.next_at > now else None,
        )


def _result(row: ScheduleRow | None, now: datetime) -> str:
    if row is None or row.last_started_at is None:
        return NEVER
    if row.lease_owner is not None:
        held = row.lease_until is not None and row.lease_until >= now
        return RUNNING if held else "its worker died"
    return f"failed: {row.last_error}" if row.last_error else "ok"


def _topics(rooms: Iterable[Room]) -> list[TopicLine]:
    found: dict[tuple[str, str, str, str, str], list[str]] = {}
    for room in rooms:
        topic = room.thing
        directions = ["produces"] * topic.produces + ["consumes"] * (topic.consume is not None)
        payload = getattr(topic.payload, "__name__", str(topic.payload))
        for direction in directions:
            found.setdefault((topic.name, direction, topic.key, payload, room.plugin), []).append(room.place)
    return [TopicLine(*names, tuple(places)) for names, places in sorted(found.items())]


def _every(seconds: int) -> str:
    """As one would say it: ``1 day``, ``90 seconds``."""
    for length, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds % length == 0:
            return f"{seconds // length} {name}{'' if seconds == length else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def _at(instant: datetime | None) -> str:
    return "" if instant is None else f"{instant:%Y-%m-%d %H:%M:%S}"


def _next(line: ScheduleLine) -> str:
    if line.result == RUNNING:
        return "when it has ended"
    if line.next_at is None:
        return "at once"
    at = line.next_at
    return f"{at:%Y-%m-%d %H:%M:%S}"
