"""What an import leaves in the catalogue, and how it accounts for every row."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tillhook.core.domain.identifiers import check_digit
from tillhook.core.domain.money import Money
from tillhook.core.domain.store import Item
from tillhook.core.roles.offers import FeedItem
from tillhook.core.services.feeds import CsvFeed
from tillhook.core.services.importing import CHUNK, MAX_REFUSALS, ImportReport, import_items
from tillhook.core.storage.database import Database
from tillhook.core.storage.items import count_items, find_item
from tillhook.core.storage.migrating import upgrade

HEADER = "retailer_barcode,item_name,price_with_vat,vat_percent\n"
REAL_ITEMS = Path(__file__).parents[2].parent / "shared/data/items/real-items.csv"


def gtin13(number: int) -> str:
    body = f"952{number:09d}"
    return f"{body}{check_digit(body)}"


def file(*rows: str) -> BytesIO:
    return BytesIO((HEADER + "".join(f"{row}\n" for row in rows)).encode())


def good(number: int, price: str = "4.50") -> str:
    return f"{gtin13(number)},Item {number},{price},12"


@pytest.fixture
def sqlite_db(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path}/shop.db", pool_size=2)
    upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A new, migrated database."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_db")
        return
    opened = Database(request.getfixturevalue("postgres_url"), pool_size=2)
    upgrade(opened)
    yield opened
    opened.close()


def run(db: Database, source: BinaryIO, catalogue: str = "corner") -> ImportReport:
    return import_items(db, source, CsvFeed(), catalogue, "SEK")


def counts(report: ImportReport) -> tuple[int, int, int, int, int]:
    """imported, updated, unchanged, merged, refused"""
    assert report.rows == report.imported + report.updated + report.unchanged + report.merged + report.refused
    assert sum(report.reasons.values()) == report.refused
    return report.imported, report.updated, report.unchanged, report.merged, report.refused


def stored(db: Database, number: int, catalogue: str = "corner") -> Item | None:
    return db.read(lambda tx: find_item(tx, catalogue, f"0{gtin13(number)}"))


def test_good_rows_are_imported_and_bad_ones_reported_with_line_code_and_reason(db: Database) -> None:
    report = run(db, file(good(1), "123,Bad,1.00,12", good(2), f"{gtin13(3)},,1.00,12"))

    assert counts(report) == (2, 0, 0, 0, 2)
    assert [(at.line, at.barcode, at.reason) for at in report.refusals] == [
        (3, "123", "wrong length"),
        (5, gtin13(3), "no name"),
    ]
    assert report.reasons == {"no name": 1, "wrong length": 1}
    item = stored(db, 1)
    assert item is not None
    assert (item.name, item.price, item.tax_code, item.barcode) == ("Item 1", Money(450, "SEK"), "vat12", gtin13(1))


def test_the_same_file_again_changes_nothing(db: Database) -> None:
    rows = [good(number) for number in range(5)]
    run(db, file(*rows))
    before = stored(db, 3)

    assert counts(run(db, file(*rows))) == (0, 0, 5, 0, 0)
    assert stored(db, 3) == before


def test_a_changed_row_updates_its_item_which_keeps_its_id(db: Database) -> None:
    run(db, file(good(1), good(2)))
    before = stored(db, 2)

    assert counts(run(db, file(good(1), good(2, "9.00"), good(3)))) == (1, 1, 1, 0, 0)
    assert before is not None
    assert stored(db, 2) == replace(before, price=Money(900, "SEK"))


def test_items_that_a_file_does_not_list_stay(db: Database) -> None:
    run(db, file(good(1)))
    run(db, file(good(2)))

    assert db.read(lambda tx: count_items(tx, "corner")) == 2


def test_of_several_rows_with_one_gtin_the_first_counts(db: Database) -> None:
    """Also when they are written differently: 13 digits, 14 digits."""
    report = run(db, file(good(1), f"0{good(1, '9.00')}", good(1, "8.00"), good(2)))

    assert counts(report) == (2, 0, 0, 2, 0)
    item = stored(db, 1)
    assert item is not None
    assert item.price == Money(450, "SEK")


def test_a_refused_row_does_not_shadow_a_later_good_row_of_its_gtin(db: Database) -> None:
    assert counts(run(db, file(good(1, "free"), good(1)))) == (1, 0, 0, 0, 1)


def test_rows_are_merged_across_transactions(db: Database) -> None:
    rows = [good(number) for number in range(CHUNK + 1)]

    assert counts(run(db, file(*rows, good(0, "9.00")))) == (CHUNK + 1, 0, 0, 1, 0)


def test_the_same_goods_in_two_catalogues_are_two_items(db: Database) -> None:
    run(db, file(good(1)), "corner")
    run(db, file(good(1, "5.00")), "station")

    here, there = stored(db, 1, "corner"), stored(db, 1, "station")
    assert here is not None
    assert there is not None
    assert here.item_id != there.item_id
    assert (here.price.minor, there.price.minor) == (450, 500)


def test_a_file_without_the_wanted_columns_writes_nothing(sqlite_db: Database) -> None:
    with pytest.raises(ValueError, match="no column price_with_vat"):
        run(sqlite_db, BytesIO(b"retailer_barcode,item_name,vat_percent\n"))

    assert sqlite_db.read(lambda tx: count_items(tx, "corner")) == 0


def test_an_empty_list_of_items_is_a_report_of_nothing(sqlite_db: Database) -> None:
    assert run(sqlite_db, file()) == ImportReport(0, 0, 0, 0, 0, 0, {}, ())


def test_progress_is_told_after_each_thousand_rows(sqlite_db: Database) -> None:
    told: list[int] = []
    rows = [good(number) for number in range(2 * CHUNK + 1)]

    import_items(sqlite_db, file(*rows), CsvFeed(), "corner", "SEK", progress=told.append)

    assert told == [CHUNK, 2 * CHUNK, 2 * CHUNK + 1]


def test_the_first_refusals_are_listed_and_all_are_counted(sqlite_db: Database) -> None:
    report = run(sqlite_db, file(*["123,Bad,1.00,12"] * (MAX_REFUSALS + 500)))

    assert report.reasons == {"wrong length": MAX_REFUSALS + 500}
    assert len(report.refusals) == MAX_REFUSALS
    assert report.refusals[-1].line == MAX_REFUSALS + 1


def test_a_chunk_that_the_database_refuses_leaves_the_chunks_before_it(sqlite_db: Database) -> None:
    """And running the file again carries on where it ended."""
    sqlite_db.write(
        lambda tx: tx.execute(
            sa.text(
                "CREATE TRIGGER full BEFORE INSERT ON item WHEN new.name = 'Item 1500' "
                "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
            )
        )
    )
    rows = [good(number) for number in range(2 * CHUNK)]
    with pytest.raises(sa.exc.IntegrityError, match="disk full"):
        run(sqlite_db, file(*rows))
    assert sqlite_db.read(lambda tx: count_items(tx, "corner")) == CHUNK

    sqlite_db.write(lambda tx: tx.execute(sa.text("DROP TRIGGER full")))
    assert counts(run(sqlite_db, file(*rows))) == (CHUNK, 0, CHUNK, 0, 0)


LEMON = Item("", "corner", "00000095212340", "95212340", "Lemon", Money(450, "SEK"), "food")


class Feed:
    """A feed of a plugin's own."""

    name = "own"

    def __init__(self, *items: Item) -> None:
        self._items = items

    def read(self, source: BinaryIO, catalogue: str, currency: str) -> Iterator[FeedItem]:
        return (FeedItem(line, item) for line, item in enumerate(self._items, start=1))


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (replace(LEMON, catalogue="station"), "other catalogue"),
        (replace(LEMON, price=Money(450, "EUR")), "other currency"),
        (replace(LEMON, price=Money(-1, "SEK")), "bad price"),
        (replace(LEMON, name="x" * 501), "name too long"),
        (replace(LEMON, retailer_product_id="x" * 65), "retailer_product_id too long"),
        (replace(LEMON, gtin="95212340"), "no GTIN"),
        (replace(LEMON, gtin="00000095212349"), "no GTIN"),
    ],
)
def test_what_the_catalogue_cannot_hold_is_refused_whichever_feed_it_comes_from(
    db: Database, item: Item, reason: str
) -> None:
    report = import_items(db, BytesIO(), Feed(item, LEMON), "corner", "SEK")

    assert counts(report) == (1, 0, 0, 0, 1)
    assert report.reasons == {reason: 1}


def test_reasons_without_number_are_counted_together(sqlite_db: Database) -> None:
    class Wordy:
        name = "wordy"

        def read(self, source: BinaryIO, catalogue: str, currency: str) -> Iterator[FeedItem]:
            return (FeedItem(line, None, f"line {line} is bad") for line in range(1, 501))

    report = import_items(sqlite_db, BytesIO(), Wordy(), "corner", "SEK")

    assert len(report.reasons) <= 101
    assert counts(report) == (0, 0, 0, 0, 500)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.one_of(
            st.builds(good, st.integers(0, 8), st.sampled_from(["4.50", "9.00", "free"])),
            st.text(max_size=30).map(lambda text: text.replace("\n", "").replace('"', "") or "x"),
        ),
        max_size=30,
    )
)
def test_every_row_is_accounted_for(sqlite_db: Database, rows: list[str]) -> None:
    report = run(sqlite_db, BytesIO((HEADER + "".join(f"{row}\n" for row in rows)).encode(errors="replace")))

    assert sum(counts(report)) == len([row for row in rows if row.encode(errors="replace").strip()])


@pytest.mark.skipif(not REAL_ITEMS.is_file(), reason="the list of real products is not beside this repository")
def test_twenty_thousand_products_as_people_typed_them(db: Database) -> None:
    with REAL_ITEMS.open("rb") as source:
        report = run(db, source)

    assert report.rows == 20_000
    assert counts(report) == (19_813, 0, 0, 2, 185)
    assert report.reasons == {"wrong length": 97, "wrong check digit": 88}
    assert db.read(lambda tx: count_items(tx, "corner")) == report.imported
