"""How the database is, in words for a person; on both databases."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tillhook.core.storage import health
from tillhook.core.storage.database import Database
from tillhook.core.storage.migrating import upgrade


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A new, empty database."""
    url = f"sqlite:///{tmp_path}/shop.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = Database(url, pool_size=2)
    yield opened
    opened.close()


def test_an_empty_database_has_no_revision_and_a_migrated_one_the_wanted(db: Database) -> None:
    assert db.read(health.revision_of) is None
    upgrade(db)
    assert db.read(health.revision_of) == health.wanted_revision()


def test_the_databases_clock_is_a_time_in_utc_near_ours(db: Database) -> None:
    theirs = db.read(health.clock_of)

    assert theirs.tzinfo is UTC
    assert abs(datetime.now(UTC) - theirs) < timedelta(hours=1)


def test_trying_to_write_says_what_a_writer_would_meet(db: Database) -> None:
    with pytest.raises(Exception, match="store") as raised:
        health.try_to_write(db)
    assert "store" in health.failure(raised.value)
    upgrade(db)
    health.try_to_write(db)


def test_a_password_is_never_shown() -> None:
    assert health.shown("postgresql+psycopg://till:hunter2@db/till") == "postgresql+psycopg://till:***@db/till"
    assert "hunter2" not in health.shown("till:hunter2@db")


def test_only_sqlite_has_a_file() -> None:
    assert health.file_of("sqlite:///var/till.db") == Path("var/till.db")
    assert health.file_of("postgresql+psycopg://till@db/till") is None


def test_other_errors_are_not_the_databases() -> None:
    assert health.failure(ValueError("database")) == health.unusable(ValueError("database")) == ""
