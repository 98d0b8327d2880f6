"""Doing a request once: the answer is stored with the effect, in its transaction, and given again to a repeat."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from tillhook.core.domain.problems import idempotency_in_progress
from tillhook.core.services.wire import Reply
from tillhook.core.storage.database import Tx
from tillhook.core.storage.idempotency import Earlier, Once, claim_key, recall, store_answer


def earlier_reply(tx: Tx, once: Once | None) -> Reply | None:
    """The stored answer of a repeated request. Raises ``idempotency_key_reused``, ``idempotency_in_progress``."""
    if once is None:
        return None
    earlier = recall(tx, once)
    if earlier is None:
        return None
    if earlier.reply is None:
        raise idempotency_in_progress(f"The request with Idempotency-Key {once.key!r} is still being worked on.")
    body, status = earlier.reply
    return Reply(body, status, replayed=True)


def remember(tx: Tx, once: Once | None, answer: Reply, now: datetime) -> Reply:
    """Claim the key and store the answer beside the effect. A twin that was first wins: its answer is given, and
    the caller's transaction must be rolled back, which ``Overtaken`` does."""
    if once is None:
        return answer
    if claim_key(tx, once, now) is not None:
        raise Overtaken
    store_answer(tx, once, answer.body, answer.status)
    return replace(answer, replayed=False)


class Overtaken(Exception):
    """The same request, sent twice at once, was finished by its twin: nothing of this one may stay."""


def earlier_open(tx: Tx, once: Once | None) -> Reply | None:
    """As ``earlier_reply`` for requests of several transactions: an empty body means still at work."""
    if once is None:
        return None
    earlier = recall(tx, once)
    return None if earlier is None else _replay(earlier)


def begin_open(tx: Tx, once: Once | None, now: datetime) -> Reply | None:
    """Claim the key with the first of several transactions; a twin's reply when it was first (empty: at work)."""
    if once is None:
        return None
    earlier = claim_key(tx, once, now)
    return None if earlier is None else _replay(earlier)


def remember_open(tx: Tx, once: Once, answer: Reply) -> Reply:
    """Store the final answer under a key that ``begin_open`` claimed."""
    store_answer(tx, once, answer.body, answer.status)
    return answer


def _replay(earlier: Earlier) -> Reply:
    body, status = earlier.reply or (b"", 202)
    return Reply(body, status, replayed=True)
