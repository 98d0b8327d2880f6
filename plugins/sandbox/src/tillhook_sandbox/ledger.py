"""The sandbox's own books: one SQLite file that outlives any process and is shared by all of them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from tillhook import Money, Outcome, Verb

BUSY_SECONDS: Final = 30.0
_VERSION: Final = 1

_TABLES: Final = (
    """CREATE TABLE operation (
        idempotency_key TEXT PRIMARY KEY, verb TEXT NOT NULL, merchant_reference TEXT NOT NULL,
        amount INTEGER NOT NULL, currency TEXT NOT NULL, psp_reference TEXT NOT NULL, outcome BLOB NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE payment (
        sequence INTEGER PRIMARY KEY, psp_reference TEXT NOT NULL UNIQUE, merchant_reference TEXT NOT NULL,
        amount INTEGER NOT NULL, currency TEXT NOT NULL, state TEXT NOT NULL, inquiries INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX payment_merchant_reference ON payment (merchant_reference)",
    """CREATE TABLE movement (
        sequence INTEGER PRIMARY KEY, psp_reference TEXT NOT NULL, kind TEXT NOT NULL,
        amount INTEGER NOT NULL CHECK (amount > 0)
    )""",
    "CREATE INDEX movement_psp_reference ON movement (psp_reference)",
)

_OPERATION: Final = (
    "SELECT verb, merchant_reference, amount, currency, psp_reference, outcome FROM operation WHERE idempotency_key = ?"
)
_PAYMENT: Final = (
    "SELECT psp_reference, merchant_reference, amount, currency, state, inquiries FROM payment WHERE psp_reference = ?"
)
_NEWEST_PAYMENT: Final = (
    "SELECT psp_reference, merchant_reference, amount, currency, state, inquiries FROM payment"
    " WHERE merchant_reference = ? ORDER BY sequence DESC LIMIT 1"
)
_CHARGES: Final = (
    "SELECT p.merchant_reference, p.currency,"
    " sum(m.kind = 'capture'), sum(m.amount * (m.kind = 'capture')),"
    " sum(m.kind = 'refund'), sum(m.amount * (m.kind = 'refund'))"
    " FROM movement m JOIN payment p USING (psp_reference)"
    " GROUP BY p.merchant_reference, p.currency ORDER BY min(p.sequence)"
)

_read_outcome: Final = msgspec.json.Decoder[Outcome](Outcome)


class State(StrEnum):
    """Where a payment stands at the provider."""

    CHALLENGED = "challenged"
    PENDING = "pending"
    HELD = "held"
    TAKEN = "taken"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Movement(StrEnum):
    """Money that moved: the only rows that count as a charge."""

    CAPTURE = "capture"
    REFUND = "refund"


class AtProvider(Struct, frozen=True):
    """A payment as the provider knows it."""

    psp_reference: str
    merchant_reference: str
    amount: Money
    state: State
    inquiries: int = 0


class Operation(Struct, frozen=True):
    """A call that was answered; the same key gets the same answer again."""

    idempotency_key: str
    verb: Verb
    merchant_reference: str
    amount: Money
    psp_reference: str
    outcome: Outcome


class Charge(Struct, frozen=True):
    """What moved for one merchant reference: charged once means ``captures == 1``."""

    merchant_reference: str
    captures: int
    captured: Money
    refunds: int
    refunded: Money


class Book:
    """The books while a transaction is open."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def operation(self, idempotency_key: str) -> Operation | None:
        row = self._connection.execute(_OPERATION, (idempotency_key,)).fetchone()
        if row is None:
            return None
        verb, merchant_reference, amount, currency, psp_reference, outcome = row
        money = Money(amount, currency)
        answer = _read_outcome.decode(outcome)
        return Operation(idempotency_key, Verb(verb), merchant_reference, money, psp_reference, answer)

    def record(self, operation: Operation) -> None:
        self._connection.execute(
            "INSERT INTO operation VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                operation.idempotency_key,
                operation.verb.value,
                operation.merchant_reference,
                operation.amount.minor,
                operation.amount.currency,
                operation.psp_reference,
                msgspec.json.encode(operation.outcome),
            ),
        )

    def payment(self, psp_reference: str) -> AtProvider | None:
        return self._payment(_PAYMENT, psp_reference)

    def payment_of(self, merchant_reference: str) -> AtProvider | None:
        """The newest payment of a merchant reference."""
        return self._payment(_NEWEST_PAYMENT, merchant_reference)

    def _payment(self, query: str, reference: str) -> AtProvider | None:
        row = self._connection.execute(query, (reference,)).fetchone()
        if row is None:
            return None
        psp_reference, merchant_reference, amount, currency, state, inquiries = row
        return AtProvider(psp_reference, merchant_reference, Money(amount, currency), State(state), inquiries)

    def add_payment(self, payment: AtProvider) -> None:
        money = payment.amount
        self._connection.execute(
            "INSERT INTO payment (psp_reference, merchant_reference, amount, currency, state) VALUES (?, ?, ?, ?, ?)",
            (payment.psp_reference, payment.merchant_reference, money.minor, money.currency, payment.state.value),
        )

    def update_payment(self, payment: AtProvider) -> None:
        self._connection.execute(
            "UPDATE payment SET state = ?, inquiries = ? WHERE psp_reference = ?",
            (payment.state.value, payment.inquiries, payment.psp_reference),
        )

    def move(self, psp_reference: str, kind: Movement, minor: int) -> None:
        self._connection.execute(
            "INSERT INTO movement (psp_reference, kind, amount) VALUES (?, ?, ?)", (psp_reference, kind.value, minor)
        )

    def moved(self, psp_reference: str, kind: Movement) -> int:
        """Minor units captured from, or refunded to, a payment so far."""
        query = "SELECT coalesce(sum(amount), 0) FROM movement WHERE psp_reference = ? AND kind = ?"
        return int(self._connection.execute(query, (psp_reference, kind.value)).fetchone()[0])


class Ledger:
    """Opens the file at ``path`` when it is first used: one connection per thread, one writer at a time."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._threads: _Threads = threading.local()

    @contextmanager
    def writing(self) -> Iterator[Book]:
        """A transaction: committed at the end, undone when the block raises.

        Raises RuntimeError when the file cannot be opened.
        """
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield Book(connection)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def charges(self) -> list[Charge]:
        """What moved so far, by merchant reference and currency, in the order of the first payment."""
        rows = self._connection().execute(_CHARGES)
        return [
            Charge(reference, captures, Money(captured, currency), refunds, Money(refunded, currency))
            for reference, currency, captures, captured, refunds, refunded in rows
        ]

    def _connection(self) -> sqlite3.Connection:
        found = getattr(self._threads, "connection", None)
        if found is None:
            found = self._threads.connection = self._open()
        return found

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self.path, BUSY_SECONDS, isolation_level=None, check_same_thread=False, factory=_Closing
            )
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                connection.execute("PRAGMA journal_mode = WAL")
            # What is committed survives the end of the process; a power cut may lose it, which play money can bear.
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN IMMEDIATE")
            if connection.execute("PRAGMA user_version").fetchone() == (0,):
                for statement in _TABLES:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {_VERSION}")
            connection.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            raise RuntimeError(f"the sandbox ledger {self.path} cannot be opened: {error}") from error
        return connection


class _Closing(sqlite3.Connection):
    """Closes itself after its thread has ended, in whichever thread that is noticed."""

    def __del__(self) -> None:
        self.close()


class _Threads(Protocol):
    connection: sqlite3.Connection
