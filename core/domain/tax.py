"""Tax on lines: inclusive or exclusive rates, rounded per line or on the total.

Exclusive tax is ``amount * rate / 100``; inclusive tax is ``amount * rate / (100 + rate)``. Both stay fractions of
whole numbers until they are rounded, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from tillhook.core.domain.money import Rounding, round_ratio


class TaxRate(Struct, frozen=True):
    """One level of tax for a tax code: ``percent`` is exact (``Decimal("8.875")``). Raises ValueError below zero."""

    code: str
    percent: Decimal
    label: str = "VAT"

    def __post_init__(self) -> None:
        if not (self.percent.is_finite() and self.percent >= 0):
            raise ValueError(f"tax code {self.code!r}: a rate of {self.percent} percent is not possible")

    def fraction(self, *, included: bool) -> tuple[int, int]:
        """The part of an amount that is tax, as numerator and denominator."""
        tax, of = self.percent.as_integer_ratio()
        return tax, 100 * of + tax if included else 100 * of


class Taxable(Struct, frozen=True):
    """A line as a tax calculator sees it: ``amount`` is what the shopper is charged for it before exclusive tax."""

    line_no: int
    tax_code: str
    amount: int


class TaxBreakup(Struct, frozen=True):
    """One row of the tax table of a receipt (minor units): ``taxable`` excludes the tax."""

    code: str
    label: str
    percent: Decimal
    taxable: int
    tax: int


class TaxResult(Struct, frozen=True):
    """Tax of a whole basket. ``included``: the tax is part of the prices, else it comes on top."""

    included: bool
    total_tax: int
    breakup: tuple[TaxBreakup, ...]
    by_line: tuple[tuple[int, int], ...]
    """(line number, tax of it); sums to ``total_tax``."""


def tax_lines(
    lines: Sequence[Taxable], rates: Mapping[str, TaxRate], *, included: bool, rounding: Rounding, per_line: bool = True
) -> TaxResult:
    """Tax every line at its code's rate. Raises ValueError naming the line whose code has no rate.

    Not ``per_line``: the tax of a code's total is rounded, and shared out so that each line is off by less than one.
    """
    by_code: dict[str, list[int]] = {}
    for place, line in enumerate(lines):
        if line.tax_code not in rates:
            known = ", ".join(sorted(rates)) or "none"
            raise ValueError(f"line {line.line_no} has tax code {line.tax_code!r}, which has no rate (known: {known})")
        by_code.setdefault(line.tax_code, []).append(place)
    taxes = [0] * len(lines)
    breakup: list[TaxBreakup] = []
    for code, places in by_code.items():
        rate = rates[code]
        part, of = rate.fraction(included=included)
        amounts = [lines[place].amount for place in places]
        shares = [round_ratio(amount * part, of, rounding) for amount in amounts]
        if not per_line:
            shares = _share_out(
                round_ratio(sum(amounts) * part, of, rounding), [amount * part for amount in amounts], of
            )
        for place, share in zip(places, shares, strict=True):
            taxes[place] = share
        amount, tax = sum(amounts), sum(shares)
        breakup.append(TaxBreakup(code, rate.label, rate.percent, amount - tax if included else amount, tax))
    return TaxResult(
        included=included,
        total_tax=sum(taxes),
        breakup=tuple(breakup),
        by_line=tuple((line.line_no, tax) for line, tax in zip(lines, taxes, strict=True)),
    )


def _share_out(total: int, numerators: Sequence[int], denominator: int) -> list[int]:
    """Whole shares of ``total``, which is the rounded sum of the fractions: the largest remainders are rounded up."""
    shares = [numerator // denominator for numerator in numerators]
    by_remainder = sorted(range(len(shares)), key=lambda i: (-(numerators[i] % denominator), i))
    for i in by_remainder[: total - sum(shares)]:
        shares[i] += 1
    return shares
