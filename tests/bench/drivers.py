"""The bare drivers: psycopg and sqlite3, used the cheapest way that keeps what the server promises.

PostgreSQL: one connection for each thread; reads are single statements. SQLite: readers of their own, one writer that
threads take turns with, every commit on disk.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any, Protocol, cast

import psycopg

Write = Callable[..., Any]
"""``write(sql, *parameters)``: one statement of a transaction; its first row, if it has rows."""


class Raw(Protocol):
    """A thread's way to the database; statements are written with ``?``."""

    def read(self, sql: str, *parameters: Any) -> Any:
        """One statement outside of any transaction; its first row."""
        ...

    def writing(self) -> Any:
        """A transaction, as a context that gives a ``Write``."""
        ...

    def now(self) -> Any:
        """This moment, in the form that the tables keep."""
        ...


@cache
def _percent(sql: str) -> str:
    return sql.replace("?", "%s")


class PostgresDriver:
    """``database``: what psycopg connects to."""

    def __init__(self, database: str) -> None:
        self._database = database

    @contextmanager
    def open(self) -> Iterator[Raw]:
        with psycopg.connect(self._database, autocommit=True) as connection:
            yield _Postgres(connection)


class _Postgres:
    def __init__(self, connection: psycopg.Connection) -> None:
        self._cursor = connection.cursor()

    def read(self, sql: str, *parameters: Any) -> Any:
        return self._cursor.execute(cast(Any, _percent(sql)), parameters).fetchone()

    @contextmanager
    def writing(self) -> Iterator[Write]:
        self._cursor.execute("BEGIN")
        yield self._write
        self._cursor.execute("COMMIT")

    def now(self) -> Any:
        return datetime.now(UTC)

    def _write(self, sql: str, *parameters: Any) -> Any:
        cursor = self._cursor.execute(cast(Any, _percent(sql)), parameters)
        return cursor.fetchone() if cursor.description else None


class SqliteDriver:
    """``database``: the file."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._turn = threading.Lock()
        self._writer = self._connect()

    @contextmanager
    def open(self) -> Iterator[Raw]:
        with closing(self._connect()) as reader:
            yield _Sqlite(reader, self._writer, self._turn)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._database, isolation_level=None, check_same_thread=False)
        for pragma in ("busy_timeout=15000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        return connection


class _Sqlite:
    def __init__(self, reader: sqlite3.Connection, writer: sqlite3.Connection, turn: threading.Lock) -> None:
        self._reader = reader
        self._writer = writer
        self._turn = turn

    def read(self, sql: str, *parameters: Any) -> Any:
        return self._reader.execute(sql, parameters).fetchone()

    @contextmanager
    def writing(self) -> Iterator[Write]:
        with self._turn:
            self._writer.execute("BEGIN IMMEDIATE")
            yield self._write
            self._writer.execute("COMMIT")

    def now(self) -> Any:
        return time.time_ns() // 1000

    def _write(self, sql: str, *parameters: Any) -> Any:
        return self._writer.execute(sql, parameters).fetchone()
