"""The magic values: what the field ``token`` of a payment's details makes the sandbox do."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from tillhook import NoAnswer, NotReached

DECLINES: Final[dict[str, str]] = {
    "card_declined": "The card was declined.",
    "insufficient_funds": "The card has insufficient funds.",
    "expired_card": "The card has expired.",
    "incorrect_cvc": "The security code is wrong.",
    "lost_card": "The card was reported lost.",
    "limit_exceeded": "The amount is beyond the card's limit.",
}
"""Decline code → what the shopper is told."""

DECLINING: Final[dict[str, str]] = {
    "tok_decline": "card_declined",
    **{f"tok_decline_{code}": code for code in DECLINES},
}
"""Token → decline code."""


class Script(StrEnum):
    """What becomes of a payment that is not declined."""

    APPROVE = "approve"
    CHALLENGE = "challenge"
    DELAY = "delay"


SCRIPTS: Final[dict[str, Script]] = {
    "tok_approve": Script.APPROVE,
    "tok_timeout": Script.APPROVE,
    "tok_garbled": Script.APPROVE,
    "tok_3ds": Script.CHALLENGE,
    "tok_pending": Script.DELAY,
}

BEFORE_EFFECT: Final[dict[str, type[NotReached | NoAnswer]]] = {
    "tok_unreachable": NotReached,
    "tok_timeout_before": NoAnswer,
}
"""Tokens of calls that never have an effect, however often they are made."""

AFTER_EFFECT: Final[dict[str, type[NotReached | NoAnswer]]] = {"tok_timeout": NoAnswer, "tok_garbled": NoAnswer}
"""Tokens of calls that have their effect and then lose the answer; a repeat gets it."""

SHOWN: Final[dict[str, str]] = {
    "approve": "tok_approve",
    "decline": "tok_decline",
    "timeout": "tok_timeout",
    "three_ds": "tok_3ds",
    "pending": "tok_pending",
}
"""What the demonstration calls an outcome, and its token."""

_REASONS: Final[dict[str, str]] = {
    "tok_unreachable": "the sandbox refused the connection",
    "tok_timeout_before": "the sandbox did not answer in time",
    "tok_timeout": "the sandbox did not answer in time",
    "tok_garbled": "the sandbox answered half a JSON document",
}


def token_of(details: Mapping[str, Any]) -> str:
    """The token, or an empty text when none was sent."""
    found = details.get("token", "")
    return found if isinstance(found, str) else ""


def fail_if_asked(token: str, failures: Mapping[str, type[NotReached | NoAnswer]]) -> None:
    """Raises NotReached or NoAnswer for the tokens in ``failures``."""
    if token in failures:
        raise failures[token](_REASONS[token])
