"""Who consumes what, as last declared: a plugin that is switched off or whose place is closed cannot be asked."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy.dialects import postgresql, sqlite

from tillhook.core.storage.database import Tx
from tillhook.core.storage.tables import consumer as c


class Consumer(Struct, frozen=True, order=True):
    """One plugin takes the messages of one topic in one place."""

    topic: str
    plugin: str
    place: str


_NEW: Final = {
    name: dialect.insert(c).on_conflict_do_nothing()
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
_THIS: Final = [column == sa.bindparam(f"p_{column.name}") for column in (c.c.topic, c.c.plugin, c.c.place)]


def known_consumers(tx: Tx) -> frozenset[Consumer]:
    return frozenset(Consumer(*row) for row in tx.execute(sa.select(c.c.topic, c.c.plugin, c.c.place)))


def change_consumers(tx: Tx, new: Collection[Consumer], gone: Collection[Consumer]) -> None:
    """Remember some and forget others; either may have happened already."""
    if new:
        tx.execute(_NEW[tx.dialect.name], [asdict(one) for one in sorted(new)])
    if gone:
        tx.execute(
            sa.delete(c).where(*_THIS),
            [{f"p_{name}": value for name, value in asdict(one).items()} for one in sorted(gone)],
        )
