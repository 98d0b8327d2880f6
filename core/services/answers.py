"""Reading a provider's answer: what it says about the operation, and what it does to the payment.

An answer that cannot be one to the question is not understood: it stays open, is asked about again, and is shown.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.structs import replace

from tillhook.core.domain.payment import (
    ActionRequired,
    Authorised,
    Cancelled,
    Captured,
    Declined,
    NotSent,
    Operation,
    Outcome,
    Payment,
    PaymentStatus,
    Refunded,
    Unknown,
    Verb,
)
from tillhook.core.domain.receipt_render import printable

MAX_REFERENCE: Final = 200
MAX_URL: Final = 2000
MAX_BRAND: Final = 32


def understood(answer: Any, operation: Operation) -> Outcome:
    """What ``answer`` says about ``operation``; Unknown for whatever it cannot mean.

    A capture that was not sent, or whose money is still only held, stays open: the resolver sends it again.
    """
    try:
        outcome: Outcome = msgspec.convert(msgspec.to_builtins(answer), Outcome)
    except (TypeError, ValueError):
        return Unknown(f"the provider's answer ({type(answer).__name__}) cannot be read")
    reference = getattr(outcome, "psp_reference", "")
    if len(reference) > MAX_REFERENCE or not reference.isprintable():
        return Unknown("the provider answered a reference that cannot be one")
    match outcome:
        case Captured(amount=amount) | Authorised(amount=amount) if amount != operation.amount:
            return Unknown(f"the provider answered {amount} where {operation.amount} was asked for")
        case Captured():
            # How a card is described is nothing to lose a sale over.
            brand, last4 = printable(outcome.card_brand)[:MAX_BRAND], printable(outcome.card_last4)[-4:]
            return replace(outcome, card_brand=brand, card_last4=last4)
        case Authorised() if operation.verb is Verb.CAPTURE:
            return Unknown("the money is held, and not captured yet")
        case NotSent(reason) if operation.verb is Verb.CAPTURE:
            return Unknown(f"the capture was not sent: {printable(reason)}")
        case Cancelled() if operation.verb is not Verb.CANCEL:
            return Declined("cancelled", "The provider released the payment; nothing was taken.", reference)
        case Refunded() if operation.verb is not Verb.REFUND:
            return Unknown(f"the provider answered a refund of {outcome.amount}, which was not asked for")
        case ActionRequired(redirect_url=url) if len(url) > MAX_URL or not url.isprintable():
            return Unknown(f"the provider answered an address of {len(url)} characters that cannot be one")
    return outcome


def tells_of_money(answer: Any) -> bool:
    """Whether an answer says that money moved, understood or not."""
    return isinstance(answer, Captured | Refunded)


def changed(payment: Payment, status: PaymentStatus, outcome: Outcome) -> Payment:
    """The payment after an answer that brings it to ``status``."""
    match outcome:
        case Captured(psp_reference, amount, brand, last4):
            return replace(
                payment,
                status=status,
                authorised=amount.minor,
                captured=amount.minor,
                psp_reference=psp_reference,
                card_brand=brand,
                card_last4=last4,
                redirect_url="",
                message="",
            )
        case Authorised(psp_reference, amount):
            return replace(
                payment,
                status=status,
                authorised=amount.minor,
                psp_reference=psp_reference,
                redirect_url="",
                message="",
            )
        case ActionRequired(psp_reference, redirect_url):
            return replace(payment, status=status, psp_reference=psp_reference, redirect_url=redirect_url, message="")
        case Declined() | NotSent():
            return replace(payment, status=status, redirect_url="", message=reason_of(outcome))
        case _:
            return payment


def reason_of(outcome: Outcome) -> str:
    """Why an operation stands as it does, in words that can be stored and shown."""
    match outcome:
        case Declined(code, message):
            return printable(f"{code}: {message}" if message else code)
        case NotSent(reason) | Unknown(reason):
            return printable(reason)
        case _:
            return ""
