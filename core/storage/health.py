"""How the database is: can it be reached, can it be written, what does its clock say; in words for a person."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from tillhook.core.storage.database import Database, Tx, UnsupportedDatabase
from tillhook.core.storage.tables import store

_CLOCK: Final = {
    "sqlite": sa.text("SELECT (julianday('now') - 2440587.5) * 86400.0"),
    "postgresql": sa.text("SELECT extract(epoch FROM clock_timestamp())"),
}
_NOTHING: Final = sa.update(store).where(sa.false()).values(name="")


def shown(url: str) -> str:
    """The URL of a database without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "the database"


def file_of(url: str) -> Path | None:
    """The file of an SQLite database; None for a server."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def wanted_revision() -> str:
    """The newest revision, told from the names of the migrations' files (``0001_…``): quicker than asking alembic."""
    folder = files("tillhook.migrations").joinpath("versions")
    return max(file.name for file in folder.iterdir() if file.name[:1].isdigit()).partition("_")[0]


def revision_of(tx: Tx, version_table: str = "alembic_version") -> str | None:
    """The revision that the core's tables are at, or those of the plugin with that version table; None: before any."""
    if not sa.inspect(tx).has_table(version_table):
        return None
    versions = sa.table(version_table, sa.column("version_num"))
    found: str | None = tx.execute(sa.select(versions.c.version_num)).scalar_one_or_none()
    return found


def clock_of(tx: Tx) -> datetime:
    """What time it is for the database."""
    return datetime.fromtimestamp(float(tx.execute(_CLOCK[tx.dialect.name]).scalar_one()), UTC)


def try_to_write(db: Database) -> None:
    """Raises what a writer would meet (a read-only file, missing rights); changes nothing."""
    db.write(lambda tx: tx.execute(_NOTHING))


def unusable(error: BaseException) -> str:
    """Why the URL cannot be used, if that is what ``error`` says; else empty."""
    if isinstance(error, ArgumentError):
        return "is no database's URL: write sqlite:///file.db or postgresql+psycopg://user@host/name"
    if isinstance(error, UnsupportedDatabase):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name in {"psycopg", "psycopg2"}:
        return "needs the extra `postgres`: pip install 'tillhook[postgres]', and a URL postgresql+psycopg://…"
    return ""


def failure(error: BaseException) -> str:
    """What the database said, if ``error`` is from it; else empty."""
    if not isinstance(error, SQLAlchemyError):
        return ""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return (str(cause).strip() or type(cause).__name__).splitlines()[0]
