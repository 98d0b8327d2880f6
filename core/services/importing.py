"""Importing a catalogue: every row of the file is accounted for, and a bad row leaves the others in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import BinaryIO, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tillhook.core.domain.identifiers import gtin14
from tillhook.core.domain.money import MAX_MINOR
from tillhook.core.domain.problems import Problem
from tillhook.core.domain.store import Item
from tillhook.core.roles.offers import FeedItem, ItemFeed
from tillhook.core.storage import items
from tillhook.core.storage.database import Database, Tx

CHUNK: Final = 1_000
"""Rows in one transaction: sales on the same database wait for no longer than that."""
MAX_REFUSALS: Final = 1_000
MAX_REASONS: Final = 100


class Refusal(Struct, frozen=True):
    """A row that was left out: the line of the file, its barcode as far as it could be read, and why."""

    line: int
    barcode: str
    reason: str
    detail: str


class ImportReport(Struct, frozen=True):
    """What became of each row: ``rows`` is the sum of the five counts after it."""

    rows: int
    imported: int
    updated: int
    unchanged: int
    merged: int
    """Rows of a GTIN that an earlier row of the file has; the first one counts."""
    refused: int
    reasons: dict[str, int]
    """How many rows were refused for what."""
    refusals: tuple[Refusal, ...]
    """The first thousand of them."""


def import_items(
    db: Database,
    source: BinaryIO,
    feed: ItemFeed,
    catalogue: str,
    currency: str,
    *,
    progress: Callable[[int], None] = lambda rows: None,
) -> ImportReport:
    """Bring the rows of ``source`` into the catalogue, a thousand in one transaction, in constant memory.

    Items that the file does not list stay as they are. Doing it again changes nothing. ``progress`` is told the number
    of rows that are done. Raises ValueError, before anything is written, when the feed cannot read such a file at all.
    """
    tally = _Tally()
    rows = feed.read(source, catalogue, currency)
    with items.SeenGtins() as seen:
        while chunk := list(islice(rows, CHUNK)):
            fresh = tally.sort(chunk, seen, catalogue, currency)
            tally.saved(len(fresh), *db.write(partial(_save, catalogue=catalogue, fresh=fresh)))
            progress(tally.rows)
    return tally.report()


def fingerprint(item: Item) -> str:
    """What the catalogue keeps beside a row: another one means that the row has changed. The id does not count."""
    return hashlib.sha256(msgspec.json.encode(replace(item, item_id=""))).hexdigest()


def _save(tx: Tx, catalogue: str, fresh: Sequence[Item]) -> tuple[int, int]:
    """Returns how many of the items were new and how many had changed."""
    known = items.existing_rows(tx, catalogue, [item.gtin for item in fresh])
    written: list[tuple[Item, str]] = []
    imported = 0
    for item in fresh:
        item_id, row_hash = known.get(item.gtin, ("", ""))
        new_hash = fingerprint(item)
        if new_hash != row_hash:
            written.append((replace(item, item_id=item_id or _item_id(catalogue, item.gtin)), new_hash))
            imported += not item_id
    items.upsert_items(tx, written)
    return imported, len(written) - imported


class _Tally:
    """The counts of an import so far."""

    def __init__(self) -> None:
        self.rows = 0
        self._imported = self._updated = self._unchanged = self._merged = 0
        self._reasons: dict[str, int] = {}
        self._refusals: list[Refusal] = []

    def sort(self, chunk: Sequence[FeedItem], seen: items.SeenGtins, catalogue: str, currency: str) -> list[Item]:
        """Count the rows and return those items among them that are to be saved."""
        self.rows += len(chunk)
        fresh: list[Item] = []
        for row in chunk:
            if row.item is None:
                self._refuse(Refusal(row.line, row.barcode, row.refusal, row.detail))
            elif objection := _objection(row.item, catalogue, currency):
                self._refuse(Refusal(row.line, row.item.barcode[:40], *objection))
            elif seen.first_time(row.item.gtin):
                fresh.append(row.item)
            else:
                self._merged += 1
        return fresh

    def saved(self, count: int, imported: int, updated: int) -> None:
        self._imported += imported
        self._updated += updated
        self._unchanged += count - imported - updated

    def report(self) -> ImportReport:
        refused = sum(self._reasons.values())
        if self.rows != self._imported + self._updated + self._unchanged + self._merged + refused:
            raise AssertionError(f"{self.rows} rows were read, but not all of them are accounted for: {vars(self)}")
        return ImportReport(
            rows=self.rows,
            imported=self._imported,
            updated=self._updated,
            unchanged=self._unchanged,
            merged=self._merged,
            refused=refused,
            reasons=dict(sorted(self._reasons.items(), key=lambda reason: (-reason[1], reason[0]))),
            refusals=tuple(self._refusals),
        )

    def _refuse(self, refusal: Refusal) -> None:
        counted = refusal.reason if refusal.reason in self._reasons or len(self._reasons) < MAX_REASONS else "other"
        self._reasons[counted] = self._reasons.get(counted, 0) + 1
        if len(self._refusals) < MAX_REFUSALS:
            self._refusals.append(refusal)


def _objection(item: Item, catalogue: str, currency: str) -> tuple[str, str] | None:
    """(reason, detail) why an item that a feed gave cannot be kept. The database would refuse the whole chunk."""
    if item.catalogue != catalogue:
        return "other catalogue", f"the item is of the catalogue {item.catalogue}, not {catalogue}"
    if item.price.currency != currency:
        return "other currency", f"the price is in {item.price.currency}, the catalogue is in {currency}"
    if not 0 <= item.price.minor <= MAX_MINOR:
        return "bad price", f"a price of {item.price}"
    for field, most in items.MAX_LENGTHS.items():
        if len(getattr(item, field)) > most:
            return f"{field} too long", f"{len(getattr(item, field))} characters; {most} are kept"
    try:
        canonical = gtin14(item.gtin)
    except Problem as problem:
        return "no GTIN", problem.detail
    return None if canonical == item.gtin else ("no GTIN", f"{item.gtin} is not in the form of 14 digits")


def _item_id(catalogue: str, gtin: str) -> str:
    """The same id whenever and wherever the same item is imported."""
    return f"itm_{hashlib.sha256(f'{catalogue} {gtin}'.encode()).hexdigest()[:24]}"
