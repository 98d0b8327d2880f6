"""Card numbers and secrets: found in any text, and struck out of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

STRUCK_OUT: Final = "***"

_DIGITS: Final = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?!\w)")


def card_numbers(text: str) -> Iterator[str]:
    """Every run of 13 to 19 digits (spaces and hyphens between them do not count) that passes the Luhn check."""
    for found in _DIGITS.finditer(text):
        if _luhn([int(at) for at in found.group() if at.isdigit()]):
            yield found.group()


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret and card number struck out."""
    for secret in secrets:
        text = text.replace(secret, STRUCK_OUT)
    for number in list(card_numbers(text)):
        text = text.replace(number, STRUCK_OUT)
    return text


def _luhn(digits: list[int]) -> bool:
    doubled = [at * 2 - 9 * (at > 4) for at in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
