"""A tag's 96 bits, its URI and its GTIN say the same; pieces are compared by one canonical URI."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillhook.core.domain.epc import Sgtin, encode_sgtin96, read_epc
from tillhook.core.domain.identifiers import check_digit
from tillhook.core.domain.problems import Problem

gtins = st.text("0123456789", min_size=13, max_size=13).map(lambda body: f"{body}{check_digit(body)}")
partitions = st.integers(6, 12)
serials = st.integers(0, 2**38 - 1)


def test_the_example_of_the_tag_data_standard() -> None:
    tag = read_epc("3074257BF7194E4000001A85")
    assert (tag.gtin, tag.serial) == ("80614141123458", "6789")
    assert tag.uri == "urn:epc:id:sgtin:0614141.812345.6789"
    assert read_epc(tag.uri) == tag
    assert encode_sgtin96("80614141123458", 7, 6789, filter_value=3) == "3074257BF7194E4000001A85"


@given(gtins, partitions, serials, st.integers(0, 7))
def test_what_is_written_on_a_tag_is_read_from_it(gtin: str, digits: int, serial: int, filter_value: int) -> None:
    tag = read_epc(encode_sgtin96(gtin, digits, serial, filter_value))
    assert (tag.gtin, tag.serial) == (gtin, str(serial))
    assert read_epc(tag.uri) == tag
    prefix, reference, _ = tag.uri.removeprefix("urn:epc:id:sgtin:").split(".")
    assert (len(prefix), len(reference)) == (digits, 13 - digits)


@given(gtins, partitions, serials)
def test_upper_and_lower_case_and_spaces_name_the_same_piece(gtin: str, digits: int, serial: int) -> None:
    code = encode_sgtin96(gtin, digits, serial)
    spaced = " ".join(code[i : i + 4] for i in range(0, 24, 4))
    assert read_epc(code) == read_epc(code.lower()) == read_epc(f" {spaced} ")


def test_the_filter_value_does_not_change_which_piece_it_is() -> None:
    assert len({read_epc(encode_sgtin96("09521234567899", 7, 42, filter_value)).uri for filter_value in range(8)}) == 1


def test_a_serial_of_letters_keeps_its_case_and_has_one_way_to_write_an_escape() -> None:
    tag = read_epc("urn:epc:id:sgtin:0614141.112345.32a%2fB")
    assert tag.serial == "32a%2FB"
    assert tag == read_epc("URN:EPC:ID:SGTIN:0614141.112345.32a%2FB")
    assert tag != read_epc("urn:epc:id:sgtin:0614141.112345.32A%2FB")


def test_leading_zeros_make_another_serial() -> None:
    assert read_epc("urn:epc:id:sgtin:0614141.812345.06789").uri != read_epc("urn:epc:id:sgtin:0614141.812345.6789").uri


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("", "neither"),
        ("3074257BF7194E4000001A8", "neither"),
        ("3074257BF7194E4000001A85A", "neither"),
        ("ﬀ" * 12, "neither"),
        ("urn:epc:id:sgtin:0614141.812345.", "neither"),
        ("urn:epc:id:sgtin:٠٦١٤١٤١.812345.6789", "neither"),
        ("urn:epc:id:sgtin:0614141.812345.32a/b", "neither"),
        ("urn:epc:id:sgtin:0614141.812345.32%41", "neither"),
        ("urn:epc:id:sgtin:0614141.812345.67 89", "neither"),
        ("urn:epc:id:sgtin:0614141.812345.123456789012345678901", "neither"),
        ("urn:epc:id:sgtin:0614141.81234.6789", "13 digits together"),
        ("urn:epc:id:sscc:0614141.1234567890", "neither"),
        ("3174257BF7194E4000001A85", "header 31"),
        ("307C257BF7194E4000001A85", "partition 7"),
        ("300FFFFFFFFFFFFFFFFFFFFF", "more digits"),
        ("3" * 121, "121 characters"),
    ],
)
def test_what_is_no_sgtin_is_refused(code: str, why: str) -> None:
    with pytest.raises(Problem, match=why) as refused:
        read_epc(code)
    assert refused.value.code == "barcode_invalid"


@given(st.one_of(st.text(max_size=150), st.text("0123456789abcdefABCDEF", min_size=24, max_size=24)))
def test_whatever_is_read_is_a_piece_or_a_problem_that_says_why(text: str) -> None:
    match read(text):
        case Problem(code=code):
            assert code == "barcode_invalid"
        case tag:
            assert check_digit(tag.gtin[:-1]) == int(tag.gtin[-1])


def read(text: str) -> Sgtin | Problem:
    try:
        return read_epc(text)
    except Problem as problem:
        return problem


@pytest.mark.parametrize(
    ("gtin", "digits", "serial", "filter_value"),
    [
        ("80614141123458", 5, 1, 1),
        ("80614141123458", 13, 1, 1),
        ("80614141123458", 7, 2**38, 1),
        ("80614141123458", 7, -1, 1),
        ("80614141123458", 7, 1, 8),
        ("80614141123459", 7, 1, 1),
        ("9521234567899", 7, 1, 1),
        ("", 7, 1, 1),
    ],
)
def test_what_does_not_fit_a_tag_is_refused(gtin: str, digits: int, serial: int, filter_value: int) -> None:
    with pytest.raises(ValueError, match="GTIN"):
        encode_sgtin96(gtin, digits, serial, filter_value)
