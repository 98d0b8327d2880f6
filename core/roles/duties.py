"""How a duty says what to do about its failure."""

from __future__ import annotations


class RetryLater(Exception):
    """Try again, after ``seconds`` if given, else after the usual growing pause."""

    def __init__(self, reason: str, *, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


class Permanent(Exception):
    """Trying again cannot help: the duty becomes a dead letter at once, for a person to look at."""


class Parked(Exception):
    """Raised by the core, not by plugins: who owes this duty is switched off. It waits, and no attempt is counted."""
