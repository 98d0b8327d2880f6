"""The unit of work: all of it or nothing, seen by nobody before its commit."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from tillhook.core.storage.database import Database, Tx

PATIENCE = 30.0
"""Seconds until a test that hangs fails."""

metadata = sa.MetaData()
account = sa.Table(
    "account",
    metadata,
    sa.Column("name", sa.String(20), primary_key=True),
    sa.Column("balance", sa.Integer, nullable=False),
)
entry = sa.Table(
    "entry",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("account", sa.ForeignKey("account.name", deferrable=True, initially="DEFERRED"), nullable=False),
)


class Mishap(Exception):
    """What goes wrong in the middle of a unit of work."""


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with the accounts ``a`` and ``b``, both empty."""
    url = f"sqlite:///{tmp_path}/shop.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = Database(url, pool_size=4)
    opened.write(metadata.create_all)
    opened.write(lambda tx: tx.execute(account.insert(), [{"name": name, "balance": 0} for name in "ab"]))
    yield opened
    opened.close()


def add(tx: Tx, name: str, amount: int = 1) -> None:
    tx.execute(account.update().where(account.c.name == name).values(balance=account.c.balance + amount))


def balances(db: Database) -> dict[str, int]:
    return db.read(lambda tx: {row.name: row.balance for row in tx.execute(sa.select(account))})


def test_a_unit_of_work_is_kept_and_its_answer_handed_back(db: Database) -> None:
    def work(tx: Tx) -> str:
        add(tx, "a", 5)
        return "done"

    assert db.write(work) == "done"
    assert balances(db) == {"a": 5, "b": 0}


def test_a_unit_of_work_that_fails_leaves_nothing(db: Database) -> None:
    def work(tx: Tx) -> None:
        add(tx, "a")
        add(tx, "b")
        raise Mishap

    with pytest.raises(Mishap):
        db.write(work)
    assert balances(db) == {"a": 0, "b": 0}
    db.write(lambda tx: add(tx, "b"))
    assert balances(db) == {"a": 0, "b": 1}


def test_a_commit_that_fails_is_an_error_and_leaves_nothing(db: Database) -> None:
    def work(tx: Tx) -> None:
        add(tx, "a")
        tx.execute(entry.insert().values(id=1, account="nobody's"))

    with pytest.raises(IntegrityError):
        db.write(work)
    assert balances(db) == {"a": 0, "b": 0}
    db.write(lambda tx: add(tx, "a"))
    assert balances(db) == {"a": 1, "b": 0}


def test_a_read_sees_only_what_is_committed(db: Database) -> None:
    written, looked = threading.Event(), threading.Event()

    def work(tx: Tx) -> None:
        add(tx, "a")
        written.set()
        assert looked.wait(PATIENCE)

    with ThreadPoolExecutor(1) as elsewhere:
        writing = elsewhere.submit(db.write, work)
        assert written.wait(PATIENCE)
        before = balances(db)
        looked.set()
        writing.result(PATIENCE)
    assert before == {"a": 0, "b": 0}
    assert balances(db) == {"a": 1, "b": 0}


def test_each_statement_of_a_read_sees_what_was_committed_before_it(db: Database) -> None:
    def read(tx: Tx) -> tuple[int, int]:
        statement = sa.select(account.c.balance).where(account.c.name == "a")
        first = tx.execute(statement).scalar_one()
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(db.write, lambda tx: add(tx, "a")).result(PATIENCE)
        return first, tx.execute(statement).scalar_one()

    assert db.read(read) == (0, 1)


@pytest.mark.parametrize("inner", ["read", "write"])
def test_a_unit_of_work_inside_another_is_refused_and_undoes_it(db: Database, inner: str) -> None:
    def work(tx: Tx) -> None:
        add(tx, "a")
        getattr(db, inner)(lambda tx: add(tx, "b"))

    with pytest.raises(RuntimeError, match="pass the transaction on"):
        db.write(work)
    assert balances(db) == {"a": 0, "b": 0}


def test_writers_never_lose_each_others_changes(db: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(db.write, lambda tx: add(tx, "a")) for _ in range(40)]
        for future in done:
            future.result(PATIENCE)
    assert balances(db) == {"a": 40, "b": 0}


def test_on_sqlite_a_read_cannot_write(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/shop.db")
    db.write(metadata.create_all)
    with pytest.raises(OperationalError, match="readonly"):
        db.read(lambda tx: tx.execute(account.insert().values(name="a", balance=1)))
    assert balances(db) == {}
    db.close()


def test_on_sqlite_money_is_flushed_to_the_disk_and_references_are_checked(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/below/a/folder/shop.db")
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    assert db.write(lambda tx: {name: tx.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted}) == wanted
    db.close()


def test_on_postgresql_two_transactions_that_lock_each_other_out_both_end_well(postgres_url: str) -> None:
    db = Database(postgres_url, pool_size=4)
    db.write(metadata.create_all)
    db.write(lambda tx: tx.execute(account.insert(), [{"name": name, "balance": 0} for name in "ab"]))
    both_hold_one = threading.Barrier(2)
    attempts: list[str] = []

    def move(tx: Tx, first: str, second: str) -> None:
        attempts.append(first)
        add(tx, first)
        if attempts.count(first) == 1:
            both_hold_one.wait(PATIENCE)
        add(tx, second)

    with ThreadPoolExecutor(2) as pool:
        moves = [
            pool.submit(db.write, lambda tx: move(tx, "a", "b")),
            pool.submit(db.write, lambda tx: move(tx, "b", "a")),
        ]
        for done in moves:
            done.result(PATIENCE)
    assert balances(db) == {"a": 2, "b": 2}
    assert sorted(attempts) in (["a", "a", "b"], ["a", "b", "b"]), "the one that lost the deadlock ran once more"
    db.close()


class Refusal(Exception):
    """A database driver's error."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(("sqlstate", "attempts"), [("40P01", 5), ("40001", 5), ("23505", 1)])
def test_only_a_deadlock_is_tried_again_and_not_for_ever(db: Database, sqlstate: str, attempts: int) -> None:
    tried: list[str] = []

    def work(tx: Tx) -> None:
        tried.append(sqlstate)
        add(tx, "a")
        raise DBAPIError("UPDATE", {}, Refusal(sqlstate))

    with pytest.raises(DBAPIError, match=sqlstate):
        db.write(work)
    assert len(tried) == attempts
    assert balances(db) == {"a": 0, "b": 0}


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="name a file"):
        Database(url)


def test_a_database_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="'mysql' is not supported"):
        Database("mysql://host/shop")
