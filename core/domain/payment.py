"""The payment: what a provider may answer, and the one table of states.

What is not understood is never a failure and never a success: ``Unknown`` leaves the payment PENDING until an
inquiry settles it. ``NotSent`` is only for what certainly did not reach the provider.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

from tillhook.core.domain.money import Money


class PaymentStatus(StrEnum):
    WAITING = "WAITING"
    PENDING = "PENDING"
    ACTION_REQUIRED = "ACTION_REQUIRED"
    PREAUTH = "PREAUTH"
    PSP_CAPTURE_WAITING = "PSP_CAPTURE_WAITING"
    AUTHORISED_AT_HOOK = "AUTHORISED_AT_HOOK"
    PARTIAL_CAPTURED = "PARTIAL_CAPTURED"
    CAPTURED = "CAPTURED"
    CONFIRMED = "CONFIRMED"
    """Nothing to pay: a zero-amount order bypassed the provider."""
    REJECTED = "REJECTED"
    ERROR = "ERROR"
    ABANDONED = "ABANDONED"
    REFUNDED = "REFUNDED"


class PaymentEvent(StrEnum):
    """What happens to a payment; the columns of the table below."""

    AUTHORISE = "AUTHORISE"
    CONFIRM = "CONFIRM"
    CAPTURE = "CAPTURE"
    BYPASS = "BYPASS"
    AUTHORISED = "AUTHORISED"
    CAPTURED = "CAPTURED"
    ACTION_REQUIRED = "ACTION_REQUIRED"
    DECLINED = "DECLINED"
    NOT_SENT = "NOT_SENT"
    PENDING = "PENDING"
    ABANDON = "ABANDON"
    CANCELLED = "CANCELLED"
    REFUNDED = "REFUNDED"


_S = PaymentStatus
_E = PaymentEvent

PAYMENT_TRANSITIONS: Final[dict[tuple[PaymentStatus, PaymentEvent], PaymentStatus]] = {
    # the shopper pays: claimed before the provider is called, so that only one attempt is ever open
    (_S.WAITING, _E.AUTHORISE): _S.PENDING,
    (_S.REJECTED, _E.AUTHORISE): _S.PENDING,
    (_S.ERROR, _E.AUTHORISE): _S.PENDING,
    (_S.WAITING, _E.BYPASS): _S.CONFIRMED,
    # the provider's answer, at once or by a later inquiry
    (_S.PENDING, _E.CAPTURED): _S.CAPTURED,
    (_S.PENDING, _E.AUTHORISED): _S.PREAUTH,
    (_S.PENDING, _E.ACTION_REQUIRED): _S.ACTION_REQUIRED,
    (_S.PENDING, _E.DECLINED): _S.REJECTED,
    (_S.PENDING, _E.NOT_SENT): _S.ERROR,
    (_S.PENDING, _E.PENDING): _S.PENDING,
    # the shopper comes back from 3-D Secure
    (_S.ACTION_REQUIRED, _E.CONFIRM): _S.PENDING,
    (_S.ACTION_REQUIRED, _E.ABANDON): _S.ABANDONED,
    # or the provider says how it ended before the shopper does
    (_S.ACTION_REQUIRED, _E.CAPTURED): _S.CAPTURED,
    (_S.ACTION_REQUIRED, _E.AUTHORISED): _S.PREAUTH,
    (_S.ACTION_REQUIRED, _E.DECLINED): _S.REJECTED,
    (_S.ACTION_REQUIRED, _E.ACTION_REQUIRED): _S.ACTION_REQUIRED,
    (_S.ACTION_REQUIRED, _E.PENDING): _S.ACTION_REQUIRED,
    # authorised first, captured when the order is ready
    (_S.PREAUTH, _E.CAPTURE): _S.PSP_CAPTURE_WAITING,
    (_S.PREAUTH, _E.CANCELLED): _S.ABANDONED,
    (_S.PSP_CAPTURE_WAITING, _E.CAPTURED): _S.CAPTURED,
    (_S.PSP_CAPTURE_WAITING, _E.PENDING): _S.PSP_CAPTURE_WAITING,
    (_S.PSP_CAPTURE_WAITING, _E.NOT_SENT): _S.PREAUTH,
    (_S.PSP_CAPTURE_WAITING, _E.DECLINED): _S.REJECTED,
    # all of it was given back
    (_S.CAPTURED, _E.REFUNDED): _S.REFUNDED,
}
"""(state, event) → next state; what is not listed cannot happen."""

PAID: Final = frozenset({_S.CAPTURED, _S.CONFIRMED})
OPEN: Final = frozenset({_S.PENDING, _S.ACTION_REQUIRED, _S.PREAUTH, _S.PSP_CAPTURE_WAITING, _S.AUTHORISED_AT_HOOK})
"""Money may be moving or held: the order may neither be cancelled nor paid by a second attempt."""


def next_status(current: PaymentStatus, event: PaymentEvent) -> PaymentStatus | None:
    """The state after ``event``, or None where the table has no such step."""
    return PAYMENT_TRANSITIONS.get((current, event))


# --- what a gateway answers: one closed type ---------------------------------------------------------------


class Authorised(Struct, frozen=True, tag="authorised"):
    """The amount is held, not yet taken."""

    psp_reference: str
    amount: Money


class Captured(Struct, frozen=True, tag="captured"):
    """The amount is taken."""

    psp_reference: str
    amount: Money
    card_brand: str = ""
    card_last4: str = ""


class ActionRequired(Struct, frozen=True, tag="action_required"):
    """The shopper must act first (3-D Secure, a wallet's page) at ``redirect_url``."""

    psp_reference: str
    redirect_url: str


class Declined(Struct, frozen=True, tag="declined"):
    """The provider said no, finally; ``code`` is its reason."""

    code: str
    message: str = ""
    psp_reference: str = ""


class Pending(Struct, frozen=True, tag="pending"):
    """The provider accepted it and will tell later."""

    psp_reference: str = ""


class Refunded(Struct, frozen=True, tag="refunded"):
    """The amount is on its way back to the shopper."""

    psp_reference: str
    amount: Money


class Cancelled(Struct, frozen=True, tag="cancelled"):
    """The authorisation is released; nothing was taken."""

    psp_reference: str


class NotSent(Struct, frozen=True, tag="not_sent"):
    """The provider certainly has no such operation (refused connection; or its own word on inquiry)."""

    reason: str


class Unknown(Struct, frozen=True, tag="unknown"):
    """Anything else: a read timeout, a 5xx, half an answer. Neither failed nor done."""

    reason: str


Outcome = Authorised | Captured | ActionRequired | Declined | Pending | Refunded | Cancelled | NotSent | Unknown


class Verb(StrEnum):
    AUTHORISE = "AUTHORISE"
    CAPTURE = "CAPTURE"
    CANCEL = "CANCEL"
    REFUND = "REFUND"


class OperationStatus(StrEnum):
    """STARTED, PENDING, UNKNOWN and ACTION_REQUIRED are open: the resolver inquires until they are settled."""

    STARTED = "STARTED"
    PENDING = "PENDING"
    UNKNOWN = "UNKNOWN"
    ACTION_REQUIRED = "ACTION_REQUIRED"
    SUCCEEDED = "SUCCEEDED"
    DECLINED = "DECLINED"
    NOT_SENT = "NOT_SENT"


OPEN_OPERATIONS: Final = (
    OperationStatus.STARTED,
    OperationStatus.PENDING,
    OperationStatus.UNKNOWN,
    OperationStatus.ACTION_REQUIRED,
)


class Payment(Struct, frozen=True):
    """The money side of one order. Amounts are minor units; captured ≤ authorised, refunded + processing ≤ captured."""

    payment_id: str
    order_id: str
    gateway: str
    status: PaymentStatus
    amount: Money
    authorised: int = 0
    captured: int = 0
    refunded: int = 0
    refund_processing: int = 0
    session_id: str = ""
    psp_reference: str = ""
    payment_method: str = ""
    redirect_url: str = ""
    message: str = ""
    card_brand: str = ""
    card_last4: str = ""
    version: int = 0


class Operation(Struct, frozen=True):
    """One call to a provider: recorded and committed before the call, never deleted."""

    operation_id: str
    payment_id: str
    verb: Verb
    amount: Money
    idempotency_key: str
    status: OperationStatus
    psp_reference: str = ""
    attempts: int = 0


def event_of(outcome: Outcome) -> PaymentEvent:
    """The payment event that an answer to AUTHORISE, CAPTURE or CANCEL means."""
    match outcome:
        case Captured():
            return PaymentEvent.CAPTURED
        case Authorised():
            return PaymentEvent.AUTHORISED
        case ActionRequired():
            return PaymentEvent.ACTION_REQUIRED
        case Declined():
            return PaymentEvent.DECLINED
        case NotSent():
            return PaymentEvent.NOT_SENT
        case Cancelled():
            return PaymentEvent.CANCELLED
        case _:
            return PaymentEvent.PENDING


def status_of(outcome: Outcome) -> OperationStatus:
    """What an answer makes of the operation row."""
    match outcome:
        case Captured() | Authorised() | Refunded() | Cancelled():
            return OperationStatus.SUCCEEDED
        case ActionRequired():
            return OperationStatus.ACTION_REQUIRED
        case Declined():
            return OperationStatus.DECLINED
        case NotSent():
            return OperationStatus.NOT_SENT
        case Pending():
            return OperationStatus.PENDING
        case _:
            return OperationStatus.UNKNOWN
