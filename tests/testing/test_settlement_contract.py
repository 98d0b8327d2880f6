"""The contract of settlement parsers notices each broken promise, and a parser that keeps them all passes."""

import csv
import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import pytest
from msgspec.structs import replace

from tests.testing.broken import broken_promises
from tillhook import Config, Money, Plugin, Secret, SettlementEntry, SettlementKind, SettlementParser, hookimpl
from tillhook.core.testing.contracts.settlement import SettlementParserContract

COLUMNS = ["kind", "reference", "ours", "booked", "currency", "gross", "fee", "net"]
DAY = (
    b"kind;reference;ours;booked;currency;gross;fee;net\n"
    b"charge;psp_9001;pay_1;2026-05-04;EUR;19.99;0.30;19.69\n"
    b"charge;psp_9002;pay_2;2026-05-04;EUR;5.00;0.10;4.90\n"
    b"refund;psp_9003;pay_1;2026-05-05;JPY;-500;0;-500\n"
    b"payout;psp_9004;;2026-05-05;EUR;-24.59;0;-24.59\n"
    b"end;;;;;;;\n"
)


class Settings(Config, frozen=True):
    api_key: Secret


class SoundParser:
    """A file with a header and a last line; rows are given as they are read."""

    name = "acme"
    encoding = "utf-8-sig"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def parse(self, source: BinaryIO) -> Iterator[SettlementEntry]:
        lines = csv.reader(self.lines(source), delimiter=";", strict=True)
        try:
            if next(lines, None) != COLUMNS:
                raise ValueError(f"line 1 must name the columns {';'.join(COLUMNS)}")
            yield from self.entries(lines)
        except csv.Error as error:
            raise ValueError(f"line {lines.line_num}: {error}") from None

    def lines(self, source: BinaryIO) -> Iterator[str]:
        number = 0
        while raw := source.readline(64 * 1024):
            number += 1
            try:
                yield raw.decode(self.encoding)
            except UnicodeDecodeError as error:
                raise ValueError(f"line {number} is no UTF-8: byte {error.start}") from None

    def entries(self, lines: Any) -> Iterator[SettlementEntry]:
        for row in lines:
            if row == ["end", *[""] * 7]:
                return
            if len(row) != len(COLUMNS):
                raise ValueError(f"line {lines.line_num} has {len(row)} columns, not {len(COLUMNS)}")
            try:
                yield self.entry(dict(zip(COLUMNS, row, strict=True)))
            except ValueError as error:
                raise ValueError(f"line {lines.line_num}: {error}") from None
        raise ValueError(f"line {lines.line_num}: the file ends without its last line")

    def entry(self, row: dict[str, str]) -> SettlementEntry:
        gross, fee, net = (Money.parse(row[name], row["currency"]).minor for name in ("gross", "fee", "net"))
        return SettlementEntry(
            provider="acme",
            kind=SettlementKind(row["kind"]),
            psp_reference=row["reference"],
            merchant_reference=row["ours"],
            booking_date=date.fromisoformat(row["booked"]),
            value_date=None,
            currency=row["currency"],
            gross_minor=gross,
            fee_minor=fee,
            net_minor=net,
            raw=row,
        )


class Acme(Plugin):
    Settings = Settings
    settings: Settings
    parser: ClassVar[Any] = SoundParser

    @hookimpl
    def settlement_parsers(self) -> Sequence[SettlementParser]:
        return (self.parser(self.settings),)


class AcmeContract(SettlementParserContract):
    plugin = Acme
    settings: ClassVar[Mapping[str, Any]] = {"api_key": "env:ACME_KEY"}
    samples: ClassVar[Mapping[str | bytes, int]] = {DAY: 4}
    totals: ClassVar[Mapping[str | bytes, Mapping[str, int]]] = {DAY: {"EUR": 0, "JPY": -500}}
    rows = slice(1, -1)
    examples = 3


class TestAcme(AcmeContract):
    pass


def with_parser(parser: type) -> type[Plugin]:
    return type(f"With{parser.__name__}", (Acme,), {"parser": parser})


class NoEnd(SoundParser):
    """A format without a last line."""

    def entries(self, lines: Any) -> Iterator[SettlementEntry]:
        for row in lines:
            if len(row) != len(COLUMNS):
                raise ValueError(f"line {lines.line_num} has {len(row)} columns")
            yield self.entry(dict(zip(COLUMNS, row, strict=True)))


class TestWithoutAnEnd(AcmeContract):
    plugin = with_parser(NoEnd)
    samples: ClassVar[Mapping[str | bytes, int]] = {DAY.removesuffix(b"end;;;;;;;\n"): 4}
    totals: ClassVar[Mapping[str | bytes, Mapping[str, int]]] = {}
    rows = slice(1, None)
    has_end = False


class ForgivesAShortFile(SoundParser):
    def entries(self, lines: Any) -> Iterator[SettlementEntry]:
        for row in lines:
            if len(row) != len(COLUMNS) or row[0] == "end":
                return
            yield self.entry(dict(zip(COLUMNS, row, strict=True)))


class BrokenByShortFiles(AcmeContract):
    plugin = with_parser(ForgivesAShortFile)
    breaks: ClassVar[set[str]] = {"test_a_file_that_is_cut_short_is_never_taken_for_a_whole_one"}


class SkipsWhatItCannotRead(SoundParser):
    def parse(self, source: BinaryIO) -> Iterator[SettlementEntry]:
        try:
            yield from super().parse(source)
        except ValueError:
            return


class BrokenBySilence(AcmeContract):
    plugin = with_parser(SkipsWhatItCannotRead)
    breaks: ClassVar[set[str]] = {
        "test_a_file_that_is_cut_short_is_never_taken_for_a_whole_one",
        "test_a_file_of_another_format_is_refused_and_says_where",
        "test_a_byte_that_is_no_text_is_refused",
    }


class SaysTooLittle(SoundParser):
    def parse(self, source: BinaryIO) -> Iterator[SettlementEntry]:
        try:
            yield from super().parse(source)
        except ValueError:
            raise ValueError("bad file") from None


class BrokenByAPoorMessage(AcmeContract):
    plugin = with_parser(SaysTooLittle)
    breaks: ClassVar[set[str]] = {"test_a_file_of_another_format_is_refused_and_says_where"}


class ReadsWhole(SoundParser):
    def parse(self, source: BinaryIO) -> Iterator[SettlementEntry]:
        yield from super().parse(io.BytesIO(source.read()))


class BrokenByReadingWhole(AcmeContract):
    plugin = with_parser(ReadsWhole)
    breaks: ClassVar[set[str]] = {
        "test_it_never_asks_for_the_whole_file",
        "test_a_large_file_is_read_as_a_stream",
    }


class GathersFirst(SoundParser):
    def parse(self, source: BinaryIO) -> Iterator[SettlementEntry]:
        return iter(list(super().parse(source)))


class BrokenByGathering(AcmeContract):
    plugin = with_parser(GathersFirst)
    breaks: ClassVar[set[str]] = {"test_a_large_file_is_read_as_a_stream"}


class KeepsEveryRow(SoundParser):
    def parse(self, source: BinaryIO) -> Iterator[SettlementEntry]:
        kept = []
        for entry in super().parse(source):
            kept.append(entry)
            yield entry


class BrokenByKeeping(AcmeContract):
    plugin = with_parser(KeepsEveryRow)
    breaks: ClassVar[set[str]] = {"test_a_large_file_is_read_as_a_stream"}


class GivesAList(SoundParser):
    def parse(self, source: BinaryIO) -> Any:
        return list(super().parse(source))


class BrokenByAList(AcmeContract):
    plugin = with_parser(GivesAList)
    breaks: ClassVar[set[str]] = {
        "test_it_never_asks_for_the_whole_file",
        "test_a_large_file_is_read_as_a_stream",
    }


class Changed(SoundParser):
    def entry(self, row: dict[str, str]) -> SettlementEntry:
        return self.changed(super().entry(row))

    def changed(self, entry: SettlementEntry) -> SettlementEntry:
        return entry


class IgnoresTheFee(Changed):
    def changed(self, entry: SettlementEntry) -> SettlementEntry:
        return replace(entry, fee_minor=0)


class BrokenByTheFee(AcmeContract):
    plugin = with_parser(IgnoresTheFee)
    breaks: ClassVar[set[str]] = {"test_the_net_amount_is_the_gross_amount_less_the_fee"}


class CountsInHundredths(Changed):
    def changed(self, entry: SettlementEntry) -> SettlementEntry:
        wrong = entry.currency == "JPY"
        amounts = {name: getattr(entry, name) * 100 for name in ("gross_minor", "fee_minor", "net_minor")}
        return replace(entry, **amounts) if wrong else entry


class BrokenByExponents(AcmeContract):
    plugin = with_parser(CountsInHundredths)
    breaks: ClassVar[set[str]] = {"test_the_sums_by_currency_are_those_of_the_sample"}


class GivesFloats(Changed):
    def changed(self, entry: SettlementEntry) -> SettlementEntry:
        return replace(entry, gross_minor=float(entry.gross_minor))  # type: ignore[arg-type]


class BrokenByFloats(AcmeContract):
    plugin = with_parser(GivesFloats)
    breaks: ClassVar[set[str]] = {"test_every_entry_is_one_down_to_its_fields"}


class InventsACurrency(Changed):
    def changed(self, entry: SettlementEntry) -> SettlementEntry:
        return replace(entry, currency=entry.currency.replace("JPY", "YEN"))


class BrokenByACurrency(AcmeContract):
    plugin = with_parser(InventsACurrency)
    totals: ClassVar[Mapping[str | bytes, Mapping[str, int]]] = {}
    breaks: ClassVar[set[str]] = {"test_currencies_are_known_and_dates_are_days"}


class GivesMoments(Changed):
    def changed(self, entry: SettlementEntry) -> SettlementEntry:
        return replace(entry, booking_date=datetime(2026, 5, 4))  # noqa: DTZ001


class BrokenByMoments(AcmeContract):
    plugin = with_parser(GivesMoments)
    breaks: ClassVar[set[str]] = {
        "test_currencies_are_known_and_dates_are_days",
        "test_every_entry_is_one_down_to_its_fields",
    }


class NeedsTheOrder(SoundParser):
    """Takes the date of the row before for its own."""

    def entries(self, lines: Any) -> Iterator[SettlementEntry]:
        before: SettlementEntry | None = None
        for entry in super().entries(lines):
            yield replace(entry, booking_date=before.booking_date) if before else entry
            before = entry


class BrokenByTheOrder(AcmeContract):
    plugin = with_parser(NeedsTheOrder)
    breaks: ClassVar[set[str]] = {"test_rows_in_another_order_are_the_same_rows"}


class DropsDoubles(SoundParser):
    """Remembers what it has seen: a second run finds nothing new."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.seen: set[int] = set()

    def entries(self, lines: Any) -> Iterator[SettlementEntry]:
        for entry in super().entries(lines):
            digest = zlib.crc32(repr(entry).encode())
            if digest not in self.seen:
                self.seen.add(digest)
                yield entry


class BrokenByMemory(AcmeContract):
    plugin = with_parser(DropsDoubles)
    breaks: ClassVar[set[str]] = {
        "test_the_same_file_twice_gives_equal_entries",
        "test_two_files_read_in_turns_do_not_mix",
        "test_rows_in_another_order_are_the_same_rows",
        "test_line_ends_do_not_matter",
        "test_a_byte_order_mark_does_not_matter",
        "test_a_large_file_is_read_as_a_stream",
    }


class StumblesOverTheMark(SoundParser):
    encoding = "utf-8"


class BrokenByTheMark(AcmeContract):
    plugin = with_parser(StumblesOverTheMark)
    breaks: ClassVar[set[str]] = {"test_a_byte_order_mark_does_not_matter"}


class GuessesTheEncoding(SoundParser):
    encoding = "latin-1"

    def lines(self, source: BinaryIO) -> Iterator[str]:
        for line in super().lines(source):
            yield line.removeprefix("ï»¿")


class BrokenByGuessing(AcmeContract):
    plugin = with_parser(GuessesTheEncoding)
    breaks: ClassVar[set[str]] = {"test_a_byte_that_is_no_text_is_refused"}


class CleansText(SoundParser):
    def entry(self, row: dict[str, str]) -> SettlementEntry:
        found = super().entry(row)
        return replace(found, psp_reference=re.sub(r"[<=+]", "", found.psp_reference),
                       merchant_reference=re.sub(r"[<=+]", "", found.merchant_reference))  # fmt: skip


class BrokenByCleaning(AcmeContract):
    plugin = with_parser(CleansText)
    breaks: ClassVar[set[str]] = {"test_text_stays_the_text_that_it_is"}


class TellsItsKey(SoundParser):
    def entries(self, lines: Any) -> Iterator[SettlementEntry]:
        try:
            yield from super().entries(lines)
        except ValueError as error:
            raise ValueError(f"{error} (as {self.settings.api_key.reveal()})") from None


class BrokenByAKey(AcmeContract):
    plugin = with_parser(TellsItsKey)
    breaks: ClassVar[set[str]] = {
        "test_a_file_that_is_cut_short_is_never_taken_for_a_whole_one",
        "test_a_byte_that_is_no_text_is_refused",
    }


BROKEN = [suite for name, suite in list(globals().items()) if name.startswith("Broken")]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    return broken_promises(__file__, tmp_path_factory.mktemp("report"))


@pytest.mark.parametrize("suite", BROKEN)
def test_a_broken_promise_is_noticed_and_no_other(suite: Any, broken: dict[str, set[str]]) -> None:
    assert broken[suite.__name__] == suite.breaks


def test_samples_lie_beside_the_test(tmp_path: Path) -> None:
    suite = type("Suite", (AcmeContract,), {"samples": {"nowhere.csv": 1}, "__module__": __name__})()
    with pytest.raises(FileNotFoundError, match=r"tests/testing/nowhere\.csv"):
        suite.content("nowhere.csv")
