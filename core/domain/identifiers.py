"""GS1 identifiers: GTIN check digits and the canonical 14-digit form (GS1 General Specifications §7.9)."""

from __future__ import annotations

from typing import Final

from tillhook.core.domain.problems import barcode_invalid

GTIN_LENGTHS: Final = (8, 12, 13, 14)
MAX_CODE_LENGTH: Final = 200
"""A scanned code longer than this is refused unread."""


def check_digit(body: str) -> int:
    """The GS1 check digit of the digits before it: weights 3, 1, 3, … from the right, modulo 10."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body)))
    return -total % 10


def gtin14(code: str) -> str:
    """The canonical 14-digit GTIN of a GTIN-8, -12, -13 or -14. Raises ``barcode_invalid``."""
    if not code or len(code) > MAX_CODE_LENGTH or not code.isascii() or not code.isdigit():
        shown = code if len(code) <= 40 else f"{code[:40]}…"
        raise barcode_invalid(f"{shown!r} is not a GTIN: only digits are expected.", barcode=shown)
    if len(code) not in GTIN_LENGTHS:
        raise barcode_invalid(f"{code} has {len(code)} digits; a GTIN has 8, 12, 13 or 14.", barcode=code[:40])
    if not code.strip("0"):
        raise barcode_invalid(f"{code} is all zeros, which names no item.", barcode=code)
    expected = check_digit(code[:-1])
    if int(code[-1]) != expected:
        raise barcode_invalid(
            f"{code} has check digit {code[-1]} where {expected} is right; scan it again.", barcode=code
        )
    return code.zfill(14)
