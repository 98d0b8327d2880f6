"""``tillhook items``: a retailer's goods, from a file into the catalogue, and one of them as the till sees it."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import click
from msgspec import Struct

from tillhook.core.cli.faults import Trouble, Unusable
from tillhook.core.cli.output import is_terminal, say, show_json, show_table
from tillhook.core.cli.session import Session, pass_session

if TYPE_CHECKING:
    from tillhook.core.domain.store import Store
    from tillhook.core.roles.offers import ItemFeed
    from tillhook.core.services.importing import ImportReport
    from tillhook.core.services.platform import Platform

SHOWN: Final = 20
"""Refusals shown; the others are in the report."""
_EPC: Final = re.compile(r"urn:epc:.*|[0-9A-Fa-f]{24,}", re.IGNORECASE)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a cell that begins so."""


class _Aim(Struct, frozen=True):
    """Where the rows go, and why there if nobody said so."""

    catalogue: str
    currency: str
    feed: ItemFeed
    reason: str


@click.group()
def items() -> None:
    """Import a catalogue, or look at one item."""


@items.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--catalogue", metavar="NAME", help="Default: the only one, else that of the demonstration store.")
@click.option("--currency", metavar="CUR", help="Default: that of the stores that use the catalogue.")
@click.option("--feed", metavar="NAME", help="Who reads the file; default: the store type's only feed, else `csv`.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write the refused rows to this file.")
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
@pass_session
def import_(
    session: Session,
    file: Path,
    catalogue: str | None,
    currency: str | None,
    feed: str | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Bring the rows of FILE into a catalogue.

    Rows that are no item are left out and reported with their line, the others are kept; items that the file does not
    list stay. Repeating it changes nothing. Exit code 1 when not one row could be used.

    FILE is UTF-8 CSV with the columns retailer_barcode, item_name, price_with_vat, and tax_code or vat_percent, unless
    a plugin brings a --feed of its own.

    \b
    Example:
      tillhook items import goods.csv --catalogue demo_dk --report refused.csv
    """
    with session.system() as assembled, file.open("rb") as source:
        aim = _aim(assembled.platform, catalogue, currency, feed)
        if not as_json:
            say(f"{file} → catalogue {aim.catalogue}, {aim.currency}, read by the feed {aim.feed.name}")
            if aim.reason:
                say(f"catalogue: {aim.reason}")
        with _progress(source, file.stat().st_size) as progress:
            done = _imported(assembled.platform, source, file, aim, progress)
    if report is not None:
        _write_refusals(report, done)
    if as_json:
        show_json({"catalogue": aim.catalogue, "currency": aim.currency, "feed": aim.feed.name, "report": done})
    else:
        _show(done, report)
    if not done.imported + done.updated + done.unchanged:
        raise Trouble(f"{file}: nothing could be imported, {done.refused} of {done.rows} rows were refused")


@items.command()
@click.argument("code")
@click.option("--store", "store_id", metavar="ID", required=True, help="Where it is scanned.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@pass_session
def show(session: Session, code: str, store_id: str, as_json: bool) -> None:
    """Show what CODE (a barcode or an EPC) is when it is scanned in a store.

    \b
    Example:
      tillhook items show 9521234001010 --store sto_demo_dk
    """
    from msgspec.structs import asdict

    from tillhook.core.domain.store import Item
    from tillhook.core.services.shopping import read_code
    from tillhook.core.services.wire import ScanRequest
    from tillhook.core.storage.items import find_item

    with session.system() as assembled:
        platform = assembled.platform
        store, shop = platform.open_store(store_id)
        tagged = code.lower().startswith("urn:") or (
            len(code) > 14 and all(at in "0123456789abcdefABCDEF" for at in code)
        )
        scanned = ScanRequest(store_id=store_id, barcode=None if tagged else code, epc=code if tagged else None)
        meaning = read_code(shop, store, scanned)
        item: Item | None = shop.ask("item_for", scan=meaning, store=store)
        item = item or platform.db.read(lambda tx: find_item(tx, store.catalogue, meaning.gtin))
    if item is None:
        raise Trouble(f"{code} (GTIN {meaning.gtin}) is not in the catalogue {store.catalogue} of store {store_id}")
    if as_json:
        show_json({"scan": meaning, "item": item})
    else:
        rows = {**asdict(item), "price": meaning.unit_price or item.price, "read as": meaning.rule, "epc": meaning.epc}
        show_table(("Field", "Value"), [(name, value) for name, value in rows.items() if value not in {None, "", 0}])


def _aim(platform: Platform, catalogue: str | None, currency: str | None, feed: str | None) -> _Aim:
    from tillhook.core.storage.stores import all_stores

    stores = platform.db.read(all_stores)
    if catalogue is None:
        catalogue, reason = _default_catalogue(stores)
    else:
        reason = ""
    users = [store for store in stores if store.catalogue == catalogue]
    currencies = sorted({store.currency for store in users})
    if currency is None and len(currencies) != 1:
        known = ", ".join(sorted({store.catalogue for store in stores})) or "none"
        used = f"stores with {' and '.join(currencies)} use" if users else f"no store uses (known: {known})"
        raise Unusable(f"{used} the catalogue {catalogue}: name its --currency")
    return _Aim(catalogue, currency or currencies[0], _feed(platform, users, feed), reason)


def _default_catalogue(stores: tuple[Store, ...]) -> tuple[str, str]:
    if not stores:
        raise Trouble("there is no store yet: `tillhook stores import FILE` or `tillhook demo` makes some")
    if len({store.catalogue for store in stores}) == 1:
        return stores[0].catalogue, "the only one there is"
    for store in stores:
        if store.demo:
            return store.catalogue, f"that of the demonstration store {store.store_id}; --catalogue takes another"
    raise Unusable(f"name a --catalogue: {', '.join(sorted({store.catalogue for store in stores}))}")


def _feed(platform: Platform, users: list[Store], name: str | None) -> ItemFeed:
    from tillhook.core.services.feeds import CsvFeed

    offered: dict[str, ItemFeed] = {}
    for store in users:
        offered.update(platform.host.shop(store).feeds)
    if name is None and len(offered) == 1:
        return next(iter(offered.values()))
    known = {"csv": CsvFeed(), **offered}
    if (name or "csv") not in known:
        raise Unusable(f"no feed {name!r}: there is {', '.join(sorted(known))}")
    return known[name or "csv"]


def _imported(
    platform: Platform, source: BinaryIO, file: Path, aim: _Aim, progress: Callable[[int], None]
) -> ImportReport:
    from tillhook.core.services.importing import import_items

    try:
        return import_items(platform.db, source, aim.feed, aim.catalogue, aim.currency, progress=progress)
    except ValueError as error:
        raise Trouble(f"{file}: {error}") from error


@contextmanager
def _progress(source: BinaryIO, size: int) -> Iterator[Callable[[int], None]]:
    """A bar for people; silence for scripts."""
    if not is_terminal():
        yield lambda rows: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rows]:,} rows"), TimeRemainingColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("", total=size or 1, rows=0)
        yield lambda rows: bar.update(task, completed=source.tell(), rows=rows)


def _show(done: ImportReport, report: Path | None) -> None:
    counts = {
        "rows": done.rows,
        "imported": done.imported,
        "updated": done.updated,
        "unchanged": done.unchanged,
        "merged (an earlier row has the same GTIN)": done.merged,
        "refused": done.refused,
    }
    show_table(("Rows", "Number"), counts.items())
    if not done.refused:
        return
    show_table(("Refused because", "Number"), done.reasons.items())
    shown = done.refusals[:SHOWN]
    show_table(("Line", "Barcode", "Why"), [(at.line, at.barcode, f"{at.reason}: {at.detail}") for at in shown])
    kept = f"the first {len(done.refusals)} of them are" if done.refused > len(done.refusals) else "all of them are"
    where = f"; {kept} in {report}" if report else "; --report FILE.csv keeps them" if done.refused > SHOWN else ""
    say(f"{done.refused} of {done.rows} rows were refused and left out{where}")


def _write_refusals(file: Path, done: ImportReport) -> None:
    with file.open("w", encoding="utf-8", newline="") as target:
        rows = csv.writer(target)
        rows.writerow(("line", "barcode", "reason", "detail"))
        for at in done.refusals:
            rows.writerow((at.line, *map(_harmless, (at.barcode, at.reason, at.detail))))


def _harmless(cell: str) -> str:
    """The text, not run as a formula by the spreadsheet that opens it."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
