"""The migrations make exactly the tables that the code uses, on both databases, whole or not at all."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tillhook.core.storage import migrating
from tillhook.core.storage.database import Database
from tillhook.core.storage.tables import metadata

SCHEMA = {
    "sqlite": """
        SELECT type, name, sql FROM sqlite_master
        WHERE tbl_name <> 'alembic_version' AND name NOT LIKE 'sqlite_%' ORDER BY 1, 2""",
    "postgresql": """
        SELECT 'column', table_name || '.' || column_name, concat_ws(' ', data_type, character_maximum_length,
            is_nullable, column_default) FROM information_schema.columns WHERE table_schema = 'public'
            AND table_name <> 'alembic_version'
        UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
            AND tablename <> 'alembic_version'
        UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace AND conrelid <> coalesce(to_regclass('alembic_version'), 0)
        ORDER BY 1, 2""",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A new, empty database."""
    url = f"sqlite:///{tmp_path}/shop.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = Database(url, pool_size=2)
    yield opened
    opened.close()


def schema(db: Database) -> dict[tuple[str, str], list[str]]:
    """(kind, name) → its definition, a table's parts sorted: SQLite keeps the text as it was written."""
    rows = db.read(lambda tx: tx.execute(sa.text(SCHEMA[db.kind])).all())
    return {
        (kind, name): sorted(part.strip(" \t,") for part in definition.splitlines()) for kind, name, definition in rows
    }


def test_the_migrated_schema_is_the_one_that_the_tables_describe(db: Database) -> None:
    """Defaults, checks and the conditions of partial indexes included: compared as the database tells them."""
    migrating.upgrade(db)
    migrated = schema(db)

    with db.engine().begin() as connection:
        metadata.drop_all(connection)
        metadata.create_all(connection)

    assert migrated == schema(db)
    assert len(migrated) > len(metadata.tables)


def test_autogenerate_finds_nothing_left_to_do(db: Database) -> None:
    migrating.upgrade(db)

    with db.engine().connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_status_of_an_empty_database_says_so_and_writes_nothing(db: Database) -> None:
    status = migrating.status(db)

    assert (status.current, status.up_to_date) == (None, False)
    assert db.read(lambda tx: sa.inspect(tx).get_table_names()) == []


def test_upgrading_twice_is_upgrading_once(db: Database) -> None:
    first = migrating.upgrade(db)

    assert first.up_to_date
    assert migrating.upgrade(db) == first == migrating.status(db)


def test_a_migration_that_fails_leaves_nothing_behind(db: Database) -> None:
    """``sold_epc`` is in the way: tables made before it must be gone, and no revision be written."""
    db.write(lambda tx: tx.execute(sa.text("CREATE TABLE sold_epc (mine INTEGER)")))

    with pytest.raises(sa.exc.DBAPIError, match="sold_epc"):
        migrating.upgrade(db)

    assert db.read(lambda tx: sa.inspect(tx).get_table_names()) == ["sold_epc"]
    assert migrating.status(db).current is None


def test_a_database_of_a_newer_version_is_refused_and_left_alone(db: Database) -> None:
    migrating.upgrade(db)
    db.write(lambda tx: tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'")))

    with pytest.raises(RuntimeError, match="revision 9999, which this version of tillhook does not know"):
        migrating.upgrade(db)

    assert migrating.status(db).current == "9999"


def test_processes_that_upgrade_at_the_same_time_wait_for_each_other(db: Database) -> None:
    others = [Database(db.url, pool_size=1) for _ in range(4)]
    try:
        with ThreadPoolExecutor(len(others)) as threads:
            statuses = list(threads.map(migrating.upgrade, others))
    finally:
        for other in others:
            other.close()

    assert all(status.up_to_date for status in statuses)


WAITING = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.mark.parametrize("lock", ["with the lock", "without it"])
def test_a_process_waits_for_another_ones_migrations(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, lock: str
) -> None:
    """Without the lock it would make the same tables: shown, so that this test is known to see it."""
    if lock == "without it":
        monkeypatch.setattr(migrating, "_LOCK", sa.text("SELECT 1"))
    first, second = (Database(postgres_url, pool_size=2) for _ in range(2))
    try:
        with ThreadPoolExecutor(1) as thread:
            with first.engine().begin() as tx:
                migrating._run(tx)
                other = thread.submit(migrating.upgrade, second)
                while not other.done() and not first.read(lambda tx: tx.execute(WAITING).scalar_one()):
                    pass
            if lock == "with the lock":
                assert other.result().up_to_date
            else:
                assert isinstance(other.exception(), sa.exc.IntegrityError)
    finally:
        first.close()
        second.close()
