"""``tillhook db``: the schema of the database, the core's tables and those of every plugin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from tillhook.core.cli.faults import Trouble
from tillhook.core.cli.output import say, show_json, show_table, warn
from tillhook.core.cli.session import Session, pass_session, require_core_migrated, require_migrated

if TYPE_CHECKING:
    from tillhook.core.services.platform import Platform

CORE = "core"
UP_TO_DATE = "up to date"
BEHIND = "behind"
LEFT_BEHIND = "left behind"


class SchemaLine(Struct, frozen=True):
    """One line of ``tillhook db status``."""

    tables_of: str
    version: str
    revision: str | None
    wanted: str | None
    state: str
    tables: tuple[str, ...] = ()
    """Of what is left behind."""


@click.group()
def db() -> None:
    """Bring the database to this version's schema, or ask how it stands."""


@db.command()
@pass_session
def upgrade(session: Session) -> None:
    """Make the database if there is none, and run the migrations that are missing: the core's, then each plugin's.

    Of the core all of them happen, or none; the same for each plugin. A plugin whose migration fails stops no other;
    exit code 1 then. Repeating it does no harm; on PostgreSQL several machines may do it at once.

    \b
    Example:
      TILLHOOK_DATABASE_URL=postgresql+psycopg://till@db/till tillhook db upgrade
    """
    from tillhook.core.storage import migrating
    from tillhook.core.storage.health import shown
    from tillhook.core.storage.own_schemas import upgrade_all

    with session.system(migrated=False) as assembled:
        platform = assembled.platform
        database, where = platform.db, shown(platform.db.url)
        before = migrating.status(database)
        if before.up_to_date:
            say(f"{where}: nothing to do, at revision {before.head}")
        else:
            try:
                after = migrating.upgrade(database)
            except RuntimeError as error:
                raise Trouble(f"{where}: {error}") from error
            say(f"{where}: upgraded from {before.current or 'empty'} to revision {after.current}")
        failed = []
        for done in upgrade_all(database, platform.rooms.schemas()):
            if done.error:
                failed.append(done.error)
                continue
            same = f"nothing to do, at revision {done.after}"
            changed = f"upgraded from {done.before or 'none'} to revision {done.after}"
            say(f"tables of {done.schema}: {same if done.before == done.after else changed}")
        _warn_of_places(platform)
        if failed:
            raise Trouble(f"{where}: {'; '.join(failed)}")


@db.command()
@click.option("--json", "as_json", is_flag=True, help="A list of objects, one for each owner of tables.")
@pass_session
def status(session: Session, as_json: bool) -> None:
    """Say at which revision the tables of the core and of each plugin are.

    Tables of plugins that are not installed, or switched on nowhere, are left behind: their data stays as it is.
    Exit code 1 when tables are not at the revision that is needed.

    \b
    Example:
      tillhook db status || tillhook db upgrade
    """
    from tillhook.core.storage.health import shown

    with session.system(migrated=False) as assembled:
        platform = assembled.platform
        require_core_migrated(platform.db)
        lines = list(_lines(platform))
        if as_json:
            show_json(lines)
        else:
            say(f"{shown(platform.db.url)}: up to date, at revision {lines[0].revision}")
            if len(lines) > 1:
                rows = [(one.tables_of, one.version, one.revision, one.wanted, one.state) for one in lines]
                show_table(("Tables of", "Version", "Revision", "Wanted", "State"), rows)
            for one in lines:
                if one.tables:
                    say(f"{one.tables_of}: its data stays as it is, in {', '.join(one.tables)}")
        _warn_of_places(platform)
        require_migrated(platform)


def _lines(platform: Platform) -> Iterator[SchemaLine]:
    from tillhook.core.storage.health import revision_of, wanted_revision
    from tillhook.core.storage.own_schemas import MigrationFailed, left_behind, status_of, version_table

    database = platform.db
    yield SchemaLine(CORE, _own_version(), database.read(revision_of), wanted_revision(), UP_TO_DATE)
    schemas = platform.rooms.schemas()
    for schema in schemas:
        try:
            found = status_of(database, schema)
        except MigrationFailed:  # `require_migrated` says what is wrong with them
            current = database.read(lambda tx, of=schema.plugin: revision_of(tx, version_table(of)))  # type: ignore[misc]
            yield SchemaLine(schema.plugin, schema.version, current, None, "unusable")
        else:
            state = UP_TO_DATE if found.up_to_date else BEHIND
            yield SchemaLine(schema.plugin, schema.version, found.current, found.wanted, state)
    states = {one.name.replace("-", "_").lower(): one.state.value for one in platform.host.report()}
    for left in database.read(lambda tx: left_behind(tx, [schema.plugin for schema in schemas])):
        why = states.get(left.plugin, "not installed")
        state = f"{LEFT_BEHIND}, plugin {'has no tables any more' if why == 'ready' else why}"
        yield SchemaLine(left.plugin, "", left.revision, None, state, left.tables)


def _own_version() -> str:
    from tillhook import __version__

    return __version__


def _warn_of_places(platform: Platform) -> None:
    """Of a place that has no shop it is not known which tables its plugins own."""
    for fault in platform.host.problems():
        warn(f"the tables of its plugins were not looked at: {fault}")
