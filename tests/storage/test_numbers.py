"""Numbers without a gap and without a double, whoever takes them at the same time and whoever gives one back."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa

from tillhook.core.storage.database import Database, Tx
from tillhook.core.storage.numbers import ORDER, TRANSACTION, next_number
from tillhook.core.storage.tables import metadata, sequence

THREADS = 8
DRAWS = 25
FIRST = 100_000
PATIENCE = 30.0
"""Seconds until a test that hangs fails."""

Take = Callable[[Tx], int]
Write = Callable[[Take], int]


class GivenBack(Exception):
    """The unit of work that took a number is rolled back."""


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A new database with all tables."""
    url = f"sqlite:///{tmp_path}/shop.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = Database(url, pool_size=THREADS)
    opened.write(metadata.create_all)
    yield opened
    opened.close()


def drawn_at_once(writes: Sequence[Write], take: Take) -> list[int]:
    """The numbers that were committed by eight threads, of which about every third draw is rolled back."""

    def draw(thread: int) -> list[int]:
        chance = Random(thread)
        kept: list[int] = []
        for _ in range(DRAWS):
            work = partial(taken_and_given_back, take) if chance.random() < 0.3 else take
            with suppress(GivenBack):
                kept.append(writes[thread % len(writes)](work))
        return kept

    with ThreadPoolExecutor(THREADS) as pool:
        return sorted(number for kept in pool.map(draw, range(THREADS), timeout=PATIENCE) for number in kept)


def taken_and_given_back(take: Take, tx: Tx) -> int:
    raise GivenBack(take(tx))


def must_be_gapless(numbers: list[int]) -> None:
    assert numbers == list(range(FIRST, FIRST + len(numbers)))


def order_number(tx: Tx) -> int:
    return next_number(tx, "store", ORDER, first=FIRST)


class WithoutTheLock:
    """``next_number`` as it must not be: read, then write; in their first draw all threads read before one writes."""

    def __init__(self) -> None:
        self.everybody_has_read = threading.Barrier(THREADS)
        self.seen = threading.local()

    def __call__(self, tx: Tx) -> int:
        number = tx.execute(sa.select(sequence.c.last_no)).scalar_one() + 1
        if not hasattr(self.seen, "first"):
            self.seen.first = number
            self.everybody_has_read.wait(PATIENCE)
        tx.execute(sequence.update().values(last_no=number))
        return int(number)


def test_eight_threads_leave_no_gap_and_no_double(db: Database) -> None:
    numbers = drawn_at_once([db.write], order_number)
    must_be_gapless(numbers)
    assert THREADS < len(numbers) < THREADS * DRAWS, "some draws were rolled back"


def test_a_server_and_a_worker_on_the_same_database_leave_no_gap_and_no_double(db: Database) -> None:
    worker = Database(db.url, pool_size=THREADS)
    must_be_gapless(drawn_at_once([db.write, worker.write], order_number))
    worker.close()


def test_without_the_lock_the_same_draw_gives_numbers_twice(db: Database) -> None:
    db.write(lambda tx: tx.execute(sequence.insert().values(store_id="store", name=ORDER, last_no=FIRST - 1)))
    numbers = drawn_at_once([unlocked(db)], WithoutTheLock())
    with pytest.raises(AssertionError):
        must_be_gapless(numbers)
    assert len(set(numbers)) < len(numbers)


def unlocked(db: Database) -> Write:
    """Transactions that take no lock as they begin: PostgreSQL's, and SQLite's as its driver makes them by default."""
    if db.kind == "postgresql":
        return db.write
    engine = sa.create_engine(db.url, poolclass=sa.NullPool, connect_args={"timeout": PATIENCE})

    def write(work: Take) -> int:
        with engine.begin() as tx:
            return work(tx)

    return write


def test_a_number_that_was_given_back_is_the_next_ones(db: Database) -> None:
    assert db.write(order_number) == FIRST
    with pytest.raises(GivenBack):
        db.write(partial(taken_and_given_back, order_number))
    assert db.write(order_number) == FIRST + 1


def test_even_a_counters_very_first_number_can_be_given_back(db: Database) -> None:
    with pytest.raises(GivenBack):
        db.write(partial(taken_and_given_back, order_number))
    assert db.write(order_number) == FIRST


def test_each_store_name_and_scope_counts_for_itself(db: Database) -> None:
    def take(tx: Tx) -> list[int]:
        return [
            next_number(tx, "north", ORDER),
            next_number(tx, "north", ORDER),
            next_number(tx, "north", TRANSACTION),
            next_number(tx, "south", ORDER),
            next_number(tx, "north", ORDER, scope="till 2"),
        ]

    assert db.write(take) == [1, 2, 1, 1, 1]


def test_where_a_counter_begins_matters_only_when_it_is_new(db: Database) -> None:
    assert db.write(lambda tx: next_number(tx, "store", ORDER, first=500)) == 500
    assert db.write(lambda tx: next_number(tx, "store", ORDER, first=1)) == 501
