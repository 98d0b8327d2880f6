"""Work on the database that is not the core's own: plugins' units of work and migrations, kept whole and in time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import event

from tillhook.core.roles.outside import HOOK, seconds_left
from tillhook.core.storage.database import Tx

_ENDS: Final = re.compile(r"\s*(COMMIT|END|ABORT|ROLLBACK)\b(?!\s+(WORK\s+|TRANSACTION\s+)?TO\b)", re.IGNORECASE)
"""How statements begin that end a transaction; going back to a savepoint does not."""
_STEPS: Final = 10_000
"""SQLite looks at the time after so many of its machine's instructions: about a millisecond."""


@contextmanager
def kept_open(tx: Tx, what: str) -> Iterator[None]:
    """Whoever ends the transaction from inside keeps half of it: refused, by RuntimeError that begins with ``what``."""

    why = f"{what} may not end its transaction: the core commits it, whole"

    def refuse(connection: Any) -> None:
        # SQLAlchemy takes its transaction for ended by now, so it would not undo it.
        connection.connection.dbapi_connection.rollback()
        raise RuntimeError(why)

    def look(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if _ENDS.match(statement):
            raise RuntimeError(why)

    event.listen(tx, "commit", refuse)
    event.listen(tx, "before_cursor_execute", look)
    try:
        yield
    finally:
        event.remove(tx, "commit", refuse)
        event.remove(tx, "before_cursor_execute", look)


@contextmanager
def in_time(tx: Tx, *, writing: bool) -> Iterator[None]:
    """Every statement inside ends with the hook that it is made for, by an error of the database.

    Nobody can cut what is being done in the database's own code, and on SQLite every sale waits for whoever writes.
    Raises RuntimeError when the hook was cut before it got its turn: what it wanted is somebody else's business now.
    """
    left = seconds_left()
    if left is not None and left <= 0:
        raise RuntimeError(f"outside.tables: the hook {HOOK.get()} was cut before the database had time for it")
    if tx.dialect.name == "postgresql":
        with _in_time_on_postgres(tx, left, writing=writing):
            yield
        return
    driver: Any = tx.connection.dbapi_connection
    if left is not None:
        driver.set_progress_handler(lambda: (seconds_left() or 0) <= 0, _STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)


@contextmanager
def _in_time_on_postgres(tx: Tx, left: float | None, *, writing: bool) -> Iterator[None]:
    limit = "" if left is None else f"SET LOCAL statement_timeout = {max(1, round(left * 1000))}"
    if writing:
        if limit:
            tx.exec_driver_sql(limit)
        yield
        return
    tx.exec_driver_sql(f"BEGIN READ ONLY; {limit}")
    try:
        yield
    finally:
        tx.exec_driver_sql("ROLLBACK")
