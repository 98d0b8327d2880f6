"""The built-in item feed: a CSV file with the platform's standard columns.

Every line ends up as an item or as a refusal with its number. A line that breaks the rules of CSV costs itself only,
not the lines after it, and no line is held in memory beyond ``MAX_LINE_BYTES``.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator, Mapping
from decimal import Decimal
from html import unescape
from typing import BinaryIO, Final

from tillhook.core.domain.identifiers import GTIN_LENGTHS, gtin14
from tillhook.core.domain.money import Money, exponent
from tillhook.core.domain.problems import Problem
from tillhook.core.domain.receipt_render import printable
from tillhook.core.domain.store import Item
from tillhook.core.roles.offers import FeedItem

MAX_LINE_BYTES: Final = 64 * 1024
MAX_NAME: Final = 500
MAX_CATEGORY: Final = 200

REQUIRED: Final = ("retailer_barcode", "item_name", "price_with_vat")
TAX: Final = ("tax_code", "vat_percent")
"""At least one of them; in a row with both, ``tax_code`` counts."""
OPTIONAL: Final = (
    *("currency", "retailer_product_code", "category_a", "category_b", "category_c"),
    *("max_basket_quantity", "blocked_reason"),
)

_UTF8_BOM: Final = b"\xef\xbb\xbf"
_UTF16_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")
_PRICE: Final = re.compile(r"(-?)[0-9]{1,15}(?:\.[0-9]{1,9})?")
_PERCENT: Final = re.compile(r"(?:[0-9]{1,2}(?:\.[0-9]{1,4})?|100(?:\.0{1,4})?)")
_QUANTITY: Final = re.compile(r"[0-9]{1,4}")


class CsvFeed:
    """Reads UTF-8, with or without byte order mark, comma-separated, one header line; unknown columns are ignored.

    ``retailer_barcode``: GTIN-8, -12, -13 or -14 · ``item_name``: HTML entities are resolved, control characters
    removed, cut at 500 · ``price_with_vat``: ``19.99`` · ``vat_percent``: becomes the tax code ``vat20``, ``vat5.5`` ·
    ``currency``: where given, it must be the catalogue's · ``max_basket_quantity``: 0 to 9999.
    """

    def __init__(self, name: str = "csv") -> None:
        self.name = name

    def read(self, source: BinaryIO, catalogue: str, currency: str) -> Iterator[FeedItem]:
        """Raises ValueError before the first item when the header lacks a column or the currency is none."""
        exponent(currency)
        records = _Records(source)
        header = records.header()
        for line, cells in records:
            barcode = ""
            try:
                if isinstance(cells, _Refused):
                    raise cells
                row = dict(zip(header, cells, strict=True))
                barcode = printable(row["retailer_barcode"])[:40]
                item = _item(row, catalogue, currency)
            except _Refused as refused:
                yield FeedItem(line, None, refused.reason, barcode, refused.detail)
            else:
                yield FeedItem(line, item)


class _Refused(Exception):
    """A row that is no item: the reason it is counted under and what is wrong with this one."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class _Records:
    """The records of a file with the number of the line they begin on; a quoted cell may hold line ends."""

    def __init__(self, source: BinaryIO) -> None:
        self._lines = _lines(source)
        self._again: deque[tuple[int, str | _Refused]] = deque()
        self._columns = 0

    def header(self) -> tuple[str, ...]:
        """The column names of the first line. Raises ValueError that names the columns wanted and found."""
        wanted = f"{', '.join(REQUIRED)} and {' or '.join(TAX)}"
        match next(self, (0, [])):
            case (line, _Refused() as refused):
                raise ValueError(f"line {line} should name the columns, but cannot be read: {refused.detail}")
            case (_, list(cells)):
                found = tuple(cell.strip().lower() for cell in cells)
        missing = [name for name in REQUIRED if name not in found]
        if not set(TAX) & set(found):
            missing.append(" or ".join(TAX))
        shown = printable(", ".join(found))[:500] or "none"
        if missing:
            raise ValueError(f"the file has no column {', '.join(missing)}; wanted: {wanted}; found: {shown}")
        if twice := {name for name in found if found.count(name) > 1 and name in {*REQUIRED, *TAX, *OPTIONAL}}:
            raise ValueError(f"the file has more than one column {', '.join(sorted(twice))}; found: {shown}")
        self._columns = len(found)
        return found

    def __iter__(self) -> _Records:
        return self

    def __next__(self) -> tuple[int, list[str] | _Refused]:
        line, text = self._next_line()
        if isinstance(text, _Refused):
            return line, text
        cells = _cells([text])
        if cells is None and text.count('"') % 2:
            cells = self._continued(text)
        if cells is None:
            return line, _Refused("not CSV", "its quotes do not match, or it is no line of CSV")
        if self._columns not in {0, len(cells)}:
            return line, _Refused("wrong number of columns", f"{len(cells)} columns, the header has {self._columns}")
        return line, cells

    def _next_line(self) -> tuple[int, str | _Refused]:
        return self._again.popleft() if self._again else next(self._lines)

    def _continued(self, text: str) -> list[str] | None:
        """The record that a line with an open quote begins, to the line that closes it. If none can be made of them,
        the following lines are read again on their own: the quote was a stray one."""
        taken: list[tuple[int, str | _Refused]] = []
        texts = [text]
        size = len(text)
        cells: list[str] | None = None
        while size <= MAX_LINE_BYTES:
            try:
                taken.append(self._next_line())
            except StopIteration:
                break
            following = taken[-1][1]
            if isinstance(following, _Refused):
                break
            texts.append(following)
            size += len(following)
            if following.count('"') % 2:
                cells = _cells(texts)
                break
        if cells is not None and self._columns in {0, len(cells)}:
            return cells
        self._again.extendleft(reversed(taken))
        return None


def _lines(source: BinaryIO) -> Iterator[tuple[int, str | _Refused]]:
    """Each line that is not blank, or why it cannot be read, with its number."""
    number = 0
    while raw := source.readline(MAX_LINE_BYTES + 1):
        number += 1
        if number == 1:
            if raw.startswith(_UTF16_BOMS):
                raise ValueError("the file is UTF-16; save it as UTF-8")
            raw = raw.removeprefix(_UTF8_BOM)
        if len(raw) > MAX_LINE_BYTES:
            while raw and not raw.endswith(b"\n"):
                raw = source.readline(MAX_LINE_BYTES)
            yield number, _Refused("line too long", f"longer than {MAX_LINE_BYTES} bytes")
        elif b"\0" in raw:
            yield number, _Refused("NUL byte", "holds a NUL byte, which no text file does")
        elif raw.strip():
            try:
                yield number, raw.decode()
            except UnicodeDecodeError as error:
                yield number, _Refused("not UTF-8", f"byte {raw[error.start]:#04x} at position {error.start + 1}")


def _cells(lines: list[str]) -> list[str] | None:
    """The cells of the one record that these lines are; None when they are none, or more than one."""
    try:
        records = list(csv.reader(lines, strict=True))
    except csv.Error:
        return None
    return records[0] if len(records) == 1 else None


def _item(row: Mapping[str, str], catalogue: str, currency: str) -> Item:
    barcode = row["retailer_barcode"].strip()
    gtin = _gtin(barcode)
    name = _text(row["item_name"], MAX_NAME)
    if not name:
        raise _Refused("no name", "the item has no name")
    if (stated := row.get("currency", "").strip()) not in {"", currency}:
        raise _other_currency(stated, currency)
    return Item(
        item_id="",
        catalogue=catalogue,
        gtin=gtin,
        barcode=barcode,
        name=name,
        price=_price(row["price_with_vat"].strip(), currency),
        tax_code=_tax_code(row),
        category=_text(" > ".join(filter(None, (row.get(f"category_{at}", "").strip() for at in "abc"))), MAX_CATEGORY),
        retailer_product_id=printable(row.get("retailer_product_code", "")),
        max_basket_quantity=_quantity(row.get("max_basket_quantity", "").strip()),
        blocked_reason=_text(row.get("blocked_reason", ""), MAX_CATEGORY),
    )


def _text(cell: str, most: int) -> str:
    return printable(unescape(cell))[:most].rstrip()


def _gtin(barcode: str) -> str:
    if not barcode:
        raise _Refused("no barcode", "the item has no barcode")
    if not (barcode.isascii() and barcode.isdigit()):
        raise _Refused("not digits", f"{printable(barcode)[:40]!r} is not a GTIN: only digits are expected")
    if len(barcode) not in GTIN_LENGTHS:
        raise _Refused("wrong length", f"{len(barcode)} digits; a GTIN has 8, 12, 13 or 14")
    try:
        return gtin14(barcode)
    except Problem as problem:
        raise _Refused("wrong check digit" if barcode.strip("0") else "all zeros", problem.detail) from problem


def _price(text: str, currency: str) -> Money:
    match = _PRICE.fullmatch(text)
    if match is None:
        raise _Refused("bad price", f"{printable(text)[:40]!r} is not a price: write it like 19.99")
    if match[1]:
        raise _Refused("negative price", f"a price of {text}")
    try:
        return Money.parse(text, currency)
    except ValueError as error:
        beyond = len(text.partition(".")[2].rstrip("0")) > exponent(currency)
        raise _Refused("too many decimals" if beyond else "bad price", str(error)) from error


def _other_currency(stated: str, currency: str) -> _Refused:
    shown = printable(stated)[:10]
    try:
        exponent(stated)
    except ValueError:
        return _Refused("unknown currency", f"{shown!r} is not an ISO 4217 currency code")
    return _Refused("other currency", f"the price is in {shown}, the catalogue is in {currency}")


def _tax_code(row: Mapping[str, str]) -> str:
    if code := printable(row.get("tax_code", "")):
        return code
    percent = row.get("vat_percent", "").strip()
    if not percent:
        raise _Refused("no tax code", "neither a tax code nor a VAT percentage")
    if not _PERCENT.fullmatch(percent):
        raise _Refused(
            "bad VAT percentage", f"{printable(percent)[:40]!r} is not a percentage: write it like 20 or 5.5"
        )
    return f"vat{Decimal(percent).normalize():f}"


def _quantity(text: str) -> int:
    if text and not _QUANTITY.fullmatch(text):
        raise _Refused("bad quantity", f"{printable(text)[:40]!r} is not a quantity from 0 to 9999")
    return int(text or 0)
