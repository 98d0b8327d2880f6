"""``tillhook doctor``: is everything as it should be, and if not, what to do."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from msgspec import Struct

from tillhook.core.cli.faults import explain
from tillhook.core.cli.output import show_json, show_table
from tillhook.core.cli.rooms import last_failures
from tillhook.core.cli.session import Session, pass_session, require_migrated

if TYPE_CHECKING:
    from tillhook.app import Assembled
    from tillhook.core.services.platform import Platform

PYTHON: Final = (3, 11)
LITTLE_ROOM: Final = 1_000_000_000
NO_ROOM: Final = 100_000_000
CLOCK_WARN: Final = timedelta(seconds=2)
CLOCK_FAIL: Final = timedelta(seconds=30)
OPEN_FOR: Final = timedelta(hours=1)
"""A payment whose outcome is unknown for longer is a person's business."""


class Result(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(Struct, frozen=True):
    """What one check found. ``advice`` says what to do about it."""

    check: str
    result: Result
    found: str
    advice: str = ""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A list of objects, for a monitor.")
@pass_session
def doctor(session: Session, as_json: bool) -> None:
    """Check the machine, the configuration, the plugins and the database.

    One line for each check; exit code 1 when one of them fails. Nothing is changed.

    \b
    Example:
      tillhook doctor || tillhook doctor --json | jq '.[] | select(.result == "fail")'
    """
    findings = [*_machine(), *_system(session)]
    if as_json:
        show_json(findings)
    else:
        rows = [(one.check, one.result.value, "; ".join(filter(None, (one.found, one.advice)))) for one in findings]
        show_table(("Check", "Result", "Found"), rows)
    if any(one.result is Result.FAIL for one in findings):
        raise SystemExit(1)


def _machine() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    enough = sys.version_info >= PYTHON
    needs = "" if enough else f"tillhook needs {'.'.join(map(str, PYTHON))} or newer"
    yield Finding("python", Result.OK if enough else Result.FAIL, f"{version}, {sys.executable}", needs)
    wanted = _requirements()
    missing = [name for name in wanted if not _is_installed(name)]
    yield (
        Finding("packages", Result.FAIL, f"missing: {', '.join(missing)}", "install tillhook again")
        if missing
        else Finding("packages", Result.OK, f"tillhook {metadata.version('tillhook')} and its {len(wanted)} packages")
    )


def _requirements() -> list[str]:
    """What tillhook needs in any case; extras and what is for other systems are left out."""
    lines = metadata.requires("tillhook") or []
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines if ";" not in line)
    return [name[0] for name in names if name]


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _system(session: Session) -> Iterator[Finding]:
    """Checks of what is configured: each needs those before it."""
    try:
        configuration = session.configuration()
    except ValueError as error:
        yield Finding("config", Result.FAIL, str(error))
        return
    types = configuration.layers.store_types()
    file = configuration.layers.file
    if types:
        yield Finding("config", Result.OK, f"{file} with the store types {', '.join(types)}")
    else:
        yield Finding("config", Result.WARN, f"{file} has no store type yet", "give it a layer for each")
    try:
        with session.system(configuration, migrated=False) as assembled:
            yield from _plugins(assembled)
            yield from _database(assembled)
    except Exception as error:  # noqa: BLE001 - whatever keeps the system from being put together is what was found
        yield Finding("system", Result.FAIL, explain(error)[0])


def _plugins(assembled: Assembled) -> Iterator[Finding]:
    report = assembled.platform.host.report()
    broken = [one for one in report if one.reason]
    for one in broken:
        yield Finding("plugin", Result.FAIL if one.not_served else Result.WARN, str(one))
    used = [one.name for one in report if one.store_types]
    if not broken:
        yield Finding("plugins", Result.OK, f"{len(used)} in use, {len(report) - len(used)} more installed")
    taken = getattr(click.get_current_context().find_root().command, "commands", {})
    for one in report:
        if one.name in taken and "commands" in one.hooks and one.store_types:
            found = f"{one.name} has commands that cannot be called: tillhook has a command of that name"
            yield Finding("plugin", Result.WARN, found, "rename its entry point")
    for fault in assembled.platform.host.problems():
        if not fault.plugin:
            yield Finding("config", Result.FAIL, str(fault))


def _database(assembled: Assembled) -> Iterator[Finding]:
    from tillhook.core.storage import health

    platform = assembled.platform
    db = platform.db
    try:
        require_migrated(platform)
        yield Finding("database", Result.OK, f"{health.shown(db.url)} at revision {db.read(health.revision_of)}")
        health.try_to_write(db)
        yield Finding("writing", Result.OK, "the database can be written")
    except Exception as error:  # noqa: BLE001 - whatever it is, the database cannot be used
        yield Finding("database", Result.FAIL, explain(error)[0])
        yield from _room(health.file_of(db.url))
        return
    yield from _room(health.file_of(db.url))
    checks: tuple[Callable[[Platform], Finding], ...] = (
        _clock,
        _stores,
        _open_payments,
        _dead_letters,
        _waiting,
        _schedules,
    )
    for check in checks:
        yield check(platform)


def _room(file: Path | None) -> Iterator[Finding]:
    """Of the folder of an SQLite database, else of the working folder."""
    folder = (file.parent if file else Path()).resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    result = Result.FAIL if free < NO_ROOM else Result.WARN if free < LITTLE_ROOM else Result.OK
    yield Finding(
        "disk", result, f"{free / 1e9:.1f} GB free in {folder}", "" if result is Result.OK else "make room there"
    )
    if os.access(folder, os.W_OK | os.X_OK):
        yield Finding("folder", Result.OK, f"{folder} can be written")
    else:
        yield Finding("folder", Result.FAIL, f"{folder} cannot be written", "run as its owner, or give the right to")


def _clock(platform: Platform) -> Finding:
    from tillhook.core.storage.health import clock_of

    before = platform.clock()
    theirs = platform.db.read(clock_of)
    apart = max(before - theirs, theirs - platform.clock(), timedelta())
    result = Result.FAIL if apart > CLOCK_FAIL else Result.WARN if apart > CLOCK_WARN else Result.OK
    advice = "" if result is Result.OK else "leases and tokens go by it: synchronise the clocks (NTP)"
    return Finding("clock", result, f"{apart.total_seconds():.1f} s apart from the database's", advice)


def _stores(platform: Platform) -> Finding:
    from tillhook.core.storage.stores import all_stores

    stores = platform.db.read(all_stores)
    faults = platform.host.problems(stores)
    if not stores:
        advice = "bring some in: `tillhook stores import FILE` or `tillhook demo`"
        return Finding("stores", Result.WARN, "there is none", advice)
    if faults:
        closed = sorted({"/".join(filter(None, fault.place[:2])) for fault in faults})
        return Finding("stores", Result.FAIL, f"not served: {', '.join(closed)}; {faults[0]}")
    return Finding("stores", Result.OK, f"{len(stores)}, each with its plugins")


def _open_payments(platform: Platform) -> Finding:
    from tillhook.core.storage.payments import open_operations

    limit = 1000
    since = platform.clock() - OPEN_FOR
    found = [entry for entry in platform.db.read(lambda tx: open_operations(tx, limit)) if entry.created_at < since]
    if not found:
        return Finding("payments", Result.OK, "no outcome is unknown for more than an hour")
    number = f"{len(found)} or more" if len(found) == limit else len(found)
    oldest = f"the oldest is of payment {found[0].operation.payment_id}, {found[0].created_at:%Y-%m-%d %H:%M} UTC"
    advice = "ask the provider, and see that `tillhook work` or a server runs"
    return Finding("payments", Result.WARN, f"{number} with unknown outcome for more than an hour; {oldest}", advice)


def _dead_letters(platform: Platform) -> Finding:
    from tillhook.core.storage.events import DeliveryState, counts

    dead = platform.db.read(counts).get(DeliveryState.DEAD, 0)
    if not dead:
        return Finding("duties", Result.OK, "no dead letter")
    return Finding("duties", Result.WARN, f"{dead} gave up", "`tillhook orders show` of their orders says why")


def _waiting(platform: Platform) -> Finding:
    """Duties that nobody does: their plugin is switched off, their store type has no shop, or no worker runs."""
    from tillhook.core.storage.events import oldest_waiting

    found = platform.db.read(lambda tx: oldest_waiting(tx, platform.clock() - OPEN_FOR))
    if found is None:
        return Finding("waiting", Result.OK, "no duty for more than an hour")
    subscriber, why, number = found
    said = f"{number} for more than an hour; the oldest is {subscriber}" + (f": {why}" if why else "")
    return Finding("waiting", Result.WARN, said, "see `tillhook plugins`, and that `tillhook work` or a server runs")


def _schedules(platform: Platform) -> Finding:
    failed = last_failures(platform)
    if not failed:
        return Finding("schedules", Result.OK, "none failed when it last ran")
    return Finding("schedules", Result.WARN, f"{len(failed)} failed: {failed[0]}", "`tillhook schedules` lists them")
