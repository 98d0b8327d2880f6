"""What every item feed keeps: a bad row costs itself only, prices are exact, and no file is too large."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import ClassVar, Final

import pytest
from hypothesis import strategies as st

from tillhook.core.domain.identifiers import gtin14
from tillhook.core.domain.money import MAX_MINOR, Money, exponent
from tillhook.core.domain.store import Item
from tillhook.core.plugins.shapes import fits
from tillhook.core.roles.offers import FeedItem, ItemFeed
from tillhook.core.testing import files
from tillhook.core.testing.contracts.offered import OfferedContract
from tillhook.core.testing.strategies import gtins
from tillhook.core.testing.subject import Subject

CATALOGUE: Final = "contract"
_GOOD: Final = ("9521234001010", "9521234001027")
_SHORTER_CODES: Final = {"GTIN-8": "95212340", "GTIN-12": "952123400109", "GTIN-14": "19521234001017"}
_BAD_CODES: Final = {
    "wrong check digit": "9521234001011",
    "no digits": "LEMON",
    "too short": "9521",
    "too long": "952123400101095212340",
    "all zeros": "0000000000000",
    "empty": "",
}
_BAD_PRICES: Final = {
    "negative": "-4.50",
    "no number": "free",
    "empty": "",
    "too many decimals": "4.505",
    "absurd": f"{MAX_MINOR * 1000}.00",
    "infinite": "inf",
    "not a number": "NaN",
    "an exponent": "1e3",
}
_TOO_EXACT_FOR_FLOATS: Final = (0, 1, 29, 57, 115, 435, 1005, 1999, 9_999_999)
"""Minor units: 0.29 * 100 is 28.999999999999996."""
_NAMES: Final = ("Coffee mug", "Smørrebrødspålæg 200 g", "日本製 抹茶", "Kaffe ☕️", "=1+1", "@SUM(A1)", "50% off")


class ItemFeedContract(OfferedContract):
    """Inherit it, name the plugin and its settings, and show how a file is written::

    class TestAcmeFeed(ItemFeedContract):
        plugin = Acme
        head = "ean,title,price,vat\\n"
        row = "{barcode},{name},{price},standard\\n"
    """

    proves = ("item_feeds",)
    offer = "item_feeds"
    feed_name: ClassVar[str] = ""
    """Which feed, for a plugin that offers several."""
    head: ClassVar[str] = ""
    """What stands before the rows, with its line ends."""
    row: ClassVar[str]
    """One item, with its line end, around ``{barcode}``, ``{name}`` and ``{price}`` (and other braces doubled)."""
    foot: ClassVar[str] = ""
    """What stands after the rows."""
    samples: ClassVar[Mapping[str | bytes, int]] = {}
    """Real files beside the test (or their content) → number of items in them."""
    encoding: ClassVar[str] = "utf-8"
    by_line: ClassVar[bool] = True
    """Whether a broken line costs itself only. False (XML, JSON): it may cost the whole file."""
    decimals: ClassVar[int | None] = None
    """Digits after the point in every file, whatever the currency; None: as the currency has."""

    @pytest.fixture
    def feed(self, subject: Subject) -> ItemFeed:
        found: ItemFeed = self.picked(subject, self.feed_name)
        return found

    # --- what it reads

    def test_it_is_a_feed_with_a_name(self, feed: ItemFeed) -> None:
        assert isinstance(feed, ItemFeed)
        assert feed.name

    @pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
    def test_a_row_becomes_an_item_of_the_catalogue_in_its_currency(self, feed: ItemFeed, currency: str) -> None:
        price = Money(1999, currency)
        (item,) = self.items(feed, self.file(self.written(price=price)), currency)
        assert (item.catalogue, item.price) == (CATALOGUE, price)
        assert (item.gtin, item.name) == (gtin14(_GOOD[0]), "Coffee mug")
        assert item.tax_code, "it has no tax code"

    def test_every_price_is_exact(self, feed: ItemFeed) -> None:
        @self.for_any(st.lists(st.integers(0, 10**9), max_size=20), st.sampled_from(("EUR", "JPY", "KWD")))
        def check(minors: list[int], currency: str) -> None:
            prices = [Money(at, currency) for at in (*_TOO_EXACT_FOR_FLOATS, *minors)]
            items = self.items(feed, self.file(*(self.written(price=at) for at in prices)), currency)
            assert [item.price for item in items] == prices

        check()

    def test_every_code_is_kept_as_fourteen_digits(self, feed: ItemFeed) -> None:
        @self.for_any(st.lists(gtins(), min_size=1, max_size=10))
        def check(codes: list[str]) -> None:
            items = self.items(feed, self.file(*(self.written(code[1:]) for code in codes)))
            assert [item.gtin for item in items] == codes

        check()
        for form, code in _SHORTER_CODES.items():
            assert [item.gtin for item in self.items(feed, self.file(self.written(code)))] == [gtin14(code)], form

    @pytest.mark.parametrize("name", _NAMES)
    def test_a_name_stays_the_text_that_it_is(self, feed: ItemFeed, name: str) -> None:
        assert [item.name for item in self.items(feed, self.file(self.written(name=name)))] == [name]

    def test_every_sample_gives_the_items_that_are_in_it(self, feed: ItemFeed) -> None:
        if not self.samples:
            pytest.skip("not given: samples")
        found = {name: len(self.items(feed, self.content(name))) for name in self.samples}
        assert found == dict(self.samples)

    # --- the same again

    def test_the_same_file_twice_gives_equal_rows(self, feed: ItemFeed) -> None:
        content = self.file(self.written(), self.written("nonsense"), self.written(_GOOD[1]))
        assert self.read(feed, content) == self.read(feed, content)

    def test_a_code_that_stands_there_twice_is_given_twice(self, feed: ItemFeed) -> None:
        """Which row counts is the import's business; a feed that remembers codes holds the whole file."""
        rows = self.read(feed, self.file(self.written(), self.written(), self.written(_GOOD[1])))
        assert len(rows) == 3

    @pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
    def test_line_ends_do_not_matter(self, feed: ItemFeed, end: bytes) -> None:
        content = self.file(self.written(), self.written(_GOOD[1]))
        assert self.read(feed, files.with_line_ends(content, end)) == self.read(feed, content)

    def test_a_byte_order_mark_does_not_matter(self, feed: ItemFeed) -> None:
        if self.encoding.lower() != "utf-8":
            pytest.skip("it does not read utf-8")
        content = self.file(self.written(), self.written(_GOOD[1]))
        assert self.read(feed, files.UTF8_BOM + content) == self.read(feed, content)

    # --- a stream, in constant memory

    def test_a_large_file_is_read_as_a_stream(self, feed: ItemFeed) -> None:
        row = self.written().encode(self.encoding)
        times = files.LARGE // len(row) + 1
        content = self.head.encode(self.encoding) + row * times + self.foot.encode(self.encoding)
        found = self.use("read", lambda: files.read_lazily(lambda source: feed.read(source, CATALOGUE, "EUR"), content))
        assert found == times, "it loses rows of a large file"

    # --- what cannot be sold is refused, and the rest goes on

    @pytest.mark.parametrize("code", _BAD_CODES)
    def test_a_code_that_is_no_gtin_is_refused(self, feed: ItemFeed, code: str) -> None:
        self.check_refused(feed, self.written(_BAD_CODES[code]))

    @pytest.mark.parametrize("price", _BAD_PRICES)
    def test_a_price_that_is_none_is_refused(self, feed: ItemFeed, price: str) -> None:
        self.check_refused(feed, self.written(price=_BAD_PRICES[price]))

    def test_an_item_without_a_name_is_refused(self, feed: ItemFeed) -> None:
        self.check_refused(feed, self.written(name=""))

    def test_half_a_row_is_refused_and_the_rest_goes_on(self, feed: ItemFeed) -> None:
        if not self.by_line:
            pytest.skip("it does not read line by line")
        half = self.written()[: len(self.written()) // 3].rstrip() + "\n"
        self.check_refused(feed, half)

    def test_a_byte_that_is_no_text_is_refused_and_the_rest_goes_on(self, feed: ItemFeed) -> None:
        if self.encoding.lower() != "utf-8":
            pytest.skip("it does not read utf-8")
        spoilt = self.written(name="Lem#n").encode().replace(b"#", b"\xff")
        if self.by_line:
            self.check_refused(feed, spoilt)
        else:
            failure = self.failure("read", lambda: self.read(feed, self.file(self.written(), spoilt)))
            assert isinstance(failure, ValueError), f"expected a ValueError, got {failure!r}"

    def test_rows_with_the_same_fault_are_counted_together(self, feed: ItemFeed) -> None:
        bad = (self.written(price="-1.00"), self.written(_GOOD[1], price="-2.00"))
        refusals = [row.refusal for row in self.read(feed, self.file(*bad))]
        assert len(set(refusals)) == 1, f"a refusal is a few words, the same for each such row: {refusals}"
        assert len(refusals[0]) <= 60, f"a refusal is a few words: {refusals[0]!r}"

    @pytest.mark.parametrize("form", files.FOREIGN)
    def test_a_file_of_another_format_is_refused(self, feed: ItemFeed, form: str) -> None:
        found: list[FeedItem] = []
        failure = self.failure("read", lambda: found.extend(self.read(feed, files.FOREIGN[form])))
        assert isinstance(failure, ValueError), f"{form}: expected a ValueError, got {failure!r} and {found}"
        assert str(failure).replace("\n", " ").isprintable(), f"{form}: its message shows what cannot be printed"

    # --- words of this suite

    def escaped(self, text: str) -> str:
        """Override it for a format in which some characters of a name must be written otherwise, such as XML."""
        return text

    def priced(self, price: Money) -> str:
        """How a file writes a price; override it for one that does not write ``19.99``."""
        digits = exponent(price.currency) if self.decimals is None else self.decimals
        return f"{price.decimal:.{digits}f}"

    def written(self, barcode: str = _GOOD[0], name: str = "Coffee mug", price: Money | str = "19.99") -> str:
        """A row of a file."""
        written = self.priced(price) if isinstance(price, Money) else price
        return self.row.format(barcode=barcode, name=self.escaped(name), price=written)

    def file(self, *rows: str | bytes) -> bytes:
        raw = [row if isinstance(row, bytes) else row.encode(self.encoding) for row in rows]
        return b"".join([self.head.encode(self.encoding), *raw, self.foot.encode(self.encoding)])

    def read(self, feed: ItemFeed, content: bytes, currency: str = "EUR") -> list[FeedItem]:
        def read() -> list[FeedItem]:
            rows = feed.read(BytesIO(content), CATALOGUE, currency)
            assert isinstance(rows, Iterator), f"they come as {type(rows).__name__}: give them one by one (`yield`)"
            return list(rows)

        rows = self.use("read", read)
        for row in rows:
            assert fits(row, FeedItem), row
            assert bool(row.refusal) == (row.item is None), f"either an item or a refusal: {row}"
            assert row.item is None or row.item.price.minor >= 0, row
        return rows

    def items(self, feed: ItemFeed, content: bytes, currency: str = "EUR") -> Sequence[Item]:
        """The items of a file that has no bad row."""
        rows = self.read(feed, content, currency)
        refused = [f"line {row.line}: {row.refusal} {row.detail}" for row in rows if row.item is None]
        assert refused == []
        return [row.item for row in rows if row.item is not None]

    def content(self, sample: str | bytes) -> bytes:
        return sample if isinstance(sample, bytes) else (files.folder_of(type(self), "samples") / sample).read_bytes()

    def check_refused(self, feed: ItemFeed, bad: str | bytes) -> None:
        """A bad row between two good ones is refused by its line, and they are not."""
        line = 2 + self.head.count("\n")
        rows = self.read(feed, self.file(self.written(), bad, self.written(_GOOD[1])))
        assert [row.item is not None for row in rows] == [True, False, True], f"a good, a bad, a good row gave {rows}"
        assert rows[1].line == line, f"it was line {line}: {rows[1]}"
