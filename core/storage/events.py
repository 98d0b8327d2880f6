"""Events and their deliveries: the outbox, the inbox and the queue of duties in two tables.

An event is immutable; ``UNIQUE(source, id)`` absorbs what comes twice. A delivery is one event for one subscriber:
claimed at the head of its stream key, run outside of any transaction, finished only by the worker that holds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum
from typing import Any, Final

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.dialects import postgresql, sqlite

from tillhook.core.storage.database import Tx
from tillhook.core.storage.prepared import Prepared, constant
from tillhook.core.storage.tables import delivery as d
from tillhook.core.storage.tables import event as e

LOCAL: Final = "local"


class DeliveryState(IntEnum):
    PENDING = 0
    RUNNING = 1
    DONE = 2
    DEAD = 3
    DISCARDED = 4


class Event(Struct, frozen=True):
    """Something that happened; ``payload`` is JSON text."""

    id: str
    type: str
    stream_key: str
    payload: str
    source: str = LOCAL
    headers: str = "{}"
    """What belongs to its way and not to its content, as JSON text."""


class Claimed(Struct, frozen=True):
    """A delivery that this worker holds until its lease ends, with its event."""

    delivery_id: int
    subscriber: str
    stream_key: str
    attempts: int
    event_type: str
    payload: str
    event_id: str
    headers: str


class DeliveryView(Struct, frozen=True):
    """A delivery as a timeline shows it."""

    delivery_id: int
    event_type: str
    subscriber: str
    state: DeliveryState
    attempts: int
    available_at: datetime
    created_at: datetime
    finished_at: datetime | None
    duration_ms: int | None
    last_error: str
    result: str


_NEW_EVENT: Final = Prepared(
    {
        name: dialect.insert(e).on_conflict_do_nothing(index_elements=["source", "id"]).returning(e.c.seq)
        for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
    }
)
_NEW_DELIVERY: Final = Prepared(sa.insert(d).inline())


def _claim_statement(*, skip_locked: bool, of_stream: bool = False) -> Any:
    head = d.alias("head")
    earlier = sa.exists().where(
        head.c.subscriber == d.c.subscriber,
        head.c.stream_key == d.c.stream_key,
        head.c.id < d.c.id,
        head.c.state.in_((constant(0), constant(1))),
    )
    ready = (
        sa.select(d.c.id)
        .where(d.c.state == constant(0), d.c.available_at <= sa.bindparam("p_now"), ~earlier)
        .order_by(d.c.available_at, d.c.id)
        .limit(sa.bindparam("p_limit"))
    )
    ready = ready.where(d.c.stream_key == sa.bindparam("p_stream")) if of_stream else ready
    ready = ready.with_for_update(skip_locked=True) if skip_locked else ready
    chosen = ready.cte("chosen")
    return (
        sa.update(d)
        .where(d.c.id.in_(sa.select(chosen.c.id)), d.c.state == constant(0))
        .values(
            state=1,
            attempts=d.c.attempts + 1,
            lease_owner=sa.bindparam("p_owner"),
            lease_until=sa.bindparam("p_until"),
        )
        .returning(d.c.id, d.c.subscriber, d.c.stream_key, d.c.attempts, d.c.event_seq)
    )


_CLAIM: Final = Prepared(
    {"sqlite": _claim_statement(skip_locked=False), "postgresql": _claim_statement(skip_locked=True)}
)
_CLAIM_OF_STREAM: Final = Prepared(
    {
        "sqlite": _claim_statement(skip_locked=False, of_stream=True),
        "postgresql": _claim_statement(skip_locked=True, of_stream=True),
    }
)
_DUE: Final = Prepared(
    sa.select(d.c.id).where(d.c.state == constant(0), d.c.available_at <= sa.bindparam("p_now")).limit(1)
)
_EXPIRED: Final = Prepared(
    sa.select(d.c.id).where(d.c.state == constant(1), d.c.lease_until < sa.bindparam("p_now")).limit(1)
)
_EVENT: Final = Prepared(sa.select(e.c.type, e.c.payload, e.c.id, e.c.headers).where(e.c.seq == sa.bindparam("p_seq")))
_HELD: Final = (d.c.id == sa.bindparam("p_id"), d.c.state == constant(1), d.c.lease_owner == sa.bindparam("p_owner"))
_FINISH: Final = Prepared(
    sa.update(d)
    .where(*_HELD)
    .values(
        state=sa.bindparam("p_state"),
        last_error=sa.bindparam("p_error"),
        result=sa.bindparam("p_result"),
        duration_ms=sa.bindparam("p_ms"),
        finished_at=sa.bindparam("p_now"),
        lease_owner=None,
        lease_until=None,
    )
)
_RETRY: Final = Prepared(
    sa.update(d)
    .where(*_HELD)
    .values(
        state=0,
        last_error=sa.bindparam("p_error"),
        duration_ms=sa.bindparam("p_ms"),
        available_at=sa.bindparam("p_at"),
        lease_owner=None,
        lease_until=None,
    )
)
_POSTPONE: Final = Prepared(
    sa.update(d)
    .where(*_HELD)
    .values(
        state=0,
        attempts=d.c.attempts - 1,
        last_error=sa.bindparam("p_why"),
        available_at=sa.bindparam("p_at"),
        lease_owner=None,
        lease_until=None,
    )
)
_RENEW: Final = Prepared(sa.update(d).where(*_HELD).values(lease_until=sa.bindparam("p_until")))
_GIVE_BACK: Final = Prepared(
    sa.update(d).where(*_HELD).values(state=0, attempts=d.c.attempts - 1, lease_owner=None, lease_until=None)
)
_REAP: Final = Prepared(
    sa.update(d)
    .where(d.c.state == constant(1), d.c.lease_until < sa.bindparam("p_now"))
    .values(state=0, lease_owner=None, lease_until=None)
)
_COUNTS: Final = Prepared(sa.select(d.c.state, sa.func.count()).group_by(d.c.state))
_OF_STREAM: Final = Prepared(
    sa.select(
        d.c.id, e.c.type, d.c.subscriber, d.c.state, d.c.attempts, d.c.available_at, e.c.created_at, d.c.finished_at,
        d.c.duration_ms, d.c.last_error, d.c.result,
    )
    .select_from(e.join(d, d.c.event_seq == e.c.seq))
    .where(e.c.stream_key == sa.bindparam("p_key"))
    .order_by(d.c.id)
)  # fmt: skip
_WAITING: Final = (
    sa.select(d.c.subscriber, d.c.last_error, sa.func.count().over())
    .select_from(d.join(e, d.c.event_seq == e.c.seq))
    .where(d.c.state == constant(0), e.c.created_at < sa.bindparam("p_before"))
    .order_by(d.c.id)
    .limit(1)
)
_PUBLISHED: Final = Prepared(sa.select(e.c.payload).where(e.c.type == sa.bindparam("p_type")).order_by(e.c.seq))


def emit(tx: Tx, event: Event, subscribers: Sequence[str], now: datetime) -> int | None:
    """Store an event and one delivery for each subscriber; None when this (source, id) is known already.

    Call it while holding the lock of the thing it is about, so that the order of a stream is the order of commits.
    """
    stored = _NEW_EVENT.one(
        tx,
        {
            "id": event.id,
            "source": event.source,
            "type": event.type,
            "stream_key": event.stream_key,
            "payload": event.payload,
            "headers": event.headers,
            "created_at": now,
        },
    )
    if stored is None:
        return None
    seq: int = stored[0]
    rows = [
        {"event_seq": seq, "subscriber": subscriber, "stream_key": event.stream_key, "available_at": now}
        for subscriber in subscribers
    ]
    _NEW_DELIVERY.run_all(tx, rows)
    return seq


def anything_due(tx: Tx, now: datetime) -> bool:
    return _DUE.one(tx, {"p_now": now}) is not None


def anything_expired(tx: Tx, now: datetime) -> bool:
    """Whether a worker holds a delivery beyond its lease."""
    return _EXPIRED.one(tx, {"p_now": now}) is not None


def claim(
    tx: Tx, owner: str, now: datetime, until: datetime, limit: int, stream: str | None = None
) -> tuple[Claimed, ...]:
    """Take up to ``limit`` due deliveries, of one ``stream`` key or of all, only the head of each (subscriber, stream
    key). Commit at once."""
    wanted = {"p_now": now, "p_limit": limit, "p_owner": owner, "p_until": until}
    taken = _CLAIM.all(tx, wanted) if stream is None else _CLAIM_OF_STREAM.all(tx, {**wanted, "p_stream": stream})
    events = {seq: _EVENT.only(tx, {"p_seq": seq}) for seq in {row[4] for row in taken}}
    claimed = [Claimed(*row[:4], *events[row[4]]) for row in taken]
    return tuple(sorted(claimed, key=lambda at: at.delivery_id))


def finish(
    tx: Tx, delivery_id: int, owner: str, state: DeliveryState, *, error: str, result: str, ms: int, now: datetime
) -> bool:
    """End a delivery that this owner still holds; False when the lease was lost."""
    ended = _FINISH.run(
        tx,
        {
            "p_id": delivery_id, "p_owner": owner, "p_state": int(state), "p_error": error, "p_result": result,
            "p_ms": ms, "p_now": now,
        },
    )  # fmt: skip
    return ended == 1


def retry(tx: Tx, delivery_id: int, owner: str, *, error: str, ms: int, at: datetime) -> bool:
    """Give a delivery back, to be tried again at ``at``; False when the lease was lost."""
    parameters = {"p_id": delivery_id, "p_owner": owner, "p_error": error, "p_ms": ms, "p_at": at}
    return _RETRY.run(tx, parameters) == 1


def postpone(tx: Tx, delivery_id: int, owner: str, *, why: str, at: datetime) -> bool:
    """Give a delivery back until ``at`` as if it had not been tried; False when the lease was lost."""
    return _POSTPONE.run(tx, {"p_id": delivery_id, "p_owner": owner, "p_why": why, "p_at": at}) == 1


def renew(tx: Tx, delivery_id: int, owner: str, until: datetime) -> bool:
    return _RENEW.run(tx, {"p_id": delivery_id, "p_owner": owner, "p_until": until}) == 1


def give_back(tx: Tx, delivery_id: int, owner: str) -> bool:
    """Let go of a delivery that was claimed and not begun; False when the lease was lost."""
    return _GIVE_BACK.run(tx, {"p_id": delivery_id, "p_owner": owner}) == 1


def reap(tx: Tx, now: datetime) -> int:
    """Free deliveries whose worker's lease has ended; how many there were."""
    return _REAP.run(tx, {"p_now": now})


def counts(tx: Tx) -> dict[DeliveryState, int]:
    return {DeliveryState(row[0]): row[1] for row in _COUNTS.all(tx, {})}


def oldest_waiting(tx: Tx, before: datetime) -> tuple[str, str, int] | None:
    """Of the deliveries that have waited since ``before``: the oldest one's receiver and why it waits, and how many."""
    row = tx.execute(_WAITING, {"p_before": before}).one_or_none()
    return None if row is None else (row[0], row[1], row[2])


def deliveries_of(tx: Tx, stream_key: str) -> tuple[DeliveryView, ...]:
    """All deliveries of a stream key (an order's id), oldest first."""
    return tuple(
        DeliveryView(row[0], row[1], row[2], DeliveryState(row[3]), *row[4:])
        for row in _OF_STREAM.all(tx, {"p_key": stream_key})
    )


def published(tx: Tx, topic: str) -> tuple[str, ...]:
    """The payloads of all events of one type, oldest first."""
    return tuple(row[0] for row in _PUBLISHED.all(tx, {"p_type": topic}))
