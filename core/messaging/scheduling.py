"""Schedules: what is due is run by one worker, in one place at a time; what was missed is not made up for."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from tillhook.core.plugins.guard import HookRefused
from tillhook.core.roles.rooms import Schedule
from tillhook.core.roles.settings import without_secrets
from tillhook.core.services.platform import Platform
from tillhook.core.services.rooms import Room, errand_of
from tillhook.core.storage.database import Tx
from tillhook.core.storage.schedules import (
    ScheduleKey,
    ScheduleRow,
    bring_forward,
    claim_schedule,
    finish_schedule,
    known_schedules,
    remember_schedules,
)
from tillhook.core.telemetry.logs import work as work_logged

log = structlog.get_logger("tillhook.schedules")

SOON: Final = timedelta(seconds=60)
"""When a run is tried again that could not begin, as its plugin's calls hang."""
SPARE: Final = timedelta(seconds=30)
"""The lease is so much longer than a run may take: whoever holds it beyond that is dead."""


class Scheduler:
    """Runs schedules in the thread that asks. Any number of processes may: each run is claimed by one."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._owner = platform.new_id("sch")

    def run_due(self) -> int:
        """Run everything that is due now; how many runs there were."""
        rooms = {key_of(room): room for room in self._platform.rooms.schedules()}
        if not rooms:
            return 0
        rows = self._rows(rooms)
        now = self._platform.clock()
        due = [key for key, room in rooms.items() if rows[key].next_at <= now and _free(rows[key], now)]
        return sum(self._run(rooms[key], rows[key], only_due=True) is not None for key in due)

    def run_now(self, room: Room) -> str | None:
        """Run one schedule, due or not; what went wrong or empty. None: another worker runs it at this moment."""
        key = key_of(room)
        return self._run(room, self._rows({key: room})[key], only_due=False)

    def _rows(self, rooms: dict[ScheduleKey, Room]) -> dict[ScheduleKey, ScheduleRow]:
        """The rows of these schedules, made where they are missing, brought forward where the interval is shorter."""
        platform, now = self._platform, self._platform.clock()
        rows = platform.db.read(known_schedules)
        new = [key for key in rooms if key not in rows]
        late = [key for key in rooms if key in rows and rows[key].next_at > now + _interval(rooms[key])]
        if not new and not late:
            return rows

        def prepare(tx: Tx) -> dict[ScheduleKey, ScheduleRow]:
            if new:
                remember_schedules(tx, new, now)
            for key in late:
                bring_forward(tx, key, now + _interval(rooms[key]))
            return known_schedules(tx)

        return platform.db.write(prepare)

    def _run(self, room: Room, row: ScheduleRow, *, only_due: bool) -> str | None:
        """What went wrong or empty; None when it could not be claimed."""
        platform, key, now = self._platform, key_of(room), self._platform.clock()
        until, next_at = now + lease(platform), next_after(row.next_at, _interval(room), now)
        # A worker died of it, or so it seems: it is taken over once, and if that one dies too, not before its time.
        held_until = None if row.lease_owner is None else next_at
        claim = partial(claim_schedule, only_due=only_due, next_at=held_until)
        if not platform.db.write(lambda tx: claim(tx, key, self._owner, now, until)):
            return None
        schedule: Schedule = room.thing
        platform.checkpoint(f"schedule.{key.plugin}.{key.name}.before")
        error = ""
        try:
            with work_logged(schedule=f"{key.plugin}.{key.name}", place=key.place):
                errand = errand_of(room.shop, room.plugin, now)
                room.shop.use(schedule, "run", errand, seconds=platform.system.hooks.duty_seconds)
        except HookRefused as refused:  # it was not even called: that must not cost it a day
            error = str(refused)[:2000]
            next_at = min(next_at, platform.clock() + max(SOON, timedelta(seconds=refused.seconds or 0)))
        except Exception as raised:  # noqa: BLE001 - kept with the schedule and shown
            error = without_secrets(f"{type(raised).__name__}: {raised}")[:2000]
        if error:
            log.error("schedule failed", plugin=key.plugin, name=key.name, place=key.place, error=error)
        platform.checkpoint(f"schedule.{key.plugin}.{key.name}.after")
        ended = platform.clock()
        held = platform.db.write(
            lambda tx: finish_schedule(tx, key, self._owner, now=ended, next_at=next_at, error=error)
        )
        if not held:
            log.warning("schedule lost its lease", plugin=key.plugin, name=key.name, place=key.place)
        return error


def key_of(room: Room) -> ScheduleKey:
    return ScheduleKey(room.plugin, room.thing.name, room.place)


def next_after(due: datetime, interval: timedelta, started: datetime) -> datetime:
    """The first time of the series ``due``, ``due`` + interval, … that is after the start of the run."""
    if due > started:
        return due
    return due + interval * (math.floor((started - due) / interval) + 1)


def lease(platform: Platform) -> timedelta:
    """How long a worker may hold a run: longer than it can take, as it is cut before."""
    system = platform.system
    return timedelta(seconds=max(system.hooks.duty_seconds, system.work.lease_seconds)) + SPARE


def _interval(room: Room) -> timedelta:
    return timedelta(seconds=room.thing.seconds)


def _free(row: ScheduleRow, now: datetime) -> bool:
    return row.lease_until is None or row.lease_until < now
