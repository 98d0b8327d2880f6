"""Where two answers to one question differ, in words."""

from __future__ import annotations

from decimal import Decimal

from tillhook.core.domain.comparison import tax_differences
from tillhook.core.domain.tax import TaxBreakup, TaxResult


def taxed(*rows: tuple[str, int, int]) -> TaxResult:
    """Lines that are taxed the same, and these rows: code, taxable, tax."""
    breakup = tuple(TaxBreakup(code, "VAT", Decimal(25), taxable, tax) for code, taxable, tax in rows)
    return TaxResult(included=True, total_tax=300, breakup=breakup, by_line=((1, 100), (2, 200)))


def test_the_same_tax_is_no_difference() -> None:
    assert tax_differences(taxed(("A", 500, 100)), taxed(("A", 500, 100)), "DKK") == ()


def test_rows_that_only_one_has_are_named() -> None:
    assert tax_differences(taxed(("A", 500, 100)), taxed(("B", 500, 100)), "DKK") == (
        "only the live one has the row A VAT 25 %",
        "only the shadow has the row B VAT 25 %",
    )


def test_rows_of_other_amounts_are_a_difference_also_when_their_sum_is_the_same() -> None:
    live, shadow = taxed(("A", 500, 100), ("B", 1000, 200)), taxed(("A", 1000, 200), ("B", 500, 100))
    assert tax_differences(live, shadow, "DKK") == (
        "row A VAT 25 %: tax 1.00 DKK of 5.00 DKK, the shadow says tax 2.00 DKK of 10.00 DKK",
        "row B VAT 25 %: tax 2.00 DKK of 10.00 DKK, the shadow says tax 1.00 DKK of 5.00 DKK",
    )
