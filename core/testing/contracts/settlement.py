"""What every reader of settlement files keeps: row by row, to the cent, and never a short result without a word."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from io import BytesIO
from typing import ClassVar, Final

import msgspec
import pytest

from tillhook.core.domain.aftersale import SettlementEntry
from tillhook.core.domain.money import exponent
from tillhook.core.plugins.shapes import fits
from tillhook.core.roles.offers import SettlementParser
from tillhook.core.testing import files
from tillhook.core.testing.contracts.offered import OfferedContract
from tillhook.core.testing.subject import Subject

_PLANTS: Final = ("=1+1", "@SUM(A1)", "+1", "-2+3", "<b>x</b>", "a&b")
"""Text that a spreadsheet or a browser would take for more than that."""
_WHERE: Final = re.compile(r"line|row|record|entry|byte|position|column|header|element|sheet|empty", re.IGNORECASE)
_MOST_WORDS: Final = 1000


class SettlementParserContract(OfferedContract):
    """Inherit it, name the plugin, and give it files beside the test (or bytes), with the number of their entries::

    class TestAcmeSettlement(SettlementParserContract):
        plugin = AcmePay
        samples = {"may_4.csv": 12}
        totals = {"may_4.csv": {"EUR": 123_400}}
        rows = slice(1, -1)
    """

    proves = ("settlement_parsers",)
    offer = "settlement_parsers"
    parser_name: ClassVar[str] = ""
    """Which parser, for a plugin that offers several."""
    samples: ClassVar[Mapping[str | bytes, int]]
    """File (or its content) → number of entries. The first one is cut, shuffled and spoilt."""
    totals: ClassVar[Mapping[str | bytes, Mapping[str, int]]] = {}
    """File (or its content) → currency → sum of ``net_minor``."""
    rows: ClassVar[slice | None] = None
    """The lines of the first sample that are entries, one line each, which may stand there in any order and number:
    ``slice(1, None)`` after a header, ``slice(1, -1)`` before a trailer, too. None: it is not made of such lines."""
    has_end: ClassVar[bool] = True
    """Whether the format says where a file ends (a trailer, a total, a closing tag). Without, a file that is cut
    exactly at the end of a line cannot be told from a whole one, and is not tried."""
    encoding: ClassVar[str | None] = "utf-8"
    """Of the samples. None: they are no text."""

    @pytest.fixture
    def parser(self, subject: Subject) -> SettlementParser:
        found: SettlementParser = self.picked(subject, self.parser_name)
        return found

    @pytest.fixture
    def sample(self) -> bytes:
        """The first sample."""
        return self.content(next(iter(self.samples)))

    # --- what it reads

    def test_it_is_a_parser_with_a_name(self, parser: SettlementParser) -> None:
        assert isinstance(parser, SettlementParser)
        assert parser.name

    def test_every_sample_gives_the_entries_that_are_in_it(self, parser: SettlementParser) -> None:
        assert self.samples, "give at least one file in `samples`"
        found = {name: len(self.parse(parser, self.content(name))) for name in self.samples}
        assert found == dict(self.samples)

    def test_the_sums_by_currency_are_those_of_the_sample(self, parser: SettlementParser) -> None:
        if not self.totals:
            pytest.skip("not given: totals")
        for name, wanted in self.totals.items():
            sums: Counter[str] = Counter()
            for entry in self.parse(parser, self.content(name)):
                sums[entry.currency] += entry.net_minor
            assert dict(sums) == dict(wanted), f"of {_shown(name)}"

    def test_every_entry_is_one_down_to_its_fields(self, parser: SettlementParser) -> None:
        for entry in self.all_entries(parser):
            assert fits(entry, SettlementEntry), entry
            assert entry.provider, f"it does not say whose it is: {entry}"
            assert entry.psp_reference or entry.merchant_reference or entry.payout_reference, f"no reference: {entry}"

    def test_the_net_amount_is_the_gross_amount_less_the_fee(self, parser: SettlementParser) -> None:
        for entry in self.all_entries(parser):
            assert entry.net_minor == entry.gross_minor - entry.fee_minor, entry

    def test_currencies_are_known_and_dates_are_days(self, parser: SettlementParser) -> None:
        for entry in self.all_entries(parser):
            exponent(entry.currency)
            moments = [at for at in (entry.booking_date, entry.value_date) if isinstance(at, datetime)]
            assert moments == [], f"a day is expected, not a moment: {entry}"

    def test_what_it_keeps_of_the_row_can_be_stored(self, parser: SettlementParser) -> None:
        for entry in self.all_entries(parser):
            assert msgspec.json.decode(msgspec.json.encode(entry.raw)) is not None

    # --- the same again

    def test_the_same_file_twice_gives_equal_entries(self, parser: SettlementParser, sample: bytes) -> None:
        assert self.parse(parser, sample) == self.parse(parser, sample)

    def test_two_files_read_in_turns_do_not_mix(self, parser: SettlementParser, sample: bytes) -> None:
        wanted = self.parse(parser, sample)
        one, other = parser.parse(BytesIO(sample)), parser.parse(BytesIO(sample))
        found = self.use("parse", lambda: list(zip(one, other, strict=True)))
        assert found == list(zip(wanted, wanted, strict=True))

    def test_rows_in_another_order_are_the_same_rows(self, parser: SettlementParser, sample: bytes) -> None:
        if self.rows is None:
            pytest.skip("not given: rows")
        other = self.parse(parser, files.reordered(sample, self.rows))
        assert _counted(other) == _counted(self.parse(parser, sample))

    @pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
    def test_line_ends_do_not_matter(self, parser: SettlementParser, sample: bytes, end: bytes) -> None:
        self.needs_text()
        other = self.parse(parser, files.with_line_ends(sample, end))
        assert _read_alike(other, self.parse(parser, sample))

    def test_a_byte_order_mark_does_not_matter(self, parser: SettlementParser, sample: bytes) -> None:
        self.needs_text("utf-8")
        bare = sample.removeprefix(files.UTF8_BOM)
        assert _read_alike(self.parse(parser, files.UTF8_BOM + bare), self.parse(parser, bare))

    # --- a stream, in constant memory

    def test_it_never_asks_for_the_whole_file(self, parser: SettlementParser, sample: bytes) -> None:
        file = files.CountingFile(sample)
        entries = self.use("parse", lambda: parser.parse(files.opened(file)))
        assert isinstance(entries, Iterator), f"they come as {type(entries).__name__}: give them one by one (`yield`)"
        self.use("parse", lambda: list(entries))
        assert not file.wanted_whole, "it reads the file whole: a file may be larger than the memory"

    def test_a_large_file_is_read_as_a_stream(self, parser: SettlementParser, sample: bytes) -> None:
        if self.rows is None:
            pytest.skip("not given: rows")
        content, times = files.large(sample, self.rows)
        entries = self.use("parse", lambda: files.read_lazily(parser.parse, content))
        assert entries == times * len(self.parse(parser, sample)), "it loses entries of a large file"

    # --- what cannot be read is refused

    def test_a_file_that_is_cut_short_is_never_taken_for_a_whole_one(
        self, parser: SettlementParser, sample: bytes
    ) -> None:
        whole = self.parse(parser, sample)
        for place in files.cuts(sample, at_line_ends=self.has_end):
            found = self.parsed_or_refused(parser, sample[:place])
            assert isinstance(found, Exception) or found == whole, (
                f"cut after byte {place} of {len(sample)}, it gives {len(found)} of {len(whole)} entries in silence"
            )

    @pytest.mark.parametrize("form", files.FOREIGN)
    def test_a_file_of_another_format_is_refused_and_says_where(self, parser: SettlementParser, form: str) -> None:
        found = self.parsed_or_refused(parser, files.FOREIGN[form])
        assert isinstance(found, ValueError), f"{form}: expected a ValueError, got {found!r}"
        said = str(found)
        assert _WHERE.search(said), f"{form}: it does not say where (line, byte, column …): {said!r}"
        assert len(said) <= _MOST_WORDS, f"{form}: {len(said)} characters are no message"
        assert said.replace("\n", " ").isprintable(), f"{form}: its message shows what cannot be printed: {said!r}"

    def test_a_byte_that_is_no_text_is_refused(self, parser: SettlementParser, sample: bytes) -> None:
        self.needs_text("utf-8")
        spoilt = self.with_reference(parser, sample, b"\xff\xfe\xfa")
        found = self.parsed_or_refused(parser, spoilt)
        assert isinstance(found, ValueError), f"expected a ValueError, got {found!r}"

    @pytest.mark.parametrize("plant", _PLANTS)
    def test_text_stays_the_text_that_it_is(self, parser: SettlementParser, sample: bytes, plant: str) -> None:
        self.needs_text()
        written = self.escaped(plant).encode(self.encoding or "utf-8")
        found = self.parsed_or_refused(parser, self.with_reference(parser, sample, written))
        if isinstance(found, ValueError):
            return  # such a reference is not possible in this format
        assert not isinstance(found, Exception), f"a reference {plant!r}: {found!r}"
        assert plant in {at for entry in found for at in (entry.merchant_reference, entry.psp_reference)}

    # --- words of this suite

    def escaped(self, text: str) -> str:
        """Override it for a format in which some characters must be written otherwise, such as XML."""
        return text

    def content(self, sample: str | bytes) -> bytes:
        """Of a sample, which is a file beside the test or the content itself."""
        return sample if isinstance(sample, bytes) else (files.folder_of(type(self), "samples") / sample).read_bytes()

    def parse(self, parser: SettlementParser, content: bytes) -> list[SettlementEntry]:
        return self.use("parse", lambda: list(parser.parse(BytesIO(content))))

    def parsed_or_refused(self, parser: SettlementParser, content: bytes) -> list[SettlementEntry] | Exception:
        found: list[SettlementEntry] = []

        def read() -> None:
            found.extend(parser.parse(BytesIO(content)))

        return self.failure("parse", read) or found

    def all_entries(self, parser: SettlementParser) -> Iterator[SettlementEntry]:
        for name in self.samples:
            yield from self.parse(parser, self.content(name))

    def with_reference(self, parser: SettlementParser, sample: bytes, other: bytes) -> bytes:
        """The sample with another reference in it; skips the test when none of its references stands there once."""
        known = [at for entry in self.parse(parser, sample) for at in (entry.merchant_reference, entry.psp_reference)]
        for reference in (at.encode(self.encoding or "utf-8") for at in known if len(at) > 3):
            if sample.count(reference) == 1:
                return sample.replace(reference, other)
        pytest.skip("not given: a sample in which a reference stands only once")

    def needs_text(self, encoding: str = "") -> None:
        if self.encoding is None:
            pytest.skip("it does not read text")
        if encoding and self.encoding.lower() != encoding:
            pytest.skip(f"it does not read {encoding}")


def _counted(entries: Sequence[SettlementEntry]) -> Counter[bytes]:
    return Counter(map(_without_raw, entries))


def _without_raw(entry: SettlementEntry) -> bytes:
    """What counts of an entry; what is kept of the row may say on which line it stood."""
    return msgspec.json.encode(msgspec.structs.replace(entry, raw={}))


def _read_alike(one: Sequence[SettlementEntry], other: Sequence[SettlementEntry]) -> bool:
    alike: Callable[[SettlementEntry], bytes] = _without_raw
    return list(map(alike, one)) == list(map(alike, other))


def _shown(sample: str | bytes) -> str:
    return sample if isinstance(sample, str) else f"{sample[:40]!r}…"
