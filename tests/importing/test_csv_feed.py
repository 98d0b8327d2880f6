"""What the built-in CSV feed makes of a file, line by line."""

import tracemalloc
from io import BytesIO
from typing import BinaryIO, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tillhook.core.domain.money import Money
from tillhook.core.domain.store import Item
from tillhook.core.roles.offers import FeedItem
from tillhook.core.services.feeds import MAX_LINE_BYTES, CsvFeed

HEADER = "retailer_barcode,item_name,price_with_vat,vat_percent\n"
LEMON = "95212340,Lemon,4.50,12\n"
"""A good row; its check digit is right."""


def read(text: str | bytes, currency: str = "SEK") -> list[FeedItem]:
    raw = text if isinstance(text, bytes) else text.encode()
    return list(CsvFeed().read(BytesIO(raw), "corner", currency))


def only(text: str, currency: str = "SEK") -> Item:
    (row,) = read(text, currency)
    assert row.item is not None, row
    return row.item


def refused(row: str | bytes, header: str = HEADER) -> str:
    """The reason for which the row is refused, between two good rows that are not."""
    raw = row if isinstance(row, bytes) else row.encode()
    first, bad, last = read(header.encode() + LEMON.encode() + raw + b"\n" + LEMON.encode())
    assert first.item == last.item is not None
    assert (first.line, bad.line, bad.item) == (2, 3, None)
    return bad.refusal


def test_a_row_with_every_column_becomes_an_item() -> None:
    text = (
        "retailer_product_code,retailer_barcode,item_name,price_with_vat,currency,vat_percent,tax_code,category_a,"
        "category_b,category_c,max_basket_quantity,blocked_reason,stock_level\n"
        "P-7,95212340,Lemon,4.50,SEK,12,food,Food,Fruit,Citrus,6,recalled,99\n"
    )

    assert only(text) == Item(
        item_id="",
        catalogue="corner",
        gtin="00000095212340",
        barcode="95212340",
        name="Lemon",
        price=Money(450, "SEK"),
        tax_code="food",
        category="Food > Fruit > Citrus",
        retailer_product_id="P-7",
        max_basket_quantity=6,
        blocked_reason="recalled",
    )


@pytest.mark.parametrize(
    ("percent", "code"), [("20", "vat20"), ("5.5", "vat5.5"), ("10.00", "vat10"), ("0", "vat0"), ("100", "vat100")]
)
def test_a_vat_percentage_becomes_a_tax_code(percent: str, code: str) -> None:
    assert only(f"{HEADER}95212340,Lemon,4.50,{percent}\n").tax_code == code


def test_an_empty_tax_code_leaves_it_to_the_percentage() -> None:
    header = "retailer_barcode,item_name,price_with_vat,vat_percent,tax_code\n"

    assert only(f"{header}95212340,Lemon,4.50,12,\n").tax_code == "vat12"
    assert only(f"{header}95212340,Lemon,4.50,,food\n").tax_code == "food"


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_utf8_is_read_with_and_without_byte_order_mark_and_with_any_line_end(start: bytes, end: str) -> None:
    (row,) = read(start + f"{HEADER}95212340,Crème fraîche,4.50,12\n".replace("\n", end).encode())

    assert row.item is not None
    assert row.item.name == "Crème fraîche"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("&quot;Baguette&quot; &amp; butter", '"Baguette" & butter'),
        ("  Lemon \t juice  ", "Lemon juice"),
        ("Lemon\x07\x1b[2J", "Lemon[2J"),
        ("&#0;&#27;Lemon", "�Lemon"),
        ("x" * 501, "x" * 500),
        ("y" * 499 + " z", "y" * 499),
    ],
)
def test_names_are_cleaned(written: str, kept: str) -> None:
    assert only(f"{HEADER}95212340,{written},4.50,12\n").name == kept


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("95212349,Lemon,4.50,12", "wrong check digit"),
        ("00000000,Lemon,4.50,12", "all zeros"),
        ("952123,Lemon,4.50,12", "wrong length"),
        ("00000000001111111111,Lemon,4.50,12", "wrong length"),
        ("LEMON,Lemon,4.50,12", "not digits"),
        ("٩٥٢١٢٣٤٠,Lemon,4.50,12", "not digits"),
        (",Lemon,4.50,12", "no barcode"),
        ("95212340,,4.50,12", "no name"),
        ("95212340,\x01 \t,4.50,12", "no name"),
        ("95212340,Lemon,,12", "bad price"),
        ("95212340,Lemon,free,12", "bad price"),
        ("95212340,Lemon,1e3,12", "bad price"),
        ("95212340,Lemon,1_000,12", "bad price"),
        ("95212340,Lemon,NaN,12", "bad price"),
        ("95212340,Lemon,999999999999999,12", "bad price"),
        ("95212340,Lemon,-4.50,12", "negative price"),
        ("95212340,Lemon,4.505,12", "too many decimals"),
        ("95212340,Lemon,4.50,", "no tax code"),
        ("95212340,Lemon,4.50,twelve", "bad VAT percentage"),
        ("95212340,Lemon,4.50,101", "bad VAT percentage"),
        ("95212340,Lemon,4.50", "wrong number of columns"),
        ("95212340,Lemon, yellow,4.50,12", "wrong number of columns"),
        ('95212340,"Lemon,4.50,12', "not CSV"),
        ("95212340,Lem\ron,4.50,12", "not CSV"),
        ("95212340,Lemon\0,4.50,12", "NUL byte"),
        (b"95212340,Cr\xe8me,4.50,12", "not UTF-8"),
        ("9" * (MAX_LINE_BYTES + 1), "line too long"),
    ],
)
def test_a_bad_row_is_refused_and_the_rows_around_it_are_not(row: str | bytes, reason: str) -> None:
    assert refused(row) == reason


@pytest.mark.parametrize(
    ("currency", "reason"), [("XQQ", "unknown currency"), ("EUR", "other currency"), ("sek", "unknown currency")]
)
def test_a_row_in_another_currency_is_refused(currency: str, reason: str) -> None:
    header = HEADER.replace("vat_percent", "vat_percent,currency")
    (row,) = read(f"{header}95212340,Lemon,4.50,12,{currency}\n")

    assert row.refusal == reason


def test_a_quantity_that_is_none_is_refused() -> None:
    (row,) = read(f"{HEADER.strip()},max_basket_quantity\n95212340,Lemon,4.50,12,-1\n")

    assert row.refusal == "bad quantity"


def test_decimals_beyond_the_currency_are_refused_unless_they_are_zeros() -> None:
    assert only(f"{HEADER}95212340,Lemon,450.00,10\n", "JPY").price == Money(450, "JPY")
    assert only(f"{HEADER}95212340,Lemon,1.505,5\n", "KWD").price == Money(1505, "KWD")
    assert [row.refusal for row in read(f"{HEADER}95212340,Lemon,450.5,10\n", "JPY")] == ["too many decimals"]


def test_a_refusal_names_the_line_the_barcode_and_what_is_wrong() -> None:
    (row,) = read(f"{HEADER}\n\n95212349,Lemon,4.50,12\n")

    assert (row.line, row.barcode, row.refusal) == (4, "95212349", "wrong check digit")
    assert row.detail == "95212349 has check digit 9 where 0 is right; scan it again."


def test_a_quoted_cell_may_hold_commas_quotes_and_line_ends() -> None:
    rows = read(f'{HEADER}95212340,"Lemon, ""yellow""\nand round",4.50,12\n95212349,Lemon,4.50,12\n')

    assert [(row.line, row.item.name if row.item else row.refusal) for row in rows] == [
        (2, 'Lemon, "yellow" and round'),
        (4, "wrong check digit"),
    ]


def test_a_stray_quote_inside_a_cell_is_kept() -> None:
    assert only(f'{HEADER}95212340,Pizza 12" lemon,4.50,12\n').name == 'Pizza 12" lemon'


def test_two_stray_quotes_cost_their_own_lines_only() -> None:
    """The second would close the first; what lies between them must not be swallowed."""
    stray = '95212340,"Lemon,4.50,12\n'
    rows = read(HEADER + LEMON + stray + LEMON * 3 + stray + LEMON)

    assert [row.line for row in rows if row.item is None] == [3, 7]
    assert len([row for row in rows if row.item is not None]) == 5


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("item_name,vat_percent\n", r"no column retailer_barcode, price_with_vat; wanted: .*; found: item_name, vat_p"),
        ("retailer_barcode,item_name,price_with_vat\n", r"no column tax_code or vat_percent"),
        ("retailer_barcode;item_name;price_with_vat;vat_percent\n", r"found: retailer_barcode;item_name;"),
        (HEADER.replace("\n", ",item_name\n"), r"more than one column item_name"),
        ("", r"no column .*; found: none"),
        ("x" * (MAX_LINE_BYTES + 1), r"line 1 should name the columns, but cannot be read: longer than 65536 bytes"),
        (HEADER.encode("utf-16"), r"UTF-16; save it as UTF-8"),
    ],
)
def test_a_file_without_the_wanted_columns_is_refused_as_a_whole(header: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(header)


def test_an_unknown_currency_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ValueError, match="'XQQ' is not an ISO 4217"):
        read(HEADER + LEMON, "XQQ")


def test_columns_are_found_by_name_whatever_their_order_and_case() -> None:
    assert only(" Vat_Percent ,PRICE_WITH_VAT,x,item_name,retailer_barcode\n12,4.50,?,Lemon,95212340\n") == only(
        HEADER + LEMON
    )


@given(st.lists(st.binary(max_size=60).map(lambda junk: junk.replace(b"\n", b" ")), max_size=20))
@example([b'"', b"", b'","', b'a,"', b'"",'])
@example([b"\xff", b'1,"\xff', b'",2'])
def test_no_line_however_odd_keeps_a_later_one_from_being_read(junk: list[bytes]) -> None:
    rows = read(HEADER.encode() + b"".join(line + b"\n" for line in junk) + LEMON.encode())

    lines = [row.line for row in rows]
    assert lines == sorted(set(lines))
    assert (rows[-1].line, rows[-1].item) == (len(junk) + 2, only(HEADER + LEMON))
    if not any(b'"' in line for line in junk):
        assert lines == [at for at, line in enumerate([*junk, b"good"], start=2) if line.strip()]


class _Endless:
    """A file whose second line has ``size`` bytes."""

    def __init__(self, size: int) -> None:
        self._head = [HEADER.encode()]
        self._left = size
        self._tail = [b"\n", LEMON.encode()]

    def readline(self, most: int = -1) -> bytes:
        if self._head:
            return self._head.pop()
        if self._left:
            size = min(most, self._left)
            self._left -= size
            return b"9" * size
        return self._tail.pop(0) if self._tail else b""


def test_a_line_of_a_gigabyte_is_refused_in_constant_memory() -> None:
    tracemalloc.start()
    try:
        rows = list(CsvFeed().read(cast(BinaryIO, _Endless(1_000_000_000)), "corner", "SEK"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert [(row.line, row.refusal) for row in rows] == [(2, "line too long"), (3, "")]
    assert peak < 2_000_000
