"""Baskets and their audit rows. Saving is a compare-and-set on the version: the loser reads again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from tillhook.core.domain.basket import Basket, BasketLine, BasketStatus, ChangeKind, PriceModification
from tillhook.core.storage.database import Tx
from tillhook.core.storage.prepared import Prepared
from tillhook.core.storage.tables import basket as t
from tillhook.core.storage.tables import price_modification as audit

LINES: Final = msgspec.json.Decoder(tuple[BasketLine, ...])

_SELECT: Final = Prepared(sa.select(
    t.c.basket_id, t.c.store_id, t.c.customer_id, t.c.currency, t.c.expires_at, t.c.status, t.c.lines, t.c.version,
    t.c.last_line_no, t.c.last_sequence,
).where(t.c.basket_id == sa.bindparam("p_basket")))  # fmt: skip
_INSERT: Final = Prepared(sa.insert(t))
_SAVE: Final = Prepared(
    sa.update(t)
    .where(t.c.basket_id == sa.bindparam("p_basket"), t.c.version == sa.bindparam("p_version"))
    .values(
        status=sa.bindparam("p_status"),
        lines=sa.bindparam("p_lines"),
        total=sa.bindparam("p_total"),
        last_line_no=sa.bindparam("p_line_no"),
        last_sequence=sa.bindparam("p_sequence"),
        version=t.c.version + 1,
    )
)
_STATUS: Final = Prepared(
    sa.update(t)
    .where(t.c.basket_id == sa.bindparam("p_basket"), t.c.status == sa.bindparam("p_was"))
    .values(status=sa.bindparam("p_status"), version=t.c.version + 1)
)
_REOPEN: Final = Prepared(
    sa.update(t)
    .where(t.c.basket_id == sa.bindparam("p_basket"), t.c.status == BasketStatus.ORDERED.value)
    .values(status=BasketStatus.OPEN.value, last_sequence=sa.bindparam("p_sequence"), version=t.c.version + 1)
)
_AUDIT: Final = Prepared(sa.insert(audit))
_AUDIT_SUM: Final = Prepared(
    sa.select(sa.func.coalesce(sa.func.sum(audit.c.amount), 0)).where(audit.c.basket_id == sa.bindparam("p_basket"))
)
_AUDIT_ROWS: Final = Prepared(
    sa.select(audit.c.sequence, audit.c.kind, audit.c.line_no, audit.c.amount, audit.c.total, audit.c.reason)
    .where(audit.c.basket_id == sa.bindparam("p_basket"))
    .order_by(audit.c.sequence)
)


def load_basket(tx: Tx, basket_id: str) -> Basket | None:
    row = _SELECT.one(tx, {"p_basket": basket_id})
    if row is None:
        return None
    return Basket(
        basket_id=row[0],
        store_id=row[1],
        customer_id=row[2],
        currency=row[3],
        expires_at=row[4],
        status=BasketStatus(row[5]),
        lines=LINES.decode(row[6]),
        version=row[7],
        last_line_no=row[8],
        last_sequence=row[9],
    )


def insert_basket(tx: Tx, basket: Basket, changes: Sequence[PriceModification], now: datetime) -> None:
    """A new basket with its first audit rows; its saved version is 1."""
    _INSERT.run(
        tx,
        {
            "basket_id": basket.basket_id,
            "store_id": basket.store_id,
            "customer_id": basket.customer_id,
            "currency": basket.currency,
            "status": basket.status.value,
            "lines": msgspec.json.encode(basket.lines).decode(),
            "total": basket.total.minor,
            "last_line_no": basket.last_line_no,
            "last_sequence": basket.last_sequence,
            "version": 1,
            "created_at": now,
            "expires_at": basket.expires_at,
        },
    )
    insert_changes(tx, basket.basket_id, changes, now)


def save_basket(tx: Tx, basket: Basket, changes: Sequence[PriceModification], now: datetime) -> bool:
    """Save if the stored version is still ``basket.version``; False when somebody else was first."""
    saved = _SAVE.run(
        tx,
        {
            "p_basket": basket.basket_id,
            "p_version": basket.version,
            "p_status": basket.status.value,
            "p_lines": msgspec.json.encode(basket.lines).decode(),
            "p_total": basket.total.minor,
            "p_line_no": basket.last_line_no,
            "p_sequence": basket.last_sequence,
        },
    )
    if saved != 1:
        return False
    insert_changes(tx, basket.basket_id, changes, now)
    return True


def move_basket(tx: Tx, basket_id: str, was: BasketStatus, status: BasketStatus) -> bool:
    """Change only the status, if it is still ``was``."""
    return _STATUS.run(tx, {"p_basket": basket_id, "p_was": was.value, "p_status": status.value}) == 1


def insert_changes(tx: Tx, basket_id: str, changes: Sequence[PriceModification], now: datetime) -> None:
    rows: list[dict[str, Any]] = [
        {
            "basket_id": basket_id,
            "sequence": change.sequence,
            "kind": change.kind.value,
            "line_no": change.line_no,
            "amount": change.amount,
            "total": change.total,
            "reason": change.reason,
            "at": now,
        }
        for change in changes
    ]
    _AUDIT.run_all(tx, rows)


def audited_total(tx: Tx, basket_id: str) -> int:
    """The sum of a basket's audit rows (minor units)."""
    return int(_AUDIT_SUM.only(tx, {"p_basket": basket_id})[0])


def load_changes(tx: Tx, basket_id: str) -> tuple[PriceModification, ...]:
    rows = _AUDIT_ROWS.all(tx, {"p_basket": basket_id})
    return tuple(PriceModification(row[0], ChangeKind(row[1]), *row[2:]) for row in rows)


def reopen_basket(tx: Tx, basket_id: str, last_sequence: int) -> None:
    """An ORDERED basket whose order was cancelled becomes OPEN again."""
    _REOPEN.run(tx, {"p_basket": basket_id, "p_sequence": last_sequence})
