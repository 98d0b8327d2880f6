"""Settling what is not known yet: on a schedule of growing pauses, and whenever the order is read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog
from msgspec.structs import replace

from tillhook.core.domain.payment import (
    Authorised,
    Declined,
    NotSent,
    Operation,
    OperationStatus,
    Outcome,
    PaymentStatus,
    Unknown,
    Verb,
)
from tillhook.core.services.asking import INQUIRE, ask_gateway, gateway_of, payment_request
from tillhook.core.services.platform import Platform
from tillhook.core.services.settling import Case, load_case, next_inquiry, settle
from tillhook.core.storage.payments import Ledgered, claim_inquiry, load_payment, operations_due, operations_of

log = structlog.get_logger("tillhook.payments")

READ_PAUSE: Final = timedelta(seconds=1)
"""However often an order is read, its provider is not asked more often than this."""
BATCH: Final = 50


def resolve_due(platform: Platform) -> int:
    """Inquire about every open operation whose time has come; how many were asked about."""
    now = platform.clock()
    due = platform.db.read(lambda tx: operations_due(tx, now, BATCH))
    for entry in due:
        payment_id = entry.operation.payment_id
        payment = platform.db.read(lambda tx, key=payment_id: load_payment(tx, key))  # type: ignore[misc]
        assert payment is not None, "a foreign key holds the payment"
        try:
            resolve(platform, load_case(platform, payment.order_id), entry)
        except Exception:
            # One order that cannot be resolved (a quarantined plugin) must not keep the others waiting.
            log.exception("payment not resolved", order_id=payment.order_id)
            later = next_inquiry(platform, now - entry.created_at, now)
            platform.db.write(lambda tx, at=entry.operation, to=later: claim_inquiry(tx, at, to))  # type: ignore[misc]
    return len(due)


def resolve_order(platform: Platform, case: Case) -> Case:
    """Settle the order's open operation if it may be asked about now; the case as it then stands."""
    now = platform.clock()
    entries = platform.db.read(lambda tx: operations_of(tx, case.payment.payment_id))
    for entry in entries:
        if entry.inquire_at is None:
            continue
        in_flight = entry.operation.status is OperationStatus.STARTED and entry.inquire_at > now
        if not in_flight and entry.updated_at + READ_PAUSE <= now:
            resolve(platform, case, entry)
    return load_case(platform, case.order.order_id)


def resolve(platform: Platform, case: Case, entry: Ledgered) -> None:
    """Ask the provider what became of one operation and settle it. Only one worker asks at a time."""
    now = platform.clock()
    operation = entry.operation
    again = next_inquiry(platform, now - entry.created_at, now)
    if not platform.db.write(lambda tx: claim_inquiry(tx, operation, again)):
        return
    held = replace(operation, attempts=operation.attempts + 1)
    outcome = ask_gateway(platform, case, INQUIRE, payment_request(case, held))
    settle(platform, case, held, _trusted(platform, case, entry, held, outcome, asked_at=now), None, again)


def _trusted(
    platform: Platform, case: Case, entry: Ledgered, operation: Operation, outcome: Outcome, *, asked_at: datetime
) -> Outcome:
    """«Never heard of it» counts only if it was asked after the call and the provider's read lag must be over.

    A capture that the provider never received is then sent again with the same key: the money is still held.
    """
    capturing = operation.verb is Verb.CAPTURE and case.payment.status is PaymentStatus.PSP_CAPTURE_WAITING
    if not isinstance(outcome, NotSent) and not (capturing and isinstance(outcome, Authorised)):
        return outcome
    able = gateway_of(case).capabilities
    lag = timedelta(seconds=platform.system.payments.call_seconds) + able.read_lag
    if asked_at < entry.created_at + lag:
        return Unknown("the provider does not know the operation yet")
    if not capturing:
        return outcome
    again = ask_gateway(platform, case, "capture", payment_request(case, operation))
    if isinstance(again, Declined) and not able.idempotency_keys:
        # It may say no because the first one took the money, which its books do not show yet.
        return Unknown(f"declined when it was sent again: {again.code}")
    return again
