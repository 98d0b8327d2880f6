"""What duties put on the bus, read back by who put it there."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from msgspec import Struct

from tillhook.core.storage.database import Tx
from tillhook.core.storage.tables import event as e

_SHOWN: Final = 100
"""Characters of a subscriber's name in an id; the delivery's number makes it unique."""


class Published(Struct, frozen=True):
    """One message; ``value`` is JSON text."""

    topic: str
    key: str
    value: str


def named_after(subscriber: str, delivery_id: int) -> str:
    """How the ids of all messages begin that one delivery published; a column's room is left for the rest."""
    return f"{subscriber[:_SHOWN]}:{delivery_id}:"


def messages_of(tx: Tx, source: str, subscriber: str, delivery_id: int) -> tuple[Published, ...]:
    """What ``source`` published for one delivery, oldest first: each message is named after the delivery."""
    name = named_after(subscriber, delivery_id)
    statement = (
        sa.select(e.c.type, e.c.stream_key, e.c.payload)
        .where(e.c.source == source, sa.func.substr(e.c.id, 1, len(name)) == name)
        .order_by(e.c.seq)
    )
    return tuple(Published(*row) for row in tx.execute(statement))
