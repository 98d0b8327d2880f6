"""The tables of plugins: migrated one plugin at a time, whole or not at all, and only what is the plugin's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from tillhook.core.storage.database import Database
from tillhook.core.storage.health import revision_of, wanted_revision
from tillhook.core.storage.migrating import upgrade
from tillhook.core.storage.own_schemas import (
    MigrationFailed,
    behind,
    left_behind,
    status_of,
    upgrade_all,
    upgrade_own,
    version_table,
)
from tillhook.core.storage.revisions import OwnSchema

Ship = Callable[..., OwnSchema]

MAKE_BOOKS = """op.create_table("club", sa.Column("id", sa.Integer(), primary_key=True))"""


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with the core's tables."""
    url = f"sqlite:///{tmp_path}/shop.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = Database(url, pool_size=2)
    upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture
def ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ship]:
    """Writes a package with revisions: ``ship("club", first="…")`` is a plugin whose revision ``first`` does that."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def write(plugin: str, requires_core: str = "", **revisions: str) -> OwnSchema:
        package = f"shipped_{plugin.replace('-', '_')}"
        made.append(package)
        folder = tmp_path / package / "migrations"
        folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / package / "__init__.py").touch()
        before = None
        for revision, does in revisions.items():
            lines = "\n".join(f"    {line}" for line in does.splitlines())
            (folder / f"{revision}.py").write_text(
                f"import sqlalchemy as sa\nfrom alembic import op\n\nrevision = {revision!r}\n"
                f"down_revision = {before!r}\n\n\ndef upgrade():\n{lines}\n"
            )
            before = revision
        return OwnSchema(plugin, "1.0", package, "migrations", requires_core)

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] in made]:
        del sys.modules[name]


def tables(db: Database) -> set[str]:
    return set(db.read(lambda tx: sa.inspect(tx).get_table_names()))


def test_a_plugins_tables_come_with_a_version_table_of_their_own(db: Database, ship: Ship) -> None:
    schema = ship("club", first=MAKE_BOOKS)
    assert status_of(db, schema).current is None
    assert "at none, it needs first: run `tillhook db upgrade`" in behind(db, [schema])

    assert upgrade_own(db, schema, ["club"]).up_to_date
    assert upgrade_own(db, schema, ["club"]).current == "first", "a second time there is nothing to do"

    assert {"club", "alembic_version_club"} <= tables(db)
    assert behind(db, [schema]) == ""
    assert db.read(revision_of) == wanted_revision(), "the core's own revision is left alone"


def test_the_next_release_only_runs_what_is_new(db: Database, ship: Ship) -> None:
    upgrade_own(db, ship("club", first=MAKE_BOOKS), ["club"])
    later = ship("club", first=MAKE_BOOKS, second='op.add_column("club", sa.Column("note", sa.Text()))')

    assert upgrade_own(db, later, ["club"]).current == "second"
    assert {column["name"] for column in db.read(lambda tx: sa.inspect(tx).get_columns("club"))} == {"id", "note"}


def test_a_failing_migration_leaves_nothing_of_it_and_stops_no_other_plugin(db: Database, ship: Ship) -> None:
    broken = ship("broken", first=MAKE_BOOKS.replace("club", "broken"), second='op.drop_column("nowhere", "x")')
    fine = ship("club", first=MAKE_BOOKS)

    failed, done = upgrade_all(db, [broken, fine])

    place = "revision second (shipped_broken/migrations/second.py, line 9)"
    assert failed.error.startswith(f"plugin 'broken' 1.0: {place}: ")
    assert "nowhere" in failed.error
    assert len(failed.error.splitlines()) == 1
    assert (done.error, done.before, done.after) == ("", None, "first")
    assert "broken" not in tables(db)
    assert status_of(db, broken).current is None
    assert db.read(revision_of) == wanted_revision()


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ('op.create_table("loot", sa.Column("id", sa.Integer()))', "it makes loot"),
        ('op.create_table("club2", sa.Column("id", sa.Integer()))', "it makes club2"),
        ('op.drop_table("idempotency")', "it drops idempotency"),
        ('op.add_column("store", sa.Column("spy", sa.Text()))', "it alters store ("),
        ('op.create_index("ix_spy", "store", ["name"])', "it alters store (index ix_spy"),
        ('op.create_table("other_book", sa.Column("id", sa.Integer()))', "it makes other_book"),
        ('op.execute("DROP TABLE alembic_version")', "it drops alembic_version"),
    ],
    ids=["a new one", "a similar name", "a core's dropped", "a column", "an index", "another plugin's", "versions"],
)
def test_a_migration_that_touches_what_is_not_its_own_is_undone(db: Database, ship: Ship, does: str, says: str) -> None:
    schema = ship("club", first=MAKE_BOOKS, second=does)
    before = tables(db)

    with pytest.raises(MigrationFailed) as refused:
        upgrade_own(db, schema, ["club", "other"])

    line = str(refused.value)
    assert line.startswith("plugin 'club' 1.0: revision second (shipped_club/migrations/second.py) touches what is not")
    assert says in line
    assert "Its tables are named club or club_…" in line
    assert tables(db) == before
    assert "spy" not in {column["name"] for column in db.read(lambda tx: sa.inspect(tx).get_columns("store"))}


def test_a_name_that_begins_with_another_plugins_is_that_plugins(db: Database, ship: Ship) -> None:
    """``club_house`` may have tables ``club_house_…``; ``club`` may not."""
    make = 'op.create_table("club_house_room", sa.Column("id", sa.Integer()))'
    owners = ["club", "club-house"]

    with pytest.raises(MigrationFailed, match="it makes club_house_room"):
        upgrade_own(db, ship("club", first=make), owners)
    assert upgrade_own(db, ship("club-house", first=make), owners).up_to_date
    assert version_table("club-house") in tables(db)


@pytest.mark.parametrize("how", ['op.execute("COMMIT")', "op.get_bind().commit()", 'op.execute("ROLLBACK")'])
def test_a_migration_cannot_end_its_transaction_and_keep_half(db: Database, ship: Ship, how: str) -> None:
    schema = ship("club", first=f"{MAKE_BOOKS}\n{how}\nraise OSError('too late')")

    with pytest.raises(MigrationFailed, match="may not end its transaction"):
        upgrade_own(db, schema, ["club"])

    assert "club" not in tables(db)


def test_a_table_may_refer_to_the_cores_keys(db: Database, ship: Ship) -> None:
    schema = ship(
        "club",
        "0001",
        first='op.create_table("club", sa.Column("store_id", sa.String(64), sa.ForeignKey("store.store_id")))',
    )
    assert upgrade_own(db, schema, ["club"]).up_to_date


def test_a_revision_of_the_core_that_is_not_there_yet_is_named(db: Database, ship: Ship) -> None:
    schema = ship("club", "9999", first=MAKE_BOOKS)
    with pytest.raises(MigrationFailed, match=r"needs revision 9999 of the core's tables.*install a newer tillhook"):
        upgrade_own(db, schema, ["club"])
    assert "club" not in tables(db)


def test_tables_of_a_newer_version_are_left_alone(db: Database, ship: Ship, tmp_path: Path) -> None:
    upgrade_own(db, ship("club", first=MAKE_BOOKS, second="pass"), ["club"])
    (tmp_path / "shipped_club" / "migrations" / "second.py").unlink()
    older = ship("club", first=MAKE_BOOKS)

    with pytest.raises(MigrationFailed, match="at revision second, which this version does not know"):
        upgrade_own(db, older, ["club"])
    assert status_of(db, older).current == "second"


def test_what_an_uninstalled_plugin_left_stays_and_disturbs_nobody(db: Database, ship: Ship) -> None:
    upgrade_own(db, ship("club", first=MAKE_BOOKS), ["club"])
    db.write(lambda tx: tx.execute(sa.text("INSERT INTO club (id) VALUES (7)")))

    other = ship("kiosk", first=MAKE_BOOKS.replace("club", "kiosk"))
    assert upgrade_own(db, other, ["kiosk"]).up_to_date
    assert upgrade(db).up_to_date

    (left,) = db.read(lambda tx: left_behind(tx, ["kiosk"]))
    assert (left.plugin, left.revision, left.tables) == ("club", "first", ("club",))
    assert db.read(lambda tx: tx.execute(sa.text("SELECT id FROM club")).scalar_one()) == 7
    assert db.read(lambda tx: left_behind(tx, ["club", "kiosk"])) == ()


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("two.py", "revision = 'two'\ndown_revision = None\n", "2 newest revisions (first, two)"),
        ("gap.py", "revision = 'gap'\ndown_revision = 'lost'\n", "follows lost, which is not in"),
        ("odd.py", "import os\n", "migrations/odd.py has no text `revision = …`"),
        ("bad.py", "revision = 'bad\n", "bad.py, line 1:"),
        ("same.py", "revision = 'first'\ndown_revision = None\n", "revision first is in first.py and in same.py"),
        ("long.py", f"revision = '{'r' * 33}'\n", "of long.py has more than 32 characters"),
    ],
)
def test_files_that_are_no_series_of_revisions_are_named(
    db: Database, ship: Ship, tmp_path: Path, file: str, text: str, says: str
) -> None:
    schema = ship("club", first=MAKE_BOOKS)
    (tmp_path / "shipped_club" / "migrations" / file).write_text(text)

    with pytest.raises(MigrationFailed) as refused:
        upgrade_own(db, schema, ["club"])
    assert says in str(refused.value)
    assert says in behind(db, [schema])


def test_a_folder_that_the_package_does_not_bring_is_named(db: Database, ship: Ship) -> None:
    schema = ship("club", first=MAKE_BOOKS)
    missing = OwnSchema("club", "1.0", schema.package, "elsewhere")
    with pytest.raises(MigrationFailed, match="has no folder 'elsewhere'"):
        upgrade_own(db, missing, ["club"])
    with pytest.raises(MigrationFailed, match="'no_such_package', which cannot be found"):
        upgrade_own(db, OwnSchema("club", "1.0", "no_such_package", "migrations"), ["club"])


@pytest.mark.parametrize(
    "source", ["raise RuntimeError('no license')", "raise SystemExit('no license')", "def no license"]
)
def test_a_package_that_cannot_be_imported_to_find_its_tables_is_named(
    db: Database, ship: Ship, tmp_path: Path, source: str
) -> None:
    schema = ship("club", first=MAKE_BOOKS)
    (tmp_path / schema.package / "__init__.py").write_text(source)
    fine = ship("kiosk", first=MAKE_BOOKS.replace("club", "kiosk"))

    failed, done = upgrade_all(db, [schema, fine])

    assert failed.error.startswith(
        "plugin 'club' 1.0: its tables are in the package 'shipped_club', whose import raised"
    )
    assert done.after == "first"
    assert "whose import raised" in behind(db, [schema])


def test_a_file_that_cannot_be_read_is_named(db: Database, ship: Ship, tmp_path: Path) -> None:
    schema = ship("club", first=MAKE_BOOKS)
    (tmp_path / "shipped_club" / "migrations" / "folder.py").mkdir()
    assert "plugin 'club' 1.0: folder.py cannot be read: Is a directory" in behind(db, [schema])


def test_plugins_whose_tables_would_have_the_same_names_are_refused(db: Database, ship: Ship) -> None:
    """They would also share the note of their revision: the second one's tables would never be made."""
    dashed = ship("club-house", first='op.create_table("club_house_room", sa.Column("id", sa.Integer()))')
    under = ship("club_house", first='op.create_table("club_house_key", sa.Column("id", sa.Integer()))')

    says = "its tables would be named as those of plugin 'club-house' (club_house_…)"
    assert says in behind(db, [dashed, under])
    assert all(says in done.error for done in upgrade_all(db, [dashed, under]))
    assert not {"club_house_room", "club_house_key"} & tables(db)


def test_rows_that_refer_to_a_table_survive_that_it_is_altered(db: Database, ship: Ship) -> None:
    """SQLite alters a table by copying it and dropping the first; what refers to it may not go with it."""
    make = """
op.create_table("club", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("note", sa.Text()))
for name, how in (("card", None), ("pin", "CASCADE")):
    key = sa.ForeignKey("club.id", ondelete=how)
    op.create_table(f"club_{name}", sa.Column("club_id", sa.Integer(), key, primary_key=True))
"""
    upgrade_own(db, ship("club", first=make), ["club"])
    for statement in ("club VALUES (7, '')", "club_card VALUES (7)", "club_pin VALUES (7)"):
        db.write(lambda tx, insert=statement: tx.execute(sa.text(f"INSERT INTO {insert}")))  # type: ignore[misc]
    alter = 'with op.batch_alter_table("club") as batch:\n    batch.alter_column("note", type_=sa.String(10))'

    assert upgrade_own(db, ship("club", first=make, second=alter), ["club"]).current == "second"

    for table in ("club_card", "club_pin"):
        assert db.read(lambda tx, at=table: tx.execute(sa.text(f"SELECT club_id FROM {at}")).scalar_one()) == 7  # type: ignore[misc]
    with pytest.raises(sa.exc.IntegrityError):
        db.write(lambda tx: tx.execute(sa.text("DELETE FROM club")))


def test_a_migration_that_leaves_rows_without_what_they_refer_to_is_undone(db: Database, ship: Ship) -> None:
    make = """
op.create_table("club", sa.Column("id", sa.Integer(), primary_key=True))
op.create_table("club_card", sa.Column("club_id", sa.Integer(), sa.ForeignKey("club.id")))
op.execute("INSERT INTO club VALUES (7)")
op.execute("INSERT INTO club_card VALUES (7)")
"""
    upgrade_own(db, ship("club", first=make), ["club"])

    with pytest.raises(MigrationFailed, match=r"plugin 'club' 1.0: .*club_card"):
        upgrade_own(db, ship("club", first=make, second='op.execute("DELETE FROM club")'), ["club"])

    assert db.read(lambda tx: tx.execute(sa.text("SELECT id FROM club")).scalar_one()) == 7


def test_a_migration_may_go_back_to_a_savepoint(db: Database, ship: Ship) -> None:
    does = "point = op.get_bind().begin_nested()\npoint.rollback()"
    assert upgrade_own(db, ship("club", first=f"{MAKE_BOOKS}\n{does}"), ["club"]).up_to_date


def test_sys_exit_in_a_migration_ends_that_migration_only(db: Database, ship: Ship) -> None:
    schema = ship("club", first=f"{MAKE_BOOKS}\nraise SystemExit(3)")
    with pytest.raises(MigrationFailed, match=r"line 10.*SystemExit: 3"):
        upgrade_own(db, schema, ["club"])
    assert "club" not in tables(db)


def test_processes_that_migrate_the_same_plugin_wait_for_each_other(db: Database, ship: Ship) -> None:
    schema = ship("club", first=MAKE_BOOKS, second='op.add_column("club", sa.Column("note", sa.Text()))')
    others = [Database(db.url, pool_size=1) for _ in range(4)]
    try:
        with ThreadPoolExecutor(len(others)) as threads:
            found = list(threads.map(lambda one: upgrade_own(one, schema, ["club"]), others))
    finally:
        for other in others:
            other.close()
    assert all(one.up_to_date for one in found)
