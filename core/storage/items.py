"""The catalogue: one item by its GTIN on every scan, and bulk writes for imports."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, Self

import sqlalchemy as sa
from msgspec.structs import asdict
from sqlalchemy.dialects import postgresql, sqlite

from tillhook.core.domain.money import Money
from tillhook.core.domain.store import Item
from tillhook.core.storage.database import Tx
from tillhook.core.storage.prepared import Prepared
from tillhook.core.storage.tables import item

_FIELDS: Final = Item.__struct_fields__
_PRICE: Final = _FIELDS.index("price")
_KEY: Final = ("catalogue", "gtin")

MAX_LENGTHS: Final[dict[str, int]] = {
    column.name: column.type.length
    for column in item.c
    if isinstance(column.type, sa.String) and column.type.length and column.name in _FIELDS
}
"""Characters that each text of an item may have."""

_ONE: Final = Prepared(
    sa.select(*(item.c[name] for name in _FIELDS), item.c.currency).where(
        item.c.catalogue == sa.bindparam("p_catalogue"), item.c.gtin == sa.bindparam("p_gtin")
    )
)
_EXISTING: Final = sa.select(item.c.gtin, item.c.item_id, item.c.row_hash).where(
    item.c.catalogue == sa.bindparam("p_catalogue"), item.c.gtin.in_(sa.bindparam("p_gtins", expanding=True))
)
_COUNT: Final = sa.select(sa.func.count()).where(item.c.catalogue == sa.bindparam("p_catalogue"))


def _upsert(dialect: Any) -> Any:
    insert = dialect.insert(item)
    kept = {*_KEY, "item_id"}
    values = {column.name: insert.excluded[column.name] for column in item.c if column.name not in kept}
    return insert.on_conflict_do_update(index_elements=_KEY, set_=values)


_UPSERT: Final = {"postgresql": _upsert(postgresql), "sqlite": _upsert(sqlite)}


def find_item(tx: Tx, catalogue: str, gtin: str) -> Item | None:
    """The item with this 14-digit GTIN, for sale or not."""
    row = _ONE.one(tx, {"p_catalogue": catalogue, "p_gtin": gtin})
    if row is None:
        return None
    *values, currency = row
    values[_PRICE] = Money(values[_PRICE], currency)
    return Item(*values)


def existing_rows(tx: Tx, catalogue: str, gtins: Sequence[str]) -> dict[str, tuple[str, str]]:
    """GTIN → (item id, row hash) of those of ``gtins`` (14 digits, at most some thousands) that are there."""
    rows = tx.execute(_EXISTING, {"p_catalogue": catalogue, "p_gtins": list(gtins)})
    return {gtin: (item_id, row_hash) for gtin, item_id, row_hash in rows}


def upsert_items(tx: Tx, items: Sequence[tuple[Item, str]]) -> None:
    """Write (item, row hash) pairs. An item whose catalogue and GTIN exist keeps its id and gets all else anew."""
    if not items:
        return
    rows = [
        asdict(at) | {"price": at.price.minor, "currency": at.price.currency, "row_hash": row_hash}
        for at, row_hash in items
    ]
    tx.execute(_UPSERT[tx.dialect.name], rows)


def count_items(tx: Tx, catalogue: str) -> int:
    """How many items the catalogue has, blocked ones included."""
    found: int = tx.execute(_COUNT, {"p_catalogue": catalogue}).scalar_one()
    return found


class SeenGtins:
    """GTINs met so far in a file of any length: kept in a private temporary database that spills to disk, not in
    memory. Use it in a ``with``."""

    def __init__(self) -> None:
        self._rows = sqlite3.connect("", isolation_level=None)
        self._rows.execute("CREATE TABLE seen (gtin INTEGER PRIMARY KEY)")
        self._rows.execute("BEGIN")

    def first_time(self, gtin: str) -> bool:
        """Whether this GTIN was not met before; it counts as met from now on."""
        return self._rows.execute("INSERT OR IGNORE INTO seen VALUES (?)", (int(gtin),)).rowcount == 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()
