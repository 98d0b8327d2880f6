"""Statements compiled once: what they give, what they refuse, and that a lost connection is let go of."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tillhook.core.storage.database import Database
from tillhook.core.storage.migrating import upgrade
from tillhook.core.storage.prepared import Prepared, constant
from tillhook.core.storage.tables import delivery, event, sequence

NOON = datetime(2026, 3, 14, 12, 0, 0, 123456, tzinfo=UTC)

PUT = Prepared(sa.insert(sequence))
TAKE = Prepared(
    sa.select(sequence.c.name, sequence.c.last_no)
    .where(sequence.c.store_id == sa.bindparam("p_store"), sequence.c.last_no > 0)
    .order_by(sequence.c.name)
)
RAISE = Prepared(sa.update(sequence).where(sequence.c.store_id == sa.bindparam("p_store")).values(last_no=7))


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A new, migrated database."""
    url = f"sqlite:///{tmp_path}/shop.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = Database(url, pool_size=2)
    upgrade(opened)
    yield opened
    opened.close()


def number(name: str, last_no: int = 1) -> dict[str, Any]:
    return {"store_id": "sto_1", "name": name, "scope": "", "last_no": last_no}


def test_rows_come_as_they_were_written(migrated: Database) -> None:
    migrated.write(lambda tx: PUT.run_all(tx, [number("b", 2), number("a", 1)]))
    assert migrated.read(lambda tx: TAKE.all(tx, {"p_store": "sto_1"})) == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("names", [[], ["a"], ["a", "b", "c"]])
def test_any_number_of_rows_can_be_written_at_once(migrated: Database, names: list[str]) -> None:
    migrated.write(lambda tx: PUT.run_all(tx, [number(name) for name in names]))
    assert [row[0] for row in migrated.read(lambda tx: TAKE.all(tx, {"p_store": "sto_1"}))] == names


def test_one_is_none_where_there_is_no_row_and_only_wants_one(migrated: Database) -> None:
    assert migrated.read(lambda tx: TAKE.one(tx, {"p_store": "sto_1"})) is None
    with pytest.raises(sa.exc.NoResultFound):
        migrated.read(lambda tx: TAKE.only(tx, {"p_store": "sto_1"}))


def test_one_refuses_to_choose_among_several(migrated: Database) -> None:
    migrated.write(lambda tx: PUT.run_all(tx, [number("a"), number("b")]))
    with pytest.raises(sa.exc.MultipleResultsFound):
        migrated.read(lambda tx: TAKE.one(tx, {"p_store": "sto_1"}))


def test_a_change_says_how_many_rows_it_changed(migrated: Database) -> None:
    migrated.write(lambda tx: PUT.run_all(tx, [number("a"), number("b")]))
    assert migrated.write(lambda tx: RAISE.run(tx, {"p_store": "sto_1"})) == 2
    assert migrated.write(lambda tx: RAISE.run(tx, {"p_store": "sto_2"})) == 0


@pytest.mark.parametrize(
    "parameters", [{}, {"p_shop": "sto_1"}, {"p_store": "sto_1", "p_more": 1}], ids=["none", "another", "one more"]
)
def test_other_parameters_than_the_statement_has_are_refused(migrated: Database, parameters: dict[str, Any]) -> None:
    fresh = Prepared(sa.select(sequence.c.name).where(sequence.c.store_id == sa.bindparam("p_store")))
    for statement in (fresh, TAKE):  # before it is compiled, and after
        migrated.read(lambda tx: TAKE.all(tx, {"p_store": "sto_1"}))
        with pytest.raises((TypeError, KeyError)):
            migrated.read(lambda tx, at=statement: at.all(tx, parameters))  # type: ignore[misc]


def test_a_list_of_unknown_length_is_no_prepared_statement(migrated: Database) -> None:
    listed = Prepared(sa.select(sequence.c.name).where(sequence.c.last_no.in_([1, 2])))
    with pytest.raises(TypeError, match="in_ with parameters"):
        migrated.read(lambda tx: listed.all(tx, {}))


def test_what_the_database_refuses_is_raised_without_the_values(migrated: Database) -> None:
    migrated.write(lambda tx: PUT.run(tx, number("a")))
    with pytest.raises(sa.exc.IntegrityError) as refusal:
        migrated.write(lambda tx: PUT.run(tx, number("a")))
    assert "INSERT INTO sequence" in str(refusal.value)
    assert refusal.value.params is None


def test_a_refusal_among_many_rows_leaves_none_of_them(migrated: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        migrated.write(lambda tx: PUT.run_all(tx, [number("a"), number("b"), number("a")]))
    assert migrated.read(lambda tx: TAKE.all(tx, {"p_store": "sto_1"})) == []


def test_times_come_back_to_the_microsecond_in_utc(migrated: Database) -> None:
    put = Prepared(sa.insert(event).returning(event.c.created_at))
    moment = NOON.astimezone(timezone(timedelta(hours=2)))
    row = {"id": "evt_1", "source": "local", "type": "t", "stream_key": "k", "payload": "{}", "created_at": moment}
    (written,) = migrated.write(lambda tx: put.only(tx, row))
    (read,) = migrated.read(lambda tx: Prepared(sa.select(event.c.created_at)).only(tx, {}))
    assert written == read == NOON
    assert read.tzinfo is UTC


@pytest.mark.parametrize("value", ["plain", "it's", "''", "%s", "%(x)s", "?", ":x", 7, -1])
def test_a_constant_is_the_value_itself(migrated: Database, value: str | int) -> None:
    statement = Prepared(sa.select(constant(value), sa.bindparam("p_other", type_=sa.String())))
    assert migrated.read(lambda tx: statement.only(tx, {"p_other": "other"})) == (value, "other")


def test_a_condition_of_a_partial_index_is_written_out(migrated: Database) -> None:
    """PostgreSQL plans a statement that is prepared once for all values: it must see that the index will do."""
    waiting = sa.select(delivery.c.id).where(delivery.c.state == constant(0))
    assert "state = 0" in str(waiting.compile(dialect=migrated.engine().dialect))


def test_a_lost_connection_costs_one_failure(postgres_url: str) -> None:
    db = Database(postgres_url, pool_size=3)
    mine = Prepared(sa.select(sa.func.pg_backend_pid()))
    others = sa.text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    admin = Database(postgres_url, pool_size=1)
    try:
        with db.engine().connect() as first, db.engine().connect() as second:  # two in the pool afterwards
            before = {mine.only(first, {}), mine.only(second, {})}
        assert admin.read(lambda tx: tx.execute(others).scalar_one()) == 2
        with pytest.raises(sa.exc.OperationalError) as lost:
            db.read(lambda tx: mine.only(tx, {}))
        assert lost.value.connection_invalidated
        with db.engine().connect() as first, db.engine().connect() as second:
            assert {mine.only(first, {}), mine.only(second, {})}.isdisjoint(before)
    finally:
        db.close()
        admin.close()
