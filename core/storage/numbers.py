"""Gapless numbers per store: taken last in a transaction, given back by its rollback.

One upsert locks the counter's row until the commit, so the next taker waits and no number is lost or given twice. A
database SEQUENCE would leave gaps on rollback. Take several numbers always in the same order.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tillhook.core.storage.database import Tx
from tillhook.core.storage.prepared import Prepared
from tillhook.core.storage.tables import sequence

ORDER: Final = "order"
TRANSACTION: Final = "transaction"


def _statement(dialect: Any) -> Any:
    insert = dialect.insert(sequence).values(
        store_id=sa.bindparam("p_store"),
        name=sa.bindparam("p_name"),
        scope=sa.bindparam("p_scope"),
        last_no=sa.bindparam("p_first"),
    )
    return insert.on_conflict_do_update(
        index_elements=["store_id", "name", "scope"], set_={"last_no": sequence.c.last_no + 1}
    ).returning(sequence.c.last_no)


_NEXT: Final = Prepared({"postgresql": _statement(postgresql), "sqlite": _statement(sqlite)})


def next_number(tx: Tx, store_id: str, name: str, *, scope: str = "", first: int = 1) -> int:
    """The next number of a store's counter; ``first`` starts a new one."""
    parameters = {"p_store": store_id, "p_name": name, "p_scope": scope, "p_first": first}
    return int(_NEXT.only(tx, parameters)[0])
