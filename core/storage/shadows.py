"""What shadows said, one row for each order and question: of a comparison made again the last one is kept."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.dialects import postgresql, sqlite

from tillhook.core.domain.comparison import Asked, Comparison, Verdict
from tillhook.core.storage.database import Tx
from tillhook.core.storage.tables import shadow_comparison as t

_KEY: Final = ["order_id", "asked", "shadow"]


class Tally(Struct, frozen=True):
    """How often a shadow agreed with the live plugin. ``amount`` is the sum of its differences (minor units)."""

    store_type: str
    asked: Asked
    live: str
    shadow: str
    currency: str
    agreed: int
    differs: int
    failed: int
    amount: int
    milliseconds: int
    """The longest answer of the shadow."""


def save_comparison(tx: Tx, found: Comparison) -> None:
    """Keep a comparison, in place of an earlier one of the same order, question and shadow."""
    row = {
        **{name: getattr(found, name) for name in Comparison.__struct_fields__},
        "asked": found.asked.value,
        "verdict": found.verdict.value,
        "differences": msgspec.json.encode(found.differences).decode(),
    }
    dialect: Any = sqlite if tx.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(t)
    changed = {name: insert.excluded[name] for name in row if name not in _KEY}
    tx.execute(insert.on_conflict_do_update(index_elements=_KEY, set_=changed), row)


def tallies(tx: Tx, *, since: datetime, store_type: str | None = None) -> list[Tally]:
    """Per store type, question, live plugin, shadow and currency."""
    by = (t.c.store_type, t.c.asked, t.c.live, t.c.shadow, t.c.currency)
    counted = [sa.func.sum(sa.case((t.c.verdict == one.value, 1), else_=0)) for one in Verdict]
    query = sa.select(*by, *counted, sa.func.sum(t.c.amount), sa.func.max(t.c.milliseconds))
    rows = tx.execute(query.where(*_wanted(since, store_type)).group_by(*by).order_by(*by))
    return [Tally(row[0], Asked(row[1]), *row[2:5], *map(int, row[5:])) for row in rows]


def disagreements(tx: Tx, *, since: datetime, limit: int, store_type: str | None = None) -> list[Comparison]:
    """The newest comparisons in which a shadow did not agree."""
    query = sa.select(*(t.c[name] for name in Comparison.__struct_fields__))
    query = query.where(*_wanted(since, store_type), t.c.verdict != Verdict.AGREED.value)
    rows = tx.execute(query.order_by(t.c.at.desc(), t.c.order_id, t.c.asked).limit(limit)).mappings()
    return [_comparison(dict(row)) for row in rows]


def purge_comparisons(tx: Tx, before: datetime) -> int:
    """Forget what is older; how many there were."""
    return tx.execute(sa.delete(t).where(t.c.at < before)).rowcount


def _wanted(since: datetime, store_type: str | None) -> list[Any]:
    return [t.c.at >= since, *([t.c.store_type == store_type] if store_type is not None else [])]


def _comparison(row: dict[str, Any]) -> Comparison:
    differences = msgspec.json.decode(row.pop("differences"), type=tuple[str, ...])
    asked, verdict = Asked(row.pop("asked")), Verdict(row.pop("verdict"))
    return Comparison(**row, asked=asked, verdict=verdict, differences=differences)
