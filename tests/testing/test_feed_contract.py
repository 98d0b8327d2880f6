"""The contract of item feeds notices each broken promise; the built-in CSV feed keeps them all."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, ClassVar
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace

from tests.testing.broken import broken_promises
from tillhook import CsvFeed, FeedItem, Item, ItemFeed, Money, Plugin, Problem, gtin14, hookimpl
from tillhook.core.testing.contracts.feed import ItemFeedContract


class Corner(Plugin):
    feed: ClassVar[Any] = CsvFeed

    @hookimpl
    def item_feeds(self) -> Sequence[ItemFeed]:
        return (self.feed(),)


class CornerContract(ItemFeedContract):
    plugin = Corner
    head = "retailer_barcode,item_name,price_with_vat,tax_code\n"
    row = "{barcode},{name},{price},standard\n"
    samples: ClassVar[Mapping[str | bytes, int]] = {"cassettes/fruit.csv": 2}
    examples = 5


class TestCsvFeed(CornerContract):
    examples = 30


def with_feed(feed: type) -> type[Plugin]:
    return type(f"With{feed.__name__}", (Corner,), {"feed": feed})


class XmlFeed:
    """Items as elements; a file that is no XML is refused as a whole."""

    name = "xml"

    def read(self, source: BinaryIO, catalogue: str, currency: str) -> Iterator[FeedItem]:
        parser = ET.XMLPullParser(("start", "end"))
        line = 1
        depth = 0
        try:
            while raw := source.readline(64 * 1024):
                parser.feed(raw)
                for event, element in parser.read_events():
                    depth += 1 if event == "start" else -1
                    if event == "start" and depth == 1:
                        root = element
                        if element.tag != "items":
                            raise ValueError(f"line {line}: the outermost element is {element.tag!r}, not 'items'")
                    if event == "end" and element.tag == "item":
                        yield self.row(line, dict(element.attrib), catalogue, currency)
                        root.clear()
                line += 1
            parser.close()
        except ET.ParseError as error:
            raise ValueError(f"line {line}: {error}") from None

    def row(self, line: int, at: dict[str, str], catalogue: str, currency: str) -> FeedItem:
        try:
            price = Money.parse(at["price"], currency)
            item = Item("", catalogue, gtin14(at["ean"]), at["ean"], at["title"], price, "standard")
        except (ValueError, KeyError, Problem) as error:
            return FeedItem(line, None, f"not an item ({type(error).__name__})", detail=str(error))
        if price.minor < 0 or not at["title"]:
            return FeedItem(line, None, "negative price" if at["title"] else "no name")
        return FeedItem(line, item)


class TestXml(ItemFeedContract):
    plugin = with_feed(XmlFeed)
    head = '<?xml version="1.0" encoding="utf-8"?>\n<items>\n'
    row = '<item ean="{barcode}" title="{name}" price="{price}"/>\n'
    foot = "</items>\n"
    by_line = False

    def escaped(self, text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


class Changed(CsvFeed):
    """The built-in feed, whose rows are changed."""

    def read(self, source: BinaryIO, catalogue: str, currency: str) -> Iterator[FeedItem]:
        for row in super().read(source, catalogue, currency):
            yield from self.changed(row)

    def changed(self, row: FeedItem) -> Iterator[FeedItem]:
        yield row if row.item is None else replace(row, item=self.item(row.item))

    def item(self, item: Item) -> Item:
        return item


class InEuros(Changed):
    def item(self, item: Item) -> Item:
        return replace(item, price=Money(item.price.minor, "EUR"))


class BrokenByACurrency(CornerContract):
    plugin = with_feed(InEuros)
    breaks: ClassVar[set[str]] = {
        "test_a_row_becomes_an_item_of_the_catalogue_in_its_currency",
        "test_every_price_is_exact",
    }


class ByFloats(Changed):
    def item(self, item: Item) -> Item:
        digits = -item.price.decimal.as_tuple().exponent
        return replace(item, price=Money(int(float(item.price.decimal) * 10**digits), item.price.currency))


class BrokenByFloats(CornerContract):
    plugin = with_feed(ByFloats)
    breaks: ClassVar[set[str]] = {
        "test_a_row_becomes_an_item_of_the_catalogue_in_its_currency",
        "test_every_price_is_exact",
    }


class KeepsThirteenDigits(Changed):
    def item(self, item: Item) -> Item:
        return replace(item, gtin=item.gtin[1:])


class BrokenByThirteenDigits(CornerContract):
    plugin = with_feed(KeepsThirteenDigits)
    breaks: ClassVar[set[str]] = {
        "test_a_row_becomes_an_item_of_the_catalogue_in_its_currency",
        "test_every_code_is_kept_as_fourteen_digits",
    }


class DefusesFormulas(Changed):
    def item(self, item: Item) -> Item:
        return replace(item, name=f"'{item.name}" if item.name[:1] in "=@" else item.name)


class BrokenByCleaning(CornerContract):
    plugin = with_feed(DefusesFormulas)
    breaks: ClassVar[set[str]] = {"test_a_name_stays_the_text_that_it_is"}


class CountsEachDetail(Changed):
    def changed(self, row: FeedItem) -> Iterator[FeedItem]:
        yield replace(row, refusal=f"{row.refusal} {row.detail}"[:60]) if row.refusal else row


class BrokenByDetails(CornerContract):
    plugin = with_feed(CountsEachDetail)
    breaks: ClassVar[set[str]] = {"test_rows_with_the_same_fault_are_counted_together"}


class DropsWhatIsBad(Changed):
    def changed(self, row: FeedItem) -> Iterator[FeedItem]:
        if row.item is not None:
            yield row


REFUSED = {
    "test_a_code_that_is_no_gtin_is_refused",
    "test_a_price_that_is_none_is_refused",
    "test_an_item_without_a_name_is_refused",
    "test_half_a_row_is_refused_and_the_rest_goes_on",
    "test_a_byte_that_is_no_text_is_refused_and_the_rest_goes_on",
}


class BrokenByDropping(CornerContract):
    plugin = with_feed(DropsWhatIsBad)
    breaks: ClassVar[set[str]] = REFUSED | {"test_rows_with_the_same_fault_are_counted_together"}


class MiscountsLines(Changed):
    def changed(self, row: FeedItem) -> Iterator[FeedItem]:
        yield replace(row, line=row.line - 1)


class BrokenByLines(CornerContract):
    plugin = with_feed(MiscountsLines)
    breaks: ClassVar[set[str]] = REFUSED


class StopsAtTheFirst(CsvFeed):
    def read(self, source: BinaryIO, catalogue: str, currency: str) -> Iterator[FeedItem]:
        for row in super().read(source, catalogue, currency):
            if row.item is None:
                raise ValueError(f"line {row.line}: {row.detail}")
            yield row


class BrokenByStopping(CornerContract):
    plugin = with_feed(StopsAtTheFirst)
    breaks: ClassVar[set[str]] = REFUSED | {
        "test_rows_with_the_same_fault_are_counted_together",
        "test_the_same_file_twice_gives_equal_rows",
    }


class OnceEach(Changed):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def read(self, source: BinaryIO, catalogue: str, currency: str) -> Iterator[FeedItem]:
        self.seen.clear()
        return super().read(source, catalogue, currency)

    def changed(self, row: FeedItem) -> Iterator[FeedItem]:
        code = row.item.gtin if row.item else ""
        if not code or code not in self.seen:
            self.seen.add(code)
            yield row


class BrokenByMerging(CornerContract):
    plugin = with_feed(OnceEach)
    breaks: ClassVar[set[str]] = {
        "test_a_code_that_stands_there_twice_is_given_twice",
        "test_a_large_file_is_read_as_a_stream",
        "test_every_price_is_exact",
    }


class ReadsWhole(CsvFeed):
    def read(self, source: BinaryIO, catalogue: str, currency: str) -> Iterator[FeedItem]:
        yield from super().read(io.BytesIO(source.read()), catalogue, currency)


class BrokenByReadingWhole(CornerContract):
    plugin = with_feed(ReadsWhole)
    breaks: ClassVar[set[str]] = {"test_a_large_file_is_read_as_a_stream"}


class NaiveCsv:
    """What one writes first."""

    name = "naive"

    def read(self, source: BinaryIO, catalogue: str, currency: str) -> Iterator[FeedItem]:
        for line, row in enumerate(csv.DictReader(io.TextIOWrapper(source, "utf-8")), start=2):
            price = Money(round(float(row["price_with_vat"]) * 100), currency)
            code = row["retailer_barcode"]
            yield FeedItem(line, Item("", catalogue, code.zfill(14), code, row["item_name"], price, row["tax_code"]))


class BrokenByWhatOneWritesFirst(CornerContract):
    plugin = with_feed(NaiveCsv)
    breaks: ClassVar[set[str]] = REFUSED | {
        "test_a_row_becomes_an_item_of_the_catalogue_in_its_currency",
        "test_every_price_is_exact",
        "test_a_byte_order_mark_does_not_matter",
        "test_rows_with_the_same_fault_are_counted_together",
        "test_a_file_of_another_format_is_refused",
    }


BROKEN = [suite for name, suite in list(globals().items()) if name.startswith("Broken")]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    return broken_promises(__file__, tmp_path_factory.mktemp("report"))


@pytest.mark.parametrize("suite", BROKEN)
def test_a_broken_promise_is_noticed_and_no_other(suite: Any, broken: dict[str, set[str]]) -> None:
    assert broken[suite.__name__] == suite.breaks
