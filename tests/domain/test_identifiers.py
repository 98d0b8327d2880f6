"""A GTIN has one canonical form of 14 digits, and a check digit that catches what a scanner misreads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillhook.core.domain.identifiers import GTIN_LENGTHS, check_digit, gtin14
from tillhook.core.domain.problems import Problem

bodies = st.sampled_from([length - 1 for length in GTIN_LENGTHS]).flatmap(
    lambda n: st.text("0123456789", min_size=n, max_size=n)
)
codes = bodies.map(lambda body: f"{body}{check_digit(body)}").filter(lambda code: bool(code.strip("0")))


@pytest.mark.parametrize(
    ("code", "canonical"),
    [
        ("96385074", "00000096385074"),
        ("036000291452", "00036000291452"),
        ("9521234567899", "09521234567899"),
        ("80614141123458", "80614141123458"),
    ],
)
def test_a_gtin_of_any_length_becomes_14_digits(code: str, canonical: str) -> None:
    assert gtin14(code) == canonical


@given(codes)
def test_the_weighted_sum_of_a_whole_gtin_is_a_multiple_of_ten(code: str) -> None:
    """The check the other way round: from the left of the canonical form, all 14 digits, weights 3 and 1."""
    canonical = gtin14(code)
    assert sum(int(digit) * (3, 1)[place % 2] for place, digit in enumerate(canonical)) % 10 == 0


@given(codes)
def test_the_canonical_form_is_its_own_canonical_form(code: str) -> None:
    canonical = gtin14(code)
    assert len(canonical) == 14
    assert gtin14(canonical) == canonical
    assert int(canonical) == int(code)


@given(codes, st.data())
def test_any_single_wrong_digit_is_caught(code: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(code) - 1))
    wrong = data.draw(st.sampled_from("0123456789").filter(lambda digit: digit != code[place]))
    with pytest.raises(Problem) as refused:
        gtin14(code[:place] + wrong + code[place + 1 :])
    assert refused.value.code == "barcode_invalid"


@given(st.text(max_size=300))
def test_whatever_is_scanned_is_a_gtin_or_a_problem_that_says_why(text: str) -> None:
    match read(text):
        case Problem(code=code, detail=detail):
            assert code == "barcode_invalid"
            assert len(detail) < 500
        case canonical:
            assert canonical.endswith(text)


def read(text: str) -> str | Problem:
    try:
        return gtin14(text)
    except Problem as problem:
        return problem


@pytest.mark.parametrize(
    "code",
    ["", "0", "00000000", "0" * 14, "9521234567890", "95212345678x9", " 9521234567899", "9" * 100_000, "٩٦٣٨٥٠٧٤"],
)
def test_what_is_no_gtin_is_refused(code: str) -> None:
    with pytest.raises(Problem, match="barcode_invalid"):
        gtin14(code)
