"""How many SQL statements a scan and a whole journey take, counted by SQLite itself in a shop of its own."""

import random
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.pool import Pool

from tests.bench.measures import SCANS, Counted
from tests.bench.subject import Subject
from tillhook.core.cli.demonstration import prepare
from tillhook.core.services.platform import Platform
from tillhook.core.testing.shop import TillShop

_FRAME: Final = ("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA")


def count(subject: Subject) -> Counted:
    """One journey and its duties; the scan counted alone is the last one, into a basket that is there."""
    with _every_statement() as seen, chdir(subject.folder):
        shop = TillShop(subject.folder / "tillhook.toml", furnish=_furnish)
        try:
            customer = subject.customers[0]
            till = shop("demo/DK").scan(customer.barcodes[0])  # the store is remembered from here on
            till = shop("demo/DK")
            seen.clear()
            for barcode in random.sample(customer.barcodes, SCANS):
                before = len(_statements(seen))
                till.scan(barcode)
                scan = len(_statements(seen)) - before
            till.pay(**customer.payment["payment_details"])
            shop.do_duties()
        finally:
            shop.close()
    return Counted(scan, len(_statements(seen)), sum(text.startswith("BEGIN") for text in seen))


def _furnish(platform: Platform) -> None:
    prepare(platform)


def _statements(seen: list[str]) -> list[str]:
    return [text for text in seen if not text.startswith(_FRAME)]


@contextmanager
def _every_statement() -> Iterator[list[str]]:
    seen: list[str] = []

    def connected(connection: Any, _record: object) -> None:
        connection.set_trace_callback(seen.append)

    event.listen(Pool, "connect", connected)
    try:
        yield seen
    finally:
        event.remove(Pool, "connect", connected)
