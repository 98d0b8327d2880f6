"""Money is whole minor units of one currency; nothing done to it loses or makes a cent."""

import decimal
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillhook.core.domain.money import (
    MAX_MINOR,
    Money,
    Rounding,
    exponent,
    round_minor,
    round_ratio,
    round_to_step,
    sum_money,
)

minors = st.integers(-MAX_MINOR, MAX_MINOR)
currencies = st.sampled_from(["JPY", "EUR", "KWD", "CLF"])
money = st.builds(Money, minors, currencies)
weights = st.lists(st.integers(0, 10**6), min_size=1, max_size=50).filter(any)
_DECIMAL_NAMES = {
    Rounding.HALF_UP: decimal.ROUND_HALF_UP,
    Rounding.HALF_EVEN: decimal.ROUND_HALF_EVEN,
    Rounding.UP: decimal.ROUND_UP,
    Rounding.DOWN: decimal.ROUND_DOWN,
}


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("1999", "JPY", 1999),
        ("19.99", "EUR", 1999),
        ("19.9", "EUR", 1990),
        ("19.990", "EUR", 1999),
        ("19.999", "KWD", 19999),
        ("1.2345", "CLF", 12345),
        ("-0.05", "EUR", -5),
        ("+5", "EUR", 500),
        ("00000000019.99", "EUR", 1999),
    ],
)
def test_a_plain_decimal_is_read_with_the_decimals_of_its_currency(text: str, currency: str, minor: int) -> None:
    assert Money.parse(text, currency) == Money(minor, currency)


@given(money)
def test_what_is_written_is_read_back(amount: Money) -> None:
    number, currency = str(amount).split(" ")
    assert Money.parse(number, currency) == amount
    assert len(number.partition(".")[2]) == exponent(amount.currency)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "19,99",
        "1e2",
        "1_000",
        "NaN",
        "Infinity",
        "１２",
        "٣",
        "1.",
        ".5",
        " 1",
        "1\n",
        "0x1",
        "--1",
        "9" * 500,
    ],
)
def test_anything_but_a_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an amount"):
        Money.parse(text, "EUR")


@pytest.mark.parametrize(("text", "currency"), [("0.5", "JPY"), ("19.999", "EUR"), ("1.0000000000000000001", "EUR")])
def test_more_decimals_than_the_currency_has_are_refused(text: str, currency: str) -> None:
    with pytest.raises(ValueError, match=f"decimals of {currency}"):
        Money.parse(text, currency)


def test_an_amount_beyond_any_charge_is_refused() -> None:
    assert Money.parse(str(MAX_MINOR), "JPY").minor == MAX_MINOR
    with pytest.raises(ValueError, match="beyond"):
        Money.parse(str(MAX_MINOR + 1), "JPY")


@pytest.mark.parametrize("code", ["", "EURO", "eur", "978", "ZZZ"])
def test_a_code_that_is_no_currency_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="is not an ISO 4217 currency code"):
        exponent(code)


@pytest.mark.parametrize("code", ["XAU", "XTS"])
def test_gold_and_no_currency_at_all_cannot_be_charged(code: str) -> None:
    with pytest.raises(ValueError, match="cannot be charged"):
        exponent(code)


@given(money, st.integers(1, 5))
def test_a_plugin_that_changes_the_decimal_precision_changes_no_amount(amount: Money, precision: int) -> None:
    before = str(amount)
    with decimal.localcontext(prec=precision):
        assert str(amount) == before
        assert Money.parse(before.removesuffix(f" {amount.currency}"), amount.currency) == amount


@given(minors, minors)
def test_adding_and_taking_away_undo_each_other(one: int, other: int) -> None:
    a, b = Money(one, "EUR"), Money(other, "EUR")
    assert a + b - b == a
    assert a - b == a + -b
    assert bool(a - b) == (one != other)
    assert ((a < b), (a <= b), (a > b), (a >= b)) == ((one < other), (one <= other), (one > other), (one >= other))


@given(minors, st.integers(0, 50))
def test_so_many_times_is_added_so_often(minor: int, count: int) -> None:
    assert Money(minor, "EUR") * count == sum_money([Money(minor, "EUR")] * count, "EUR")


def test_two_currencies_refuse_to_mix() -> None:
    euro, krone = Money(1, "EUR"), Money(1, "DKK")
    for mix in (
        lambda: euro + krone,
        lambda: euro - krone,
        lambda: euro < krone,
        lambda: euro >= krone,
        lambda: sum_money([euro, krone], "EUR"),
        lambda: sum_money([], "EUR") + krone,
    ):
        with pytest.raises(ValueError, match="currencies differ"):
            mix()
    assert euro != krone


@given(money, weights)
def test_an_allocation_never_loses_a_cent(amount: Money, shares: list[int]) -> None:
    parts = amount.allocate(shares)
    assert sum_money(parts, amount.currency) == amount
    for part, weight in zip(parts, shares, strict=True):
        assert abs(part.minor - Fraction(amount.minor * weight, sum(shares))) < 1
        assert part.minor == 0 or (part.minor > 0) == (amount.minor > 0)


@given(money, weights)
def test_a_weight_of_nothing_gets_nothing_and_a_refund_mirrors_its_sale(amount: Money, shares: list[int]) -> None:
    parts = amount.allocate(shares)
    assert all(not part for part, weight in zip(parts, shares, strict=True) if weight == 0)
    assert (-amount).allocate(shares) == tuple(-part for part in parts)


def test_the_cents_that_are_left_go_to_the_largest_remainders() -> None:
    assert [part.minor for part in Money(100, "EUR").allocate([1, 1, 1])] == [34, 33, 33]
    assert [part.minor for part in Money(10, "EUR").allocate([1, 6, 6])] == [1, 5, 4]
    assert [part.minor for part in Money(5, "JPY").allocate([3, 7])] == [2, 3]


@pytest.mark.parametrize("bad", [[], [0], [0, 0], [2, -1], [-1]])
def test_weights_that_share_nothing_are_refused(bad: list[int]) -> None:
    with pytest.raises(ValueError, match="weights must be non-negative"):
        Money(100, "EUR").allocate(bad)


@given(st.decimals(-(10**12), 10**12, places=4), st.sampled_from(Rounding))
def test_rounding_is_what_the_decimal_module_calls_by_the_same_name(value: Decimal, rounding: Rounding) -> None:
    assert round_minor(value, rounding) == int(value.quantize(Decimal(1), rounding=_DECIMAL_NAMES[rounding]))


@given(st.integers(-(10**40), 10**40), st.integers(1, 10**6), st.sampled_from(Rounding))
def test_a_rounded_fraction_is_less_than_one_away_and_never_drifts(n: int, of: int, rounding: Rounding) -> None:
    rounded = round_ratio(n, of, rounding)
    exact = Fraction(n, of)
    assert abs(rounded - exact) < 1
    assert round_ratio(rounded, 1, rounding) == rounded
    assert round_ratio(-n, of, rounding) == -rounded
    if rounding in {Rounding.HALF_UP, Rounding.HALF_EVEN}:
        assert abs(rounded - exact) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("minor", "step", "rounded"),
    [(1002, 5, 1000), (1003, 5, 1005), (1025, 50, 1050), (1049, 100, 1000), (-1003, 5, -1005)],
)
def test_cash_is_rounded_to_the_smallest_coin(minor: int, step: int, rounded: int) -> None:
    assert round_to_step(minor, step) == rounded


@pytest.mark.parametrize("step", [0, -5])
def test_a_coin_worth_nothing_is_refused(step: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        round_to_step(100, step)
