"""Tax of lines: exact until it is rounded, and its parts sum to the whole."""

import random
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillhook.core.domain.money import Rounding
from tillhook.core.domain.tax import Taxable, TaxRate, TaxResult, tax_lines

RATES = {
    rate.code: rate
    for rate in (
        TaxRate("standard", Decimal(25)),
        TaxRate("reduced", Decimal("8.875")),
        TaxRate("sixth", Decimal(20)),
        TaxRate("third", Decimal(50)),
        TaxRate("none", Decimal(0)),
    )
}
baskets = st.lists(st.tuples(st.sampled_from(sorted(RATES)), st.integers(-(10**9), 10**9)), max_size=30).map(
    lambda rows: [Taxable(number, code, amount) for number, (code, amount) in enumerate(rows, start=1)]
)
roundings = st.sampled_from(Rounding)
either = st.booleans()


def exact(line: Taxable, *, included: bool) -> Fraction:
    percent = Fraction(RATES[line.tax_code].percent)
    return Fraction(line.amount) * percent / (100 + percent if included else 100)


@given(baskets, either, roundings, either)
def test_the_parts_sum_to_the_whole(lines: list[Taxable], included: bool, rounding: Rounding, per_line: bool) -> None:
    result = tax_lines(lines, RATES, included=included, rounding=rounding, per_line=per_line)
    assert sum(tax for _, tax in result.by_line) == sum(row.tax for row in result.breakup) == result.total_tax
    assert [line_no for line_no, _ in result.by_line] == [line.line_no for line in lines]
    for row in result.breakup:
        charged = sum(line.amount for line in lines if line.tax_code == row.code)
        assert row.taxable + (row.tax if included else 0) == charged


@given(baskets, either, roundings, either)
def test_no_line_is_off_by_a_whole_unit(
    lines: list[Taxable], included: bool, rounding: Rounding, per_line: bool
) -> None:
    result = tax_lines(lines, RATES, included=included, rounding=rounding, per_line=per_line)
    for line, (_, tax) in zip(lines, result.by_line, strict=True):
        assert abs(tax - exact(line, included=included)) < 1


@given(baskets, either, roundings)
def test_rounding_on_the_total_is_off_by_less_than_one_for_each_code(
    lines: list[Taxable], included: bool, rounding: Rounding
) -> None:
    result = tax_lines(lines, RATES, included=included, rounding=rounding, per_line=False)
    for row in result.breakup:
        whole = sum((exact(line, included=included) for line in lines if line.tax_code == row.code), Fraction(0))
        assert abs(row.tax - whole) < 1


@given(baskets, either, roundings, either, st.randoms(use_true_random=False))
def test_the_order_of_the_lines_does_not_matter_to_the_total(
    lines: list[Taxable], included: bool, rounding: Rounding, per_line: bool, order: random.Random
) -> None:
    shuffled = lines.copy()
    order.shuffle(shuffled)

    def by_code(of: list[Taxable]) -> dict[str, tuple[int, int]]:
        result: TaxResult = tax_lines(of, RATES, included=included, rounding=rounding, per_line=per_line)
        return {row.code: (row.taxable, row.tax) for row in result.breakup}

    assert by_code(shuffled) == by_code(lines)


@given(st.integers(-(10**6), 10**6), st.sampled_from(sorted(RATES)), roundings)
def test_tax_put_on_top_is_the_tax_found_inside(thousands: int, code: str, rounding: Rounding) -> None:
    net = thousands * 100_000
    (on_top,) = tax_lines([Taxable(1, code, net)], RATES, included=False, rounding=rounding).breakup
    gross = net + on_top.tax
    (inside,) = tax_lines([Taxable(1, code, gross)], RATES, included=True, rounding=rounding).breakup
    assert (inside.taxable, inside.tax) == (net, on_top.tax)


@pytest.mark.parametrize(
    ("code", "amounts", "rounding", "total"),
    [
        ("sixth", [1] * 6, Rounding.UP, 1),
        ("third", [1] * 3, Rounding.DOWN, 1),
        ("sixth", [5, 5, 5], Rounding.HALF_UP, 3),
        ("sixth", [1, 1, 1], Rounding.HALF_EVEN, 0),
    ],
)
def test_fractions_that_no_decimal_can_hold_are_summed_exactly(
    code: str, amounts: list[int], rounding: Rounding, total: int
) -> None:
    lines = [Taxable(number, code, amount) for number, amount in enumerate(amounts, start=1)]
    assert tax_lines(lines, RATES, included=True, rounding=rounding, per_line=False).total_tax == total


def test_rounding_per_line_and_on_the_total_differ_as_they_must() -> None:
    lines = [Taxable(number, "sixth", 4) for number in range(1, 4)]  # 4 * 20 / 120 = 0.67 each
    per_line = tax_lines(lines, RATES, included=True, rounding=Rounding.HALF_UP)
    on_total = tax_lines(lines, RATES, included=True, rounding=Rounding.HALF_UP, per_line=False)
    assert per_line.by_line == ((1, 1), (2, 1), (3, 1))
    assert on_total.by_line == ((1, 1), (2, 1), (3, 0))


def test_the_cents_of_a_total_are_spread_and_not_heaped_on_one_line() -> None:
    lines = [Taxable(number, "sixth", 1) for number in range(1, 13)]
    result = tax_lines(lines, RATES, included=True, rounding=Rounding.HALF_UP, per_line=False)
    assert result.total_tax == 2
    assert max(tax for _, tax in result.by_line) == 1


def test_an_untaxed_code_has_its_row_in_the_table() -> None:
    (row,) = tax_lines([Taxable(1, "none", 500)], RATES, included=True, rounding=Rounding.HALF_UP).breakup
    assert (row.taxable, row.tax) == (500, 0)


def test_a_code_without_a_rate_is_refused_by_the_number_of_its_line() -> None:
    with pytest.raises(ValueError, match=r"line 7 has tax code 'wine'.*known: none, reduced"):
        tax_lines([Taxable(7, "wine", 1)], RATES, included=True, rounding=Rounding.HALF_UP)


@pytest.mark.parametrize("percent", ["-1", "-100", "NaN", "Infinity"])
def test_an_impossible_rate_is_refused(percent: str) -> None:
    with pytest.raises(ValueError, match="is not possible"):
        TaxRate("odd", Decimal(percent))
