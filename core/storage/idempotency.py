"""Idempotency keys: claimed in the transaction of the effect, bound to a fingerprint of the request."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.dialects import postgresql, sqlite

from tillhook.core.domain.problems import idempotency_key_reused
from tillhook.core.storage.database import Tx
from tillhook.core.storage.prepared import Prepared
from tillhook.core.storage.tables import idempotency as t


class Once(Struct, frozen=True):
    """One request that must have its effect once: ``scope`` is caller and route, ``fingerprint`` its content."""

    scope: str
    key: str
    fingerprint: str


_THIS: Final = (t.c.scope == sa.bindparam("p_scope"), t.c.key == sa.bindparam("p_key"))
_CLAIM: Final = Prepared(
    {
        name: dialect.insert(t).on_conflict_do_nothing(index_elements=["scope", "key"]).returning(t.c.key)
        for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
    }
)
_READ: Final = Prepared(sa.select(t.c.fingerprint, t.c.body, t.c.status).where(*_THIS))
_ANSWER: Final = Prepared(
    sa.update(t).where(*_THIS).values(body=sa.bindparam("p_body"), status=sa.bindparam("p_status"))
)
_RELEASE: Final = Prepared(sa.delete(t).where(*_THIS, t.c.body.is_(None)))
_PURGE: Final = Prepared(sa.delete(t).where(t.c.created_at < sa.bindparam("p_before")))


class Earlier(Struct, frozen=True):
    """The key was used before: ``reply`` is its answer and HTTP status, None while the first is still at work."""

    reply: tuple[bytes, int] | None


def claim_key(tx: Tx, once: Once, now: datetime) -> Earlier | None:
    """None: this request is the first and now owns the key. Raises ``idempotency_key_reused`` for other content."""
    row = {"scope": once.scope, "key": once.key, "fingerprint": once.fingerprint, "created_at": now}
    if _CLAIM.one(tx, row) is not None:
        return None
    return recall(tx, once)


def recall(tx: Tx, once: Once) -> Earlier | None:
    """The stored answer of a key, or None when it is unused."""
    found = _READ.one(tx, {"p_scope": once.scope, "p_key": once.key})
    if found is None:
        return None
    if found[0] != once.fingerprint:
        raise idempotency_key_reused(
            f"Idempotency-Key {once.key!r} was used with a different request; choose a new key for a new request."
        )
    return Earlier(None if found[1] is None else (found[1].encode(), found[2]))


def store_answer(tx: Tx, once: Once, body: bytes, status: int) -> None:
    _ANSWER.run(tx, {"p_scope": once.scope, "p_key": once.key, "p_body": body.decode(), "p_status": status})


def release_key(tx: Tx, once: Once) -> None:
    """Forget a key whose request had certainly no effect, so that it can be sent again."""
    _RELEASE.run(tx, {"p_scope": once.scope, "p_key": once.key})


def purge_keys(tx: Tx, before: datetime) -> int:
    return _PURGE.run(tx, {"p_before": before})
