"""Stores: read on every request, written by whoever sets up a shop."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from msgspec.structs import asdict
from sqlalchemy.dialects import postgresql, sqlite

from tillhook.core.domain.store import Store
from tillhook.core.storage.database import Tx
from tillhook.core.storage.prepared import Prepared
from tillhook.core.storage.tables import store

_FIELDS: Final = Store.__struct_fields__
_COLUMNS: Final = tuple(store.c[name] for name in _FIELDS)
_ONE: Final = Prepared(sa.select(*_COLUMNS).where(store.c.store_id == sa.bindparam("p_store")))
_ALL: Final = sa.select(*_COLUMNS).order_by(store.c.store_id)


def _upsert(dialect: Any) -> Any:
    insert = dialect.insert(store)
    values = {name: insert.excluded[name] for name in _FIELDS if name != "store_id"}
    return insert.on_conflict_do_update(index_elements=["store_id"], set_=values)


_SAVE: Final = {"postgresql": _upsert(postgresql), "sqlite": _upsert(sqlite)}


def load_store(tx: Tx, store_id: str) -> Store | None:
    """The store, active or not."""
    row = _ONE.one(tx, {"p_store": store_id})
    return None if row is None else Store(*row)


def all_stores(tx: Tx) -> tuple[Store, ...]:
    """Every store, ordered by its id."""
    return tuple(Store(*row) for row in tx.execute(_ALL))


def save_store(tx: Tx, saved: Store) -> None:
    """Insert the store, or replace all its fields."""
    tx.execute(_SAVE[tx.dialect.name], asdict(saved))
