"""When the work of plugins is due next, and who does it now: one row for each plugin, schedule and place.

A run is claimed by one conditional UPDATE, for as long as its lease lasts; only whoever holds it can end it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.dialects import postgresql, sqlite

from tillhook.core.storage.database import Tx
from tillhook.core.storage.tables import schedule as s


class ScheduleKey(Struct, frozen=True, order=True):
    plugin: str
    name: str
    place: str


class ScheduleRow(Struct, frozen=True):
    """``lease_owner`` is None while nobody runs it; ``last_error`` is empty when the last run ended well."""

    key: ScheduleKey
    next_at: datetime
    lease_owner: str | None
    lease_until: datetime | None
    last_started_at: datetime | None
    last_finished_at: datetime | None
    last_error: str


_ROWS: Final = sa.select(
    s.c.plugin, s.c.name, s.c.place, s.c.next_at, s.c.lease_owner, s.c.lease_until, s.c.last_started_at,
    s.c.last_finished_at, s.c.last_error,
).order_by(s.c.plugin, s.c.name, s.c.place)  # fmt: skip
_NEW: Final = {
    name: dialect.insert(s).on_conflict_do_nothing()
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
_THIS: Final = (
    s.c.plugin == sa.bindparam("p_plugin"),
    s.c.name == sa.bindparam("p_name"),
    s.c.place == sa.bindparam("p_place"),
)
FREE: Final = sa.or_(s.c.lease_until.is_(None), s.c.lease_until < sa.bindparam("p_now", type_=s.c.lease_until.type))
_TAKEN: Final[dict[str, Any]] = {
    "lease_owner": sa.bindparam("p_owner"),
    "lease_until": sa.bindparam("p_until"),
    "last_started_at": sa.bindparam("p_now"),
}


def known_schedules(tx: Tx) -> dict[ScheduleKey, ScheduleRow]:
    """Every schedule that was ever seen, also of plugins that are gone."""
    found = (ScheduleRow(ScheduleKey(*row[:3]), *row[3:]) for row in tx.execute(_ROWS))
    return {row.key: row for row in found}


def remember_schedules(tx: Tx, keys: Sequence[ScheduleKey], now: datetime) -> None:
    """Make the rows of schedules that are seen for the first time: they are due at once."""
    rows = [{"plugin": key.plugin, "name": key.name, "place": key.place, "next_at": now} for key in keys]
    tx.execute(_NEW[tx.dialect.name], rows)


def bring_forward(tx: Tx, key: ScheduleKey, at: datetime) -> None:
    """Let it be due at ``at`` if that is sooner: its interval has become shorter."""
    tx.execute(sa.update(s).where(*_THIS, s.c.next_at > at).values(next_at=at), _named(key))


def claim_schedule(
    tx: Tx,
    key: ScheduleKey,
    owner: str,
    now: datetime,
    until: datetime,
    *,
    only_due: bool = True,
    next_at: datetime | None = None,
) -> bool:
    """Take one run; False when it is not due (asked for with ``only_due``) or another worker has it.

    With ``next_at`` it is not due before then, whatever becomes of this worker.
    """
    due = (s.c.next_at <= now,) if only_due else ()
    taken = _TAKEN if next_at is None else {**_TAKEN, "next_at": next_at}
    statement = sa.update(s).where(*_THIS, FREE, *due).values(taken)
    return tx.execute(statement, {**_named(key), "p_owner": owner, "p_now": now, "p_until": until}).rowcount == 1


def finish_schedule(tx: Tx, key: ScheduleKey, owner: str, *, now: datetime, next_at: datetime, error: str) -> bool:
    """End a run that this owner still holds; False when its lease was lost to another."""
    ended = {
        "next_at": next_at, "last_finished_at": now, "last_error": error, "lease_owner": None, "lease_until": None,
    }  # fmt: skip
    return tx.execute(sa.update(s).where(*_THIS, s.c.lease_owner == owner).values(ended), _named(key)).rowcount == 1


def _named(key: ScheduleKey) -> dict[str, str]:
    return {"p_plugin": key.plugin, "p_name": key.name, "p_place": key.place}
