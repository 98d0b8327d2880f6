"""The unit of work: ``write`` runs a function in one transaction, ``read`` outside of any.

SQLite: one writer connection on one thread (writers queue fairly in front of it, ``BEGIN IMMEDIATE`` is the lock) and
a read-only engine beside it. PostgreSQL: one pool; reads are autocommit. The same code runs on both.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError

Tx = Connection
"""What a unit of work is given. Only ``core.storage`` looks inside."""

T = TypeVar("T")

_RETRY_STATES: Final = frozenset({"40001", "40P01"})
"""PostgreSQL: serialization failure, deadlock. The transaction was rolled back whole and can run again."""
_ATTEMPTS: Final = 5
_WAL_ATTEMPTS: Final = 100
_WORKING: Final[ContextVar[tuple[Database, ...]]] = ContextVar("tillhook_working", default=())
"""The databases that a unit of work is under way in. A context and not a thread: a hook that is asked inside of one is
called in a thread of its own, and would wait there for the very transaction that waits for its answer."""


class UnsupportedDatabase(ValueError):
    """The URL is of a database that tillhook does not work with."""


class Database:
    """A database by URL (``sqlite:///file.db`` or ``postgresql+psycopg://…``)."""

    def __init__(self, url: str, *, pool_size: int = 10, threads_named: str = "tillhook") -> None:
        parsed = make_url(url)
        self.kind = parsed.get_backend_name()
        self.url = url
        self._writer: ThreadPoolExecutor | None = None
        if self.kind == "sqlite":
            if not parsed.database or parsed.database == ":memory:":
                raise UnsupportedDatabase("an in-memory SQLite database cannot be shared by threads: name a file")
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            self._write_engine = _sqlite_engine(url, writer=True, pool_size=1)
            self._read_engine = _sqlite_engine(url, writer=False, pool_size=pool_size)
            self._writer = ThreadPoolExecutor(1, thread_name_prefix=f"{threads_named}-writer")
        elif self.kind == "postgresql":
            self._write_engine, self._read_engine = _postgres_engines(url, pool_size)
        else:
            raise UnsupportedDatabase(f"database {self.kind!r} is not supported: use sqlite or postgresql+psycopg")

    def write(self, work: Callable[[Tx], T]) -> T:
        """Run ``work`` in one transaction and commit it. It may run again after a deadlock, so it must not talk
        to anything but the database. Raises RuntimeError inside another unit of work."""
        self._must_be_outermost()
        if self._writer is None:
            return self._unit_of_work(work)
        return self._writer.submit(self._unit_of_work, work).result()

    def write_here(self, work: Callable[[Tx], T]) -> T:
        """As ``write``, but always in the calling thread: for work that is not ours, and that may have to be cut."""
        self._must_be_outermost()
        return self._unit_of_work(work)

    def rebuild(self, work: Callable[[Tx], T]) -> T:
        """As ``write``, for work that changes tables.

        SQLite changes one by copying it and dropping the first: rows that refer to it would be deleted with it or keep
        it from being dropped. So its foreign keys are looked at when all is done; RuntimeError says which are broken.
        """
        self._must_be_outermost()
        if self._writer is None:
            return self._unit_of_work(work)
        return self._writer.submit(self._unit_of_work, work, self._without_foreign_keys).result()

    def read(self, work: Callable[[Tx], T]) -> T:
        """Run ``work`` without a transaction; each statement sees what is committed.

        Raises RuntimeError inside a unit of work, whose own changes it would not see."""
        self._must_be_outermost()
        with self._read_engine.connect() as tx:
            if self._writer is None:
                _set_autocommit(tx, wanted=True)
            return work(tx)

    def engine(self) -> Engine:
        """The writing engine, for migrations."""
        return self._write_engine

    def close(self) -> None:
        if self._writer is not None:
            self._writer.shutdown(wait=True)
        self._write_engine.dispose()
        self._read_engine.dispose()

    def _must_be_outermost(self) -> None:
        if self in _WORKING.get():
            raise RuntimeError("a unit of work may not start another one: pass the transaction on")

    def _unit_of_work(
        self, work: Callable[[Tx], T], begin: Callable[[], AbstractContextManager[Tx]] | None = None
    ) -> T:
        token = _WORKING.set((*_WORKING.get(), self))
        try:
            return self._transaction(work, begin or self._write_engine.begin)
        finally:
            _WORKING.reset(token)

    def _transaction(self, work: Callable[[Tx], T], begin: Callable[[], AbstractContextManager[Tx]]) -> T:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with begin() as tx:
                    return work(tx)
            except DBAPIError as error:
                if attempt == _ATTEMPTS or getattr(error.orig, "sqlstate", None) not in _RETRY_STATES:
                    raise
                time.sleep(0.01 * attempt)
        raise AssertionError("the loop above returns or raises")

    @contextmanager
    def _without_foreign_keys(self) -> Iterator[Tx]:
        """A transaction of SQLite; the switch has no effect inside of one."""
        with self._write_engine.connect() as tx:
            driver: Any = tx.connection.dbapi_connection
            driver.execute("PRAGMA foreign_keys=OFF")
            try:
                with tx.begin():
                    before = _broken(tx)
                    yield tx
                    if broken := sorted(_broken(tx) - before):
                        found = ", ".join(f"{table} ({parent})" for table, parent in broken)
                        raise RuntimeError(f"rows of these tables refer to what is not there: {found}")
            finally:
                driver.execute("PRAGMA foreign_keys=ON")


def _broken(tx: Tx) -> set[tuple[str, str]]:
    """(table, the table that its rows refer to in vain)."""
    return {(row[0], row[2]) for row in tx.exec_driver_sql("PRAGMA foreign_key_check")}


def _postgres_engines(url: str, pool_size: int) -> tuple[Engine, Engine]:
    """One for writing and one for reading on the same connections. Each sets a connection's mode when it differs from
    what is needed: SQLAlchemy's AUTOCOMMIT would set it and set it back around every read."""
    # The connection that was used last is the warmest; parameters by position cost the driver least.
    reading = sa.create_engine(
        url, pool_size=pool_size, max_overflow=0, pool_timeout=30, pool_use_lifo=True, paramstyle="format"
    )
    writing = reading.execution_options()

    @event.listens_for(writing, "begin")
    def begin(connection: Connection) -> None:
        _set_autocommit(connection, wanted=False)

    return writing, reading


def _set_autocommit(connection: Connection, *, wanted: bool) -> None:
    driver: Any = connection.connection.dbapi_connection
    if driver.autocommit is not wanted:
        driver.autocommit = wanted


def _write_ahead(cursor: Any) -> None:
    """Set the journal to WAL, which the file then keeps. SQLite does not wait for others that do the same just now."""
    for attempt in range(1, _WAL_ATTEMPTS + 1):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if attempt == _WAL_ATTEMPTS:
                raise
            time.sleep(0.05)
        else:
            return


def _sqlite_engine(url: str, *, writer: bool, pool_size: int) -> Engine:
    engine = sa.create_engine(
        url, pool_size=pool_size, max_overflow=0, pool_timeout=30, connect_args={"check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("busy_timeout=15000", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        if writer:
            _write_ahead(cursor)
        else:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    if writer:

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
