"""Statements that every sale runs: compiled once, then handed to the driver as they are.

SQLAlchemy still builds them and owns connection and transaction. What is left out is what it does for each execution
(a key for its cache, an execution context, a result object): most of what such a statement costs in this process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

from tillhook.core.storage.database import Tx

_CURSOR: Final = "tillhook cursor"

Statement = sa.Select[Any] | sa.Insert | sa.Update | sa.Delete
Row = tuple[Any, ...]
Parameters = Mapping[str, Any]
_Change = Callable[[Any], Any]


def constant(value: str | int) -> sa.ColumnElement[Any]:
    """A value written into the statement: a partial index is only used for a condition that the planner can see."""
    return sa.literal_column(str(value) if isinstance(value, int) else "'{}'".format(value.replace("'", "''")))


class _Plan(Struct, frozen=True):
    """A statement as one dialect's driver wants it."""

    sql: str
    names: tuple[str, ...]
    """The parameters in their order; both drivers tell them apart by it."""
    given: int
    """How many parameters the caller gives."""
    fixed: dict[str, Any]
    """Parameters that have their values already."""
    into: tuple[tuple[str, _Change], ...]
    """How given values are changed for the driver."""
    out_of: tuple[tuple[int, _Change], ...]
    """How columns of rows are changed back."""


class Prepared:
    """A statement, or one for each dialect. It may not hold ``in_`` with parameters: their number differs.

    Each call needs the same parameter names; it raises KeyError or TypeError for others, and what SQLAlchemy would
    raise for whatever the database refuses.
    """

    def __init__(self, statement: Statement | Mapping[str, Statement]) -> None:
        self._statement: Final = statement
        self._plans: dict[str, _Plan] = {}

    def one(self, tx: Tx, parameters: Parameters) -> Row | None:
        """The only row, or None. Raises MultipleResultsFound for more."""
        rows = self.all(tx, parameters)
        if len(rows) > 1:
            raise sa.exc.MultipleResultsFound(f"{len(rows)} rows where one was expected: {self._statement}")
        return rows[0] if rows else None

    def only(self, tx: Tx, parameters: Parameters) -> Row:
        """The only row. Raises NoResultFound for none, MultipleResultsFound for more."""
        row = self.one(tx, parameters)
        if row is None:
            raise sa.exc.NoResultFound(f"no row where one was expected: {self._statement}")
        return row

    def all(self, tx: Tx, parameters: Parameters) -> list[Row]:
        plan = self._plan(tx, parameters)
        rows: list[Row] = self._execute(tx, plan, parameters).fetchall()
        if not plan.out_of:
            return rows
        return [_changed(plan, row) for row in rows]

    def run(self, tx: Tx, parameters: Parameters) -> int:
        """How many rows were written."""
        return int(self._execute(tx, self._plan(tx, parameters), parameters).rowcount)

    def run_all(self, tx: Tx, many: Sequence[Parameters]) -> None:
        """Once for each of ``many``, which may be none."""
        if len(many) == 1:
            self.run(tx, many[0])
        elif many:
            plan = self._plan(tx, many[0])
            cursor = _cursor(tx)
            try:
                cursor.executemany(plan.sql, [_values(plan, parameters) for parameters in many])
            except tx.dialect.loaded_dbapi.Error as error:
                _refused(tx, plan, cursor, error)

    def _plan(self, tx: Tx, parameters: Parameters) -> _Plan:
        dialect = tx.dialect
        plan = self._plans.get(dialect.name)
        if plan is None:
            statement = self._statement[dialect.name] if isinstance(self._statement, Mapping) else self._statement
            plan = self._plans[dialect.name] = _plan(statement, dialect, parameters)
        return plan

    def _execute(self, tx: Tx, plan: _Plan, parameters: Parameters) -> Any:
        values = _values(plan, parameters)
        cursor = _cursor(tx)
        try:
            cursor.execute(plan.sql, values)
        except tx.dialect.loaded_dbapi.Error as error:
            _refused(tx, plan, cursor, error)
        return cursor


def _cursor(tx: Tx) -> Any:
    """The connection's own: results are read at once, so one is enough, and making one costs as much as a row."""
    connection = tx.connection
    cursor = connection.info.get(_CURSOR)
    if cursor is None:
        cursor = connection.info[_CURSOR] = connection.cursor()
    return cursor


def _plan(statement: Statement, dialect: Dialect, parameters: Parameters) -> _Plan:
    compiled = statement.compile(dialect=dialect, column_keys=list(parameters))
    assert isinstance(compiled, SQLCompiler), "a statement, not a definition"
    assert compiled.positiontup is not None, "the engines are made for parameters by position"
    if compiled.post_compile_params:
        raise TypeError(f"not for a prepared statement: in_ with parameters, in {compiled}")
    binds = {name: bind for bind, name in compiled.bind_names.items()}
    fixed = {name: value for name, value in compiled.params.items() if name not in parameters}
    missing = [name for name in fixed if binds[name].required]
    if missing or len(compiled.params) != len(fixed) + len(parameters):
        raise TypeError(f"parameters {sorted(parameters)}, but {sorted(compiled.params.keys() - fixed)} of {compiled}")
    into = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in binds.items()}
    out_of = [one.type.dialect_impl(dialect).result_processor(dialect, None) for one in statement.exported_columns]
    return _Plan(
        sql=compiled.string,
        names=tuple(compiled.positiontup),
        given=len(parameters),
        fixed={name: change(value) if (change := into[name]) else value for name, value in fixed.items()},
        into=tuple((name, change) for name, change in into.items() if change and name not in fixed),
        out_of=tuple((at, change) for at, change in enumerate(out_of) if change),
    )


def _values(plan: _Plan, parameters: Parameters) -> list[Any]:
    if len(parameters) != plan.given:
        raise TypeError(f"{sorted(parameters)} are not the parameters of {plan.sql}")
    values = {**plan.fixed, **parameters}
    for name, change in plan.into:
        values[name] = change(values[name])
    return [values[name] for name in plan.names]


def _changed(plan: _Plan, row: Row) -> Row:
    values = list(row)
    for at, change in plan.out_of:
        values[at] = change(values[at])
    return tuple(values)


def _refused(tx: Tx, plan: _Plan, cursor: Any, error: Any) -> NoReturn:
    """Raise what SQLAlchemy would; after a lost connection no other connection to that server is believed either."""
    dialect = tx.dialect
    lost = dialect.is_disconnect(error, tx.connection.dbapi_connection, cursor)
    if lost:
        tx.invalidate(error)
        tx.engine.dispose()
    raise DBAPIError.instance(
        plan.sql, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, connection_invalidated=lost,
        dialect=dialect,
    ) from error  # fmt: skip
