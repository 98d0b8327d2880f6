"""A plugin's units of work: whole or not at all, in the thread and in the time of the hook that they belong to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import pytest
import sqlalchemy as sa

from tillhook.core.roles.outside import DEADLINE
from tillhook.core.storage.database import Database
from tillhook.core.storage.own_tables import PluginDatabase

ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "postgresql": "SELECT count(*) FROM generate_series(1, 1000000000000)",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with the table ``club``."""
    url = f"sqlite:///{tmp_path}/shop.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = Database(url, pool_size=2)
    opened.write(lambda tx: tx.execute(sa.text("CREATE TABLE club (id INTEGER PRIMARY KEY)")))
    yield opened
    opened.close()


@pytest.fixture
def own(db: Database) -> PluginDatabase:
    return PluginDatabase(db, "club")


@pytest.fixture
def deadline() -> Iterator[Callable[[float], None]]:
    """Sets when the hook is cut, in seconds from now."""
    tokens = []

    def within(seconds: float) -> None:
        tokens.append(DEADLINE.set(time.monotonic() + seconds))

    yield within
    for token in reversed(tokens):
        DEADLINE.reset(token)


def add(tx: sa.Connection, number: int) -> None:
    tx.execute(sa.text("INSERT INTO club (id) VALUES (:id)"), {"id": number})


def members(db: Database) -> list[int]:
    return list(db.read(lambda tx: tx.execute(sa.text("SELECT id FROM club ORDER BY id")).scalars().all()))


def test_own_tables_are_written_whole_or_not_at_all(db: Database, own: PluginDatabase) -> None:
    own.write(lambda tx: (add(tx, 1), add(tx, 2)))
    with pytest.raises(sa.exc.IntegrityError):
        own.write(lambda tx: (add(tx, 3), add(tx, 1)))
    assert members(db) == [1, 2]
    with pytest.raises(RuntimeError, match="may not start another"):
        own.write(lambda _: own.read(lambda tx: None))


@pytest.mark.parametrize("how", [sa.Connection.commit, lambda tx: tx.execute(sa.text("COMMIT"))])
def test_a_unit_of_work_cannot_keep_half_of_it(
    db: Database, own: PluginDatabase, how: Callable[[sa.Connection], object]
) -> None:
    def half(tx: sa.Connection) -> None:
        add(tx, 1)
        how(tx)

    with pytest.raises(RuntimeError, match=r"work in outside.tables may not end its transaction"):
        own.write(half)
    assert members(db) == []


def test_a_unit_of_work_may_go_back_to_a_savepoint(db: Database, own: PluginDatabase) -> None:
    def work(tx: sa.Connection) -> None:
        add(tx, 1)
        savepoint = tx.begin_nested()
        add(tx, 2)
        savepoint.rollback()

    own.write(work)
    assert members(db) == [1]


def test_reading_writes_nothing(db: Database, own: PluginDatabase) -> None:
    with pytest.raises(sa.exc.DBAPIError, match=r"readonly|read-only"):
        own.read(lambda tx: add(tx, 1))
    assert members(db) == []
    own.write(lambda tx: add(tx, 1))
    assert own.read(lambda tx: tx.execute(sa.text("SELECT id FROM club")).scalar_one()) == 1


def test_a_unit_of_work_runs_in_the_thread_that_may_be_cut(own: PluginDatabase) -> None:
    """Never in the one thread that writes everything else: there, a loop without end would end all sales."""
    here = threading.get_ident()
    assert own.write(lambda tx: threading.get_ident()) == here
    assert own.read(lambda tx: threading.get_ident()) == here


@pytest.mark.parametrize("how", ["read", "write"])
def test_a_statement_ends_with_its_hook(
    db: Database, own: PluginDatabase, deadline: Callable[[float], None], how: str
) -> None:
    """Nobody can cut it, and on SQLite no sale could be written while it goes on."""
    deadline(0.05)
    with pytest.raises(sa.exc.OperationalError, match=r"interrupted|statement timeout"):
        getattr(own, how)(lambda tx: tx.execute(sa.text(ENDLESS[db.kind])).scalar_one())
    db.write(lambda tx: add(tx, 1))
    assert members(db) == [1]


@pytest.mark.parametrize("how", ["read", "write"])
def test_a_hook_that_was_cut_while_it_waited_changes_nothing(
    db: Database, own: PluginDatabase, deadline: Callable[[float], None], how: str
) -> None:
    deadline(-1)
    with pytest.raises(RuntimeError, match="was cut before the database had time for it"):
        getattr(own, how)(lambda tx: add(tx, 1))
    assert members(db) == []


@pytest.mark.parametrize("how", ["read", "write_here"])
def test_a_hook_that_is_asked_inside_a_unit_of_work_may_not_start_another(db: Database, how: str) -> None:
    """It is asked in a thread of its own. On SQLite it would wait for the transaction that waits for its answer."""

    def work(_: sa.Connection) -> object:
        with ThreadPoolExecutor(1) as threads:
            return threads.submit(copy_context().run, getattr(db, how), lambda tx: None).result()

    with pytest.raises(RuntimeError, match="may not start another"):
        db.write(work)
