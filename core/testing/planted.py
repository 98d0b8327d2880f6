"""What is planted to be looked for: the value behind every secret of the settings, and a card number."""

from __future__ import annotations

import re
from typing import Final

PLANTED: Final = "planted-secret-that-nobody-may-see"
"""The value behind every ``env:NAME`` of the settings in a contract; it may appear in no output and no exception."""
PLANTED_CARD: Final = "4111111111111111"
"""Passes its check and belongs to nobody; stands where arguments of hooks hold what a provider or a shopper wrote."""

_BETWEEN_DIGITS: Final = re.compile(r"(?<=\d)[ \u00a0-](?=\d)")


def shows_secret(text: str) -> str:
    """What of the planted stands in ``text``, in words; empty when nothing does. A card number may be written apart."""
    if PLANTED in text:
        return "a secret of the settings"
    if PLANTED_CARD in _BETWEEN_DIGITS.sub("", text):
        return "a card number"
    return ""
