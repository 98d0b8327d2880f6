"""The book of a scheme: what every member has, and why. Each function is part of one transaction.

Points are kept in lots, one for each entry that gave some: those that expire first are used first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection


class Kind(StrEnum):
    EARNED = "EARNED"
    TAKEN_BACK = "TAKEN_BACK"
    ADJUSTED = "ADJUSTED"
    IMPORTED = "IMPORTED"
    EXPIRED = "EXPIRED"


PointsFor = Callable[[int, int], int]
"""(minor units, points for each whole unit) → points."""


class Change(Struct, frozen=True):
    """One entry to make. ``reference`` says what it is about: the same one is booked once for each member and kind."""

    customer_id: str
    kind: Kind
    points: int
    reference: str
    at: datetime
    reason: str = ""
    expires_at: datetime | None = None
    """Of points that are given; None: never."""
    order_id: str = ""
    """Of what is earned and taken back, also:"""
    amount: int = 0
    """Minor units that were paid, or go back."""
    per_unit: int = 0
    """Points for each whole unit when they were earned: a refund takes back by the same measure."""


class Entry(Struct, frozen=True):
    """One entry that was made; ``balance`` is what the member has after it."""

    customer_id: str
    kind: Kind
    points: int
    balance: int
    reference: str


class Booked(Struct, frozen=True):
    """What the book says afterwards. ``points`` are those of the first time that the reference was booked."""

    balance: int
    points: int
    entries: tuple[Entry, ...] = ()
    """Everything that was entered just now, what had expired included; empty when it was booked before."""


class NotEnough(Exception):
    """The member has fewer points than are to be taken."""

    def __init__(self, balance: int) -> None:
        super().__init__(f"the balance is {balance}")
        self.balance = balance


_metadata: Final = sa.MetaData()
_member: Final = sa.Table(
    "points_member",
    _metadata,
    sa.Column("scheme", sa.String, primary_key=True),
    sa.Column("customer_id", sa.String, primary_key=True),
    sa.Column("balance", sa.BigInteger),
)
_entry: Final = sa.Table(
    "points_entry",
    _metadata,
    sa.Column("entry_id", sa.BigInteger, primary_key=True),
    *(sa.Column(name, sa.String) for name in ("scheme", "customer_id", "kind", "reference", "reason", "order_id")),
    *(sa.Column(name, sa.BigInteger) for name in ("points", "remaining", "expires_at", "at", "amount", "per_unit")),
)
m, e = _member.c, _entry.c
_NEW_MEMBER: Final = {
    name: dialect.insert(_member).on_conflict_do_nothing()
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}


def book(tx: Connection, scheme: str, change: Change, *, at_most_all: bool = False) -> Booked:
    """Make an entry, once for its reference. Raises NotEnough when more is taken than there is, unless
    ``at_most_all``: then everything is taken."""
    balance = _lock(tx, scheme, change.customer_id)
    known = tx.execute(
        sa.select(e.points).where(
            *_of(e, scheme, change.customer_id), e.kind == change.kind.value, e.reference == change.reference
        )
    ).scalar_one_or_none()
    if known is not None:
        return Booked(balance, known)
    expired = _expire(tx, scheme, change.customer_id, balance, change.at)
    balance = expired[-1].balance if expired else balance
    points = change.points
    if points < 0:
        if -points > balance and not at_most_all:
            raise NotEnough(balance)
        points = -min(-points, balance)
        _use(tx, scheme, change.customer_id, -points)
    balance += points
    _write(tx, scheme, change, points)
    _set_balance(tx, scheme, change.customer_id, balance)
    made = Entry(change.customer_id, change.kind, points, balance, change.reference)
    return Booked(balance, points, (*expired, made))


def earn(tx: Connection, scheme: str, sale: Change, points_for: PointsFor) -> Booked:
    """Give the points of what was paid for an order, less what went back already: a refund may be booked first."""
    _lock(tx, scheme, sale.customer_id)
    left = max(sale.amount - _refunded(tx, scheme, sale), 0)
    return book(tx, scheme, replace(sale, points=points_for(left, sale.per_unit)))


def take_back(tx: Connection, scheme: str, refund: Change, total: int, points_for: PointsFor) -> Booked:
    """Take the points that the money of a refund had earned, as far as they are still there.

    ``total`` is what was paid for the whole order: what is left of it earns what it would have earned alone, so that
    many small refunds take as much as a large one.
    """
    _lock(tx, scheme, refund.customer_id)
    earned = sa.select(e.per_unit).where(
        *_of(e, scheme, refund.customer_id), e.kind == Kind.EARNED.value, e.reference == refund.order_id
    )
    per_unit = tx.execute(earned).scalar_one_or_none() or 0
    before = total - _refunded(tx, scheme, refund)
    after = before - refund.amount
    points = points_for(max(before, 0), per_unit) - points_for(max(after, 0), per_unit)
    return book(tx, scheme, replace(refund, points=-points), at_most_all=True)


def expire(tx: Connection, scheme: str, now: datetime, *, members: int) -> tuple[Entry, ...]:
    """Take the points that have expired from up to so many members; empty when there are none left."""
    due = sa.select(e.customer_id).where(*_due(scheme, now)).distinct().order_by(e.customer_id).limit(members)
    found: list[Entry] = []
    for (customer_id,) in tx.execute(due).all():
        balance = _lock(tx, scheme, customer_id)
        gone = _expire(tx, scheme, customer_id, balance, now)
        _set_balance(tx, scheme, customer_id, gone[-1].balance if gone else balance)
        found += gone
    return tuple(found)


def balance_of(tx: Connection, scheme: str, customer_id: str, now: datetime) -> int | None:
    """What a member has now, without what has expired; None: nobody of this name."""
    held = tx.execute(sa.select(m.balance).where(*_of(m, scheme, customer_id))).scalar_one_or_none()
    if held is None:
        return None
    gone = sa.select(sa.func.coalesce(sa.func.sum(e.remaining), 0))
    return int(held - tx.execute(gone.where(e.customer_id == customer_id, *_due(scheme, now))).scalar_one())


def entries_of(tx: Connection, scheme: str, customer_id: str, limit: int) -> Sequence[Any]:
    """(kind, points, reference, reason, at in seconds), the newest first."""
    columns = (e.kind, e.points, e.reference, e.reason, e.at)
    newest = sa.select(*columns).where(*_of(e, scheme, customer_id)).order_by(e.entry_id.desc()).limit(limit)
    return tx.execute(newest).all()


def highest(tx: Connection, scheme: str, limit: int) -> Sequence[Any]:
    """(customer id, balance) of those who have most."""
    held = sa.select(m.customer_id, m.balance).where(m.scheme == scheme)
    return tx.execute(held.order_by(m.balance.desc(), m.customer_id).limit(limit)).all()


def totals(tx: Connection, scheme: str) -> tuple[int, int]:
    """(members, points of all of them)."""
    every = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(m.balance), 0)).where(m.scheme == scheme)
    count, points = tx.execute(every).one()
    return int(count), int(points)


def _lock(tx: Connection, scheme: str, customer_id: str) -> int:
    """The member's balance, theirs alone until the transaction ends; whoever is new begins with nothing."""
    tx.execute(_NEW_MEMBER[tx.dialect.name], {"scheme": scheme, "customer_id": customer_id, "balance": 0})
    held = sa.select(m.balance).where(*_of(m, scheme, customer_id)).with_for_update()
    return int(tx.execute(held).scalar_one())


def _expire(tx: Connection, scheme: str, customer_id: str, balance: int, now: datetime) -> list[Entry]:
    lots = sa.select(e.entry_id, e.remaining).where(e.customer_id == customer_id, *_due(scheme, now))
    gone: list[Entry] = []
    for entry_id, remaining in tx.execute(lots.order_by(e.expires_at, e.entry_id)).all():
        tx.execute(sa.update(_entry).where(e.entry_id == entry_id).values(remaining=0))
        lot = Change(customer_id, Kind.EXPIRED, -remaining, f"entry {entry_id}", now)
        _write(tx, scheme, lot, -remaining)
        balance -= remaining
        gone.append(Entry(customer_id, Kind.EXPIRED, -remaining, balance, lot.reference))
    return gone


def _refunded(tx: Connection, scheme: str, change: Change) -> int:
    """Minor units of the order that went back so far."""
    found = sa.select(sa.func.coalesce(sa.func.sum(e.amount), 0)).where(
        *_of(e, scheme, change.customer_id), e.kind == Kind.TAKEN_BACK.value, e.order_id == change.order_id
    )
    return int(tx.execute(found).scalar_one())


def _use(tx: Connection, scheme: str, customer_id: str, points: int) -> None:
    """Take points from the lots, first from those that expire first."""
    lots = sa.select(e.entry_id, e.remaining).where(*_of(e, scheme, customer_id), e.remaining > 0)
    for entry_id, remaining in tx.execute(lots.order_by(e.expires_at.is_(None), e.expires_at, e.entry_id)).all():
        taken = min(points, remaining)
        tx.execute(sa.update(_entry).where(e.entry_id == entry_id).values(remaining=remaining - taken))
        points -= taken
        if not points:
            return


def _write(tx: Connection, scheme: str, change: Change, points: int) -> None:
    tx.execute(
        sa.insert(_entry).values(
            scheme=scheme,
            customer_id=change.customer_id,
            kind=change.kind.value,
            reference=change.reference,
            points=points,
            remaining=max(points, 0),
            expires_at=None if change.expires_at is None else int(change.expires_at.timestamp()),
            reason=change.reason,
            order_id=change.order_id,
            amount=change.amount,
            per_unit=change.per_unit,
            at=int(change.at.timestamp()),
        )
    )


def _set_balance(tx: Connection, scheme: str, customer_id: str, balance: int) -> None:
    tx.execute(sa.update(_member).where(*_of(m, scheme, customer_id)).values(balance=balance))


def _of(columns: Any, scheme: str, customer_id: str) -> tuple[Any, Any]:
    return columns.scheme == scheme, columns.customer_id == customer_id


def _due(scheme: str, now: datetime) -> tuple[Any, Any, Any]:
    return e.scheme == scheme, e.remaining > 0, e.expires_at <= int(now.astimezone(UTC).timestamp())
