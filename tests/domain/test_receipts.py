"""Receipts on paper and on a page: nothing is wider than the paper, nothing steers the printer or the browser."""

import itertools
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillhook.core.domain.receipt import Align, Blank, Code, ItemRow, Pair, Receipt, ReceiptType, Row, Rule, Text
from tillhook.core.domain.receipt_render import columns, printable, render_html, render_text

letters = st.one_of(
    st.text(max_size=60),
    st.text(
        st.sampled_from(
            "aé ñＡ東京。👩👧❤\ufe0f\u200d\u0301\u0e33\u0e49नमस्ते\u05e9\u0644\u0627 -<&\"'\x1b\x00\n\t\u202e"
        ),
        max_size=60,
    ),
)
rows: st.SearchStrategy[Row] = st.one_of(
    st.builds(Text, letters, st.sampled_from(Align), st.booleans()),
    st.builds(Pair, letters, letters, st.booleans()),
    st.builds(ItemRow, letters, letters, letters),
    st.builds(Rule),
    st.builds(Blank),
    st.builds(Code, letters, st.sampled_from(["qr", "code128"])),
)
receipts = st.builds(
    Receipt, st.sampled_from(ReceiptType), letters, st.just("en"), st.lists(rows, max_size=12).map(tuple)
)


def receipt(*printed: Row, title: str = "Receipt", language: str = "en") -> Receipt:
    return Receipt(ReceiptType.ORDER, title, language, printed)


def cells(line: str) -> int:
    """A second opinion on the width, never less than what a printer needs: a selector may widen what it follows."""
    widths = {"W": 2, "F": 2}
    marks = {"Mn", "Me"}
    return sum(
        0 if unicodedata.category(c) in marks else widths.get(unicodedata.east_asian_width(c), 1) for c in line
    ) + sum(
        1
        for before, c in itertools.pairwise(line)
        if c == "\ufe0f"
        and unicodedata.category(before) not in marks
        and unicodedata.east_asian_width(before) not in "WF"
    )


@given(receipts, st.one_of(st.sampled_from([48, 42, 32]), st.integers(2, 60)))
def test_no_line_is_ever_wider_than_the_paper(printed: Receipt, width: int) -> None:
    for line in render_text(printed, width).split("\n"):
        assert cells(line) <= width


@given(receipts)
def test_control_and_format_characters_never_reach_the_paper(printed: Receipt) -> None:
    text = render_text(printed)
    assert {c for c in text if unicodedata.category(c)[0] == "C"} <= {"\n"}
    assert text == "" or text.endswith("\n")


@given(receipts)
def test_every_word_is_printed_in_its_order(printed: Receipt) -> None:
    expected = "".join(
        "".join(printable(part) for part in parts(row)).replace(" ", "")
        for row in printed.rows
        if not isinstance(row, Rule)
    )
    text = render_text(receipt(*(row for row in printed.rows if not isinstance(row, Rule))), 42)
    assert "".join(text.split()) == expected


def parts(row: Row) -> tuple[str, ...]:
    match row:
        case Text(text):
            return (text,)
        case Pair(left, right):
            return (left, right)
        case ItemRow(name, detail, amount):
            return (name, detail, amount)
        case Code(value, symbology):
            return (f"[{symbology}]", value)
        case Rule() | Blank():
            return ()


@pytest.mark.parametrize(
    ("text", "wide"),
    [
        ("", 0),
        ("abc", 3),
        ("é", 1),
        ("e\u0301", 1),
        ("東京", 4),
        ("Ａ１", 4),
        ("👩", 2),
        ("❤", 1),
        ("❤\ufe0f", 2),
        ("שלום", 4),
        ("\u0301", 0),
    ],
)
def test_a_text_takes_as_many_columns_as_a_printer_gives_it(text: str, wide: int) -> None:
    assert columns(text) == wide


def test_values_stand_at_the_right_edge_whatever_the_label_is_made_of() -> None:
    printed = render_text(receipt(Pair("Total", "12.00"), Pair("合計", "12.00"), Pair("Cafe\u0301", "12.00")), 20)
    assert printed.splitlines() == [
        "Total          12.00",
        "合計           12.00",
        "Cafe\u0301           12.00",
    ]


def test_a_long_label_is_wrapped_beside_its_value() -> None:
    printed = render_text(receipt(ItemRow("Oat drink, organic, 1 litre", "2 x 6.00 with a deposit", "12.00")), 21)
    assert printed.splitlines() == ["Oat drink, organic, 1", "litre", "  2 x 6.00 with", "  a deposit     12.00"]


def test_a_value_as_wide_as_the_paper_stands_below_its_label() -> None:
    printed = render_text(receipt(Pair("Transaction", "ord_0123456789ab")), 18)
    assert printed.splitlines() == ["Transaction", "  ord_0123456789ab"]


def test_a_word_is_broken_only_where_a_line_cannot_hold_it_and_never_between_a_letter_and_its_marks() -> None:
    printed = render_text(receipt(Text("ab " + "e\u0301" * 5)), 4)
    assert printed.splitlines() == ["ab", "e\u0301" * 4, "e\u0301"]


def test_texts_are_aligned_by_their_columns() -> None:
    printed = render_text(receipt(Text("東京", Align.CENTER), Text("東京", Align.RIGHT), Text("", Align.RIGHT)), 10)
    assert printed.split("\n") == ["   東京", "      東京", "", ""]


@pytest.mark.parametrize("width", [1, 0, -5])
def test_paper_without_room_for_an_emoji_is_refused(width: int) -> None:
    with pytest.raises(ValueError, match="columns wide"):
        render_text(receipt(Rule()), width)


def test_escape_codes_of_a_printer_and_reversing_marks_are_taken_out() -> None:
    assert printable("Milk\x1b@\x1d\x56\x00 \u202e1 l\u2028half\u00ad fat\ud800") == "Milk@ V 1 l half fat"


class Page(HTMLParser):
    """What a browser makes of a page: its elements, their attributes, its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: set[tuple[str, str]] = set()
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes |= {(tag, name) for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@given(receipts)
def test_no_text_becomes_markup_of_the_page(printed: Receipt) -> None:
    page = Page(render_html(printed))
    assert set(page.elements) <= {"html", "head", "meta", "title", "style", "body", "main", "p", "span", "hr"}
    assert page.attributes <= {
        ("html", "lang"),
        ("meta", "charset"),
        ("meta", "name"),
        ("meta", "content"),
        ("p", "class"),
    }
    shown = "".join("".join(page.text).split())
    for row in printed.rows:
        for part in parts(row)[1:] if isinstance(row, Code) else parts(row):
            assert printable(part).replace(" ", "") in shown


@given(receipts)
def test_control_characters_never_reach_the_page(printed: Receipt) -> None:
    assert {c for c in render_html(printed) if unicodedata.category(c)[0] == "C"} <= {"\n"}


def test_a_hostile_name_is_shown_as_it_is_written() -> None:
    hostile = "<script>alert('1')</script> & \"Söns\""
    page = render_html(receipt(Text(hostile), title=hostile, language='en"><script>'))
    assert "<script" not in page
    assert Page(page).text.count(hostile) == 2
