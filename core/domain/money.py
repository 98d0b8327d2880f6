"""Money: an integer of minor units and an ISO 4217 currency. It never loses a cent.

Exponents (how many minor digits) are those of ISO 4217 (the ``iso4217`` package): JPY 0, EUR 2, KWD 3.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Final

from iso4217 import Currency
from msgspec import Struct

MAX_MINOR: Final = 10**15
"""Largest amount either way that is accepted from outside, in minor units."""

_PLAIN: Final = re.compile(r"([+-]?)([0-9]{1,20})(?:\.([0-9]{1,20}))?")


class Rounding(StrEnum):
    """How a fraction of a minor unit becomes whole; UP is away from zero, DOWN towards it."""

    HALF_UP = "half_up"
    HALF_EVEN = "half_even"
    UP = "up"
    DOWN = "down"


@cache
def exponent(currency: str) -> int:
    """Minor digits of an ISO 4217 alphabetic code. Raises ValueError for a code that is none."""
    try:
        digits = Currency(currency).exponent
    except ValueError:
        raise ValueError(f"{currency!r} is not an ISO 4217 currency code") from None
    if digits is None:
        raise ValueError(f"{currency} has no minor unit and cannot be charged")
    return digits


def round_ratio(numerator: int, denominator: int, rounding: Rounding = Rounding.HALF_UP) -> int:
    """The fraction made whole, exactly: whole numbers know no precision to run out of. ``denominator`` ≥ 1."""
    whole, rest = divmod(abs(numerator), denominator)
    match rounding:
        case Rounding.HALF_UP:
            up = rest * 2 >= denominator
        case Rounding.HALF_EVEN:
            up = rest * 2 + whole % 2 > denominator
        case Rounding.UP:
            up = rest > 0
        case Rounding.DOWN:
            up = False
    return (whole + up) * (-1 if numerator < 0 else 1)


def round_minor(value: Decimal, rounding: Rounding = Rounding.HALF_UP) -> int:
    """A decimal count of minor units, made whole."""
    return round_ratio(*value.as_integer_ratio(), rounding)


def round_to_step(minor: int, step: int, rounding: Rounding = Rounding.HALF_UP) -> int:
    """Round to a multiple of ``step`` minor units (cash rounding 0.05, 0.50, 1.00)."""
    if step < 1:
        raise ValueError(f"a rounding step must be at least 1 minor unit, not {step}")
    return round_ratio(minor, step, rounding) * step


class Money(Struct, frozen=True, order=False):
    """``minor`` units of ``currency``; may be negative (a return, a discount)."""

    minor: int
    currency: str

    @classmethod
    def parse(cls, text: str, currency: str) -> Money:
        """Read a plain decimal such as ``19.99``. Raises ValueError for anything else or too many digits."""
        digits = exponent(currency)
        match = _PLAIN.fullmatch(text)
        if match is None:
            shown = text if len(text) <= 40 else f"{text[:40]}…"
            raise ValueError(f"{shown!r} is not an amount: write it like 19.99")
        sign, whole, fraction = match.groups(default="")
        fraction = fraction.rstrip("0")
        if len(fraction) > digits:
            raise ValueError(f"{text!r} has more than the {digits} decimals of {currency}")
        minor = int(whole + fraction.ljust(digits, "0"))
        if minor > MAX_MINOR:
            raise ValueError(f"{text!r} is beyond any amount that can be charged")
        return cls(-minor if sign == "-" else minor, currency)

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __mul__(self, count: int) -> Money:
        return Money(self.minor * count, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same(other)
        return self.minor < other.minor

    def __le__(self, other: Money) -> bool:
        self._same(other)
        return self.minor <= other.minor

    def __bool__(self) -> bool:
        return self.minor != 0

    @property
    def decimal(self) -> Decimal:
        """The amount in major units, with exactly the currency's decimals."""
        return Decimal(f"{self.minor}e-{exponent(self.currency)}")  # exact in any decimal context

    def __str__(self) -> str:
        return f"{self.decimal:f} {self.currency}"

    def allocate(self, weights: Sequence[int]) -> tuple[Money, ...]:
        """Split by non-negative weights with the largest-remainder method: the parts sum to the whole.

        Raises ValueError for negative or all-zero weights.
        """
        total = sum(weights)
        if total <= 0 or min(weights) < 0:
            raise ValueError(f"weights must be non-negative and not all zero: {list(weights)}")
        sign = -1 if self.minor < 0 else 1
        amount = abs(self.minor)
        shares = [amount * weight // total for weight in weights]
        left = amount - sum(shares)
        by_remainder = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % total), i))
        for i in by_remainder[:left]:
            shares[i] += 1
        return tuple(Money(sign * share, self.currency) for share in shares)

    def _same(self, other: Money) -> None:
        if other.currency != self.currency:
            raise ValueError(f"{self} and {other} cannot be combined: the currencies differ")


def sum_money(amounts: Sequence[Money], currency: str) -> Money:
    """The sum in ``currency``; zero when there are none. Raises ValueError for a foreign amount."""
    total = Money(0, currency)
    for amount in amounts:
        total = total + amount
    return total
