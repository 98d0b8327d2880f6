"""Payments and their operations. Every change of state is a compare-and-set; the loser reads again."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from msgspec import Struct

from tillhook.core.domain.money import Money
from tillhook.core.domain.payment import OPEN_OPERATIONS, Operation, OperationStatus, Payment, PaymentStatus, Verb
from tillhook.core.storage.database import Tx
from tillhook.core.storage.prepared import Prepared, constant
from tillhook.core.storage.tables import payment as t
from tillhook.core.storage.tables import payment_operation as op

_COLUMNS: Final = (
    t.c.payment_id, t.c.order_id, t.c.gateway, t.c.status, t.c.amount, t.c.currency, t.c.authorised, t.c.captured,
    t.c.refunded, t.c.refund_processing, t.c.session_id, t.c.psp_reference, t.c.payment_method, t.c.redirect_url,
    t.c.message, t.c.card_brand, t.c.card_last4, t.c.version,
)  # fmt: skip
_BY_ID: Final = Prepared(sa.select(*_COLUMNS).where(t.c.payment_id == sa.bindparam("p_payment")))
_BY_ORDER: Final = Prepared(sa.select(*_COLUMNS).where(t.c.order_id == sa.bindparam("p_order")))
_BY_SESSION: Final = Prepared(sa.select(*_COLUMNS).where(t.c.session_id == sa.bindparam("p_session")))
_INSERT: Final = Prepared(sa.insert(t))
_SAVE: Final = Prepared(
    sa.update(t)
    .where(t.c.payment_id == sa.bindparam("p_payment"), t.c.version == sa.bindparam("p_version"))
    .values(
        status=sa.bindparam("p_status"),
        authorised=sa.bindparam("p_authorised"),
        captured=sa.bindparam("p_captured"),
        session_id=sa.bindparam("p_session"),
        psp_reference=sa.bindparam("p_reference"),
        payment_method=sa.bindparam("p_method"),
        redirect_url=sa.bindparam("p_redirect"),
        message=sa.bindparam("p_message"),
        card_brand=sa.bindparam("p_brand"),
        card_last4=sa.bindparam("p_last4"),
        version=t.c.version + 1,
        updated_at=sa.bindparam("p_now"),
    )
)
_OP_COLUMNS: Final = (
    op.c.operation_id, op.c.payment_id, op.c.verb, op.c.amount, op.c.currency, op.c.idempotency_key, op.c.status,
    op.c.psp_reference, op.c.attempts, op.c.inquire_at, op.c.created_at, op.c.updated_at, op.c.reason,
)  # fmt: skip
_OPEN: Final = [constant(status.value) for status in OPEN_OPERATIONS]
_OPS_OF: Final = Prepared(
    sa.select(*_OP_COLUMNS)
    .where(op.c.payment_id == sa.bindparam("p_payment"))
    .order_by(op.c.created_at, op.c.operation_id)
)
_OPS_DUE: Final = Prepared(
    sa.select(*_OP_COLUMNS)
    .where(op.c.inquire_at.is_not(None), op.c.inquire_at <= sa.bindparam("p_now"))
    .order_by(op.c.inquire_at)
    .limit(sa.bindparam("p_limit"))
)
_OPS_OPEN: Final = Prepared(
    sa.select(*_OP_COLUMNS).where(op.c.inquire_at.is_not(None)).order_by(op.c.created_at).limit(sa.bindparam("p_limit"))
)
_OP_INSERT: Final = Prepared(sa.insert(op))
_ANSWER: Final[dict[str, Any]] = {
    "status": sa.bindparam("p_status"),
    "psp_reference": sa.bindparam("p_reference"),
    "reason": sa.bindparam("p_reason"),
    "inquire_at": sa.bindparam("p_inquire_at"),
    "updated_at": sa.bindparam("p_now"),
}
_OP_SETTLE: Final = Prepared(
    sa.update(op).where(op.c.operation_id == sa.bindparam("p_operation"), op.c.status.in_(_OPEN)).values(_ANSWER)
)
_OP_OVERRULE: Final = Prepared(
    sa.update(op)
    .where(
        op.c.operation_id == sa.bindparam("p_operation"),
        op.c.status != constant(OperationStatus.SUCCEEDED.value),
    )
    .values(_ANSWER)
)
_OP_REOPEN: Final = Prepared(
    sa.update(op)
    .where(
        op.c.payment_id == sa.bindparam("p_payment"),
        op.c.reason == sa.bindparam("p_reason"),
        op.c.status == constant(OperationStatus.SUCCEEDED.value),
    )
    .values(
        status=OperationStatus.ACTION_REQUIRED.value,
        reason="",
        inquire_at=sa.bindparam("p_inquire_at"),
        updated_at=sa.bindparam("p_now"),
    )
)
_OP_CLAIM: Final = Prepared(
    sa.update(op)
    .where(
        op.c.operation_id == sa.bindparam("p_operation"),
        op.c.attempts == sa.bindparam("p_attempts"),
        op.c.status.in_(_OPEN),
    )
    .values(attempts=op.c.attempts + 1, inquire_at=sa.bindparam("p_inquire_at"))
)


class Ledgered(Struct, frozen=True):
    """An operation with what only its row knows: when to inquire, since when, and why it is open."""

    operation: Operation
    inquire_at: datetime | None
    created_at: datetime
    updated_at: datetime
    reason: str


def _payment(row: Any) -> Payment:
    return Payment(
        payment_id=row[0],
        order_id=row[1],
        gateway=row[2],
        status=PaymentStatus(row[3]),
        amount=Money(row[4], row[5]),
        authorised=row[6],
        captured=row[7],
        refunded=row[8],
        refund_processing=row[9],
        session_id=row[10] or "",
        psp_reference=row[11],
        payment_method=row[12],
        redirect_url=row[13],
        message=row[14],
        card_brand=row[15],
        card_last4=row[16],
        version=row[17],
    )


def _ledgered(row: Any) -> Ledgered:
    operation = Operation(
        operation_id=row[0],
        payment_id=row[1],
        verb=Verb(row[2]),
        amount=Money(row[3], row[4]),
        idempotency_key=row[5],
        status=OperationStatus(row[6]),
        psp_reference=row[7],
        attempts=row[8],
    )
    return Ledgered(operation, row[9], row[10], row[11], row[12])


def load_payment(tx: Tx, payment_id: str) -> Payment | None:
    row = _BY_ID.one(tx, {"p_payment": payment_id})
    return None if row is None else _payment(row)


def payment_of_order(tx: Tx, order_id: str) -> Payment | None:
    row = _BY_ORDER.one(tx, {"p_order": order_id})
    return None if row is None else _payment(row)


def payment_of_session(tx: Tx, session_id: str) -> Payment | None:
    row = _BY_SESSION.one(tx, {"p_session": session_id})
    return None if row is None else _payment(row)


def insert_payment(tx: Tx, payment: Payment, now: datetime) -> None:
    _INSERT.run(
        tx,
        {
            "payment_id": payment.payment_id,
            "order_id": payment.order_id,
            "gateway": payment.gateway,
            "status": payment.status.value,
            "currency": payment.amount.currency,
            "amount": payment.amount.minor,
            "created_at": now,
            "updated_at": now,
        },
    )


def save_payment(tx: Tx, payment: Payment, now: datetime) -> bool:
    """Save if the stored version is still ``payment.version``; False when somebody else was first."""
    saved = _SAVE.run(
        tx,
        {
            "p_payment": payment.payment_id,
            "p_version": payment.version,
            "p_status": payment.status.value,
            "p_authorised": payment.authorised,
            "p_captured": payment.captured,
            "p_session": payment.session_id or None,
            "p_reference": payment.psp_reference,
            "p_method": payment.payment_method,
            "p_redirect": payment.redirect_url,
            "p_message": payment.message[:500],
            "p_brand": payment.card_brand,
            "p_last4": payment.card_last4,
            "p_now": now,
        },
    )
    return saved == 1


def insert_operation(tx: Tx, operation: Operation, inquire_at: datetime, now: datetime) -> None:
    """Record a call before it is made; if nobody settles it, it is inquired about at ``inquire_at``."""
    _OP_INSERT.run(
        tx,
        {
            "operation_id": operation.operation_id,
            "payment_id": operation.payment_id,
            "verb": operation.verb.value,
            "amount": operation.amount.minor,
            "currency": operation.amount.currency,
            "idempotency_key": operation.idempotency_key,
            "status": operation.status.value,
            "psp_reference": operation.psp_reference,
            "inquire_at": inquire_at,
            "created_at": now,
            "updated_at": now,
        },
    )


def settle_operation(
    tx: Tx,
    operation_id: str,
    status: OperationStatus,
    *,
    psp_reference: str,
    reason: str,
    inquire_at: datetime | None,
    now: datetime,
    overruling: bool = False,
) -> bool:
    """Write an answer to an operation that is still open; False when it was settled meanwhile.

    ``overruling`` also writes it to one that was given up as declined or not sent: money says otherwise.
    """
    settled = (_OP_OVERRULE if overruling else _OP_SETTLE).run(
        tx,
        {
            "p_operation": operation_id,
            "p_status": status.value,
            "p_reference": psp_reference,
            "p_reason": reason[:500],
            "p_inquire_at": inquire_at,
            "p_now": now,
        },
    )
    return settled == 1


def reopen_challenge(tx: Tx, payment_id: str, reason: str, inquire_at: datetime, now: datetime) -> bool:
    """Open the challenge that was closed for ``reason`` again; False when there is none."""
    parameters = {"p_payment": payment_id, "p_reason": reason, "p_inquire_at": inquire_at, "p_now": now}
    return _OP_REOPEN.run(tx, parameters) == 1


def claim_inquiry(tx: Tx, operation: Operation, next_at: datetime) -> bool:
    """Take the next inquiry of an open operation; False when another worker took it."""
    parameters = {"p_operation": operation.operation_id, "p_attempts": operation.attempts, "p_inquire_at": next_at}
    return _OP_CLAIM.run(tx, parameters) == 1


def operations_of(tx: Tx, payment_id: str) -> tuple[Ledgered, ...]:
    """All operations of a payment, oldest first."""
    return tuple(_ledgered(row) for row in _OPS_OF.all(tx, {"p_payment": payment_id}))


def operations_due(tx: Tx, now: datetime, limit: int) -> tuple[Ledgered, ...]:
    """Open operations whose inquiry is due, longest waiting first."""
    return tuple(_ledgered(row) for row in _OPS_DUE.all(tx, {"p_now": now, "p_limit": limit}))


def open_operations(tx: Tx, limit: int) -> tuple[Ledgered, ...]:
    """Everything that is not settled yet, oldest first: what a person is shown."""
    return tuple(_ledgered(row) for row in _OPS_OPEN.all(tx, {"p_limit": limit}))
