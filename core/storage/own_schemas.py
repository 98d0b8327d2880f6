"""The tables that plugins own: migrated by plugin, each in one transaction, into a version table of its own.

Plugins ship revision files; the environment that runs them is the core's. A migration may only touch tables that are
named after its plugin: whatever else is different after a revision undoes the plugin's whole migration.
"""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from msgspec import Struct

from tillhook.core.storage.database import Database, Tx
from tillhook.core.storage.guests import kept_open
from tillhook.core.storage.health import failure, revision_of
from tillhook.core.storage.revisions import OwnSchema, revision_folder, wanted_revision
from tillhook.core.storage.tables import metadata

VERSION_TABLES: Final = "alembic_version"
"""The core's version table, and how the names of all others begin."""

_SHAPES: Final = {
    "sqlite": sa.text(
        "SELECT tbl_name, type || ' ' || name, coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    ),
    "postgresql": sa.text("""
        SELECT table_name, 'column ' || column_name, concat_ws(' ', data_type, character_maximum_length,
            numeric_precision, numeric_scale, is_nullable, column_default)
            FROM information_schema.columns WHERE table_schema = current_schema()
        UNION ALL SELECT tablename, 'index ' || indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()
        UNION ALL SELECT relname, 'constraint ' || conname, pg_get_constraintdef(o.oid)
            FROM pg_constraint o JOIN pg_class r ON r.oid = o.conrelid
            WHERE o.connamespace = current_schema()::regnamespace
        UNION ALL SELECT relname, 'trigger ' || tgname, pg_get_triggerdef(t.oid)
            FROM pg_trigger t JOIN pg_class r ON r.oid = t.tgrelid WHERE NOT tgisinternal"""),
}


class MigrationFailed(Exception):
    """A plugin's migration did not happen; the message names plugin, version, revision and file."""


class OwnStatus(Struct, frozen=True):
    """Where the tables of one plugin stand: ``current`` is None before its first migration."""

    plugin: str
    version: str
    current: str | None
    wanted: str

    @property
    def up_to_date(self) -> bool:
        return self.current == self.wanted


class LeftBehind(Struct, frozen=True):
    """The tables of a plugin that is not asked any more: they stay as they are."""

    plugin: str
    """As its tables spell it: ``-`` is ``_``."""
    revision: str | None
    tables: tuple[str, ...]


def version_table(plugin: str) -> str:
    return f"{VERSION_TABLES}_{_spelt(plugin)}"


def status_of(db: Database, schema: OwnSchema) -> OwnStatus:
    """Where a plugin's tables stand; writes nothing. Raises MigrationFailed for revisions that cannot be used."""
    wanted = _wanted(schema)
    current = db.read(lambda tx: revision_of(tx, version_table(schema.plugin)))
    return OwnStatus(schema.plugin, schema.version, current, wanted)


def behind(db: Database, schemas: Iterable[OwnSchema]) -> str:
    """Which plugins' tables are not what their plugins need, and what to do; empty when all are."""
    schemas = tuple(schemas)
    try:
        _check_names(schemas)
        statuses = [status_of(db, schema) for schema in schemas]
    except MigrationFailed as error:
        return str(error)
    late = [
        f"the tables of plugin {one.plugin!r} {one.version} are at {one.current or 'none'}, it needs {one.wanted}"
        for one in statuses
        if not one.up_to_date
    ]
    return f"{'; '.join(late)}: run `tillhook db upgrade`" if late else ""


def upgrade_own(db: Database, schema: OwnSchema, plugins: Collection[str]) -> OwnStatus:
    """Run a plugin's missing migrations, all of them or none. ``plugins`` are all that own tables.

    Raises MigrationFailed, whatever the plugin's files did.
    """
    before = status_of(db, schema)
    if before.up_to_date:
        return before
    try:
        db.rebuild(lambda tx: _run(tx, schema, plugins))
    except (MigrationFailed, KeyboardInterrupt):
        raise
    except BaseException as error:
        said = failure(error) or str(error).partition("\n")[0]
        raise MigrationFailed(f"{schema}: {_culprit(error, schema)}{type(error).__name__}: {said}") from error
    return status_of(db, schema)


def left_behind(tx: Tx, plugins: Collection[str]) -> tuple[LeftBehind, ...]:
    """What plugins own that are not among ``plugins``, by name."""
    tables = sa.inspect(tx).get_table_names()
    prefix = f"{VERSION_TABLES}_"
    owners = [name.removeprefix(prefix) for name in sorted(tables) if name.startswith(prefix)]
    everybody = {*owners, *map(_spelt, plugins)}
    return tuple(
        LeftBehind(
            owner,
            revision_of(tx, version_table(owner)),
            tuple(sorted(name for name in tables if _owner(name, everybody) == owner)),
        )
        for owner in owners
        if owner not in set(map(_spelt, plugins))
    )


def _run(tx: Tx, schema: OwnSchema, plugins: Collection[str]) -> None:
    # Here and not above: alembic takes longer to load than all the rest, and is needed only now.
    from alembic import command
    from alembic.script import ScriptDirectory

    from tillhook.core.storage.migrating import ALEMBIC, lock_migrations, script_config

    lock_migrations(tx)
    config = script_config(revision_folder(schema))
    with ALEMBIC:
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = revision_of(tx, version_table(schema.plugin))
    if current is not None and current not in known:
        raise MigrationFailed(
            f"{schema}: its tables are at revision {current}, which this version does not know: "
            "install the version that migrated them, or a newer one"
        )
    _check_core(tx, schema, ScriptDirectory.from_config(script_config()))
    owners = {*map(_spelt, plugins), _spelt(schema.plugin), *(one.plugin for one in left_behind(tx, plugins))}
    before = _shapes_of_others(tx, schema.plugin, owners)

    def check(*, step: Any, **_: Any) -> None:
        changed = _differences(before, _shapes_of_others(tx, schema.plugin, owners))
        if changed:
            spelt = _spelt(schema.plugin)
            raise MigrationFailed(
                f"{schema}: revision {step.up_revision_id}{_file_of(step.up_revision, schema)} touches what is not its "
                f"own: {'; '.join(changed)}. Its tables are named {spelt} or {spelt}_…; nothing of it was kept"
            )

    config.attributes.update(
        connection=tx,
        metadata=sa.MetaData(),
        version_table=version_table(schema.plugin),
        on_version_apply=check,
    )
    with ALEMBIC, kept_open(tx, "a migration"):
        command.upgrade(config, "head")


def _check_core(tx: Tx, schema: OwnSchema, core: Any) -> None:
    """Raises MigrationFailed when the plugin needs a revision that the core's tables are not at yet."""
    if not schema.requires_core:
        return
    at = revision_of(tx)
    passed = {script.revision for script in core.iterate_revisions(at, "base")} if at is not None else set()
    if schema.requires_core not in passed:
        raise MigrationFailed(
            f"{schema}: needs revision {schema.requires_core} of the core's tables, which are at {at or 'none'}: "
            "install a newer tillhook"
        )


def _check_names(schemas: Iterable[OwnSchema]) -> None:
    """Raises MigrationFailed for plugins that would share their tables, and the note of their revision."""
    owners: dict[str, OwnSchema] = {}
    for schema in schemas:
        other = owners.setdefault(_spelt(schema.plugin), schema)
        if other is not schema:
            raise MigrationFailed(
                f"{schema}: its tables would be named as those of plugin {other.plugin!r} ({_spelt(schema.plugin)}_…): "
                "switch one of them off, or have its entry point renamed"
            )


def _wanted(schema: OwnSchema) -> str:
    try:
        return wanted_revision(schema)
    except ValueError as error:
        raise MigrationFailed(f"{schema}: {error}") from error


def _spelt(plugin: str) -> str:
    """A plugin's name as names of tables begin with it."""
    return plugin.replace("-", "_").lower()


def _owner(table: str, owners: Iterable[str]) -> str | None:
    """Whose table it is, told from its name: the longest name wins (``points_club_member`` is not of ``points``)."""
    name = table.lower()
    if name in metadata.tables or name.startswith(VERSION_TABLES):
        return None
    fitting = [owner for owner in owners if name == owner or name.startswith(f"{owner}_")]
    return max(fitting, key=len, default=None)


def _shapes_of_others(tx: Tx, plugin: str, owners: Collection[str]) -> dict[str, dict[str, str]]:
    """Every table that is not the plugin's: its columns, constraints, indexes and triggers, as the database says."""
    found: dict[str, dict[str, str]] = {}
    for table, part, text in tx.execute(_SHAPES[tx.dialect.name]):
        if table != version_table(plugin) and _owner(table, owners) != _spelt(plugin):
            found.setdefault(table, {})[part] = text
    return found


def _differences(before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]) -> list[str]:
    said = [(after.keys() - before.keys(), "it makes"), (before.keys() - after.keys(), "it drops")]
    texts = [f"{what} {', '.join(sorted(names))}" for names, what in said if names]
    for table in sorted(before.keys() & after.keys()):
        parts = {part for part, _ in before[table].items() ^ after[table].items()}
        if parts:
            texts.append(f"it alters {table} ({', '.join(sorted(parts))})")
    return texts


def _file_of(scripts: Any, schema: OwnSchema) -> str:
    path = getattr(scripts, "path", None)
    return f" ({_shown(path, schema)})" if path else ""


def _shown(path: str | Path, schema: OwnSchema) -> str:
    """A revision's file as one finds it: from the package on."""
    return "/".join((*schema.package.split("."), schema.folder, Path(path).name))


def _culprit(error: BaseException, schema: OwnSchema) -> str:
    """The revision and the line that an error came through; empty when no file of the plugin was at work."""
    folder = revision_folder(schema)
    frames = [
        (frame, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if _is_in(frame.f_code.co_filename, folder)
    ]
    if frames:
        frame, line = frames[-1]
        return f"revision {frame.f_globals.get('revision', '?')} ({_place(frame.f_code.co_filename, line, schema)}): "
    if isinstance(error, SyntaxError) and error.filename and _is_in(error.filename, folder):
        return f"{_place(error.filename, error.lineno, schema)}: "
    return ""


def _place(file: str, line: int | None, schema: OwnSchema) -> str:
    return f"{_shown(file, schema)}, line {line}"


def _is_in(file: str, folder: Path) -> bool:
    return Path(file).parent == folder


class Upgraded(Struct, frozen=True):
    """What became of one plugin's tables. ``error`` is empty when they are as they should be."""

    schema: OwnSchema
    before: str | None = None
    after: str | None = None
    error: str = ""


def upgrade_all(db: Database, schemas: Sequence[OwnSchema]) -> Iterator[Upgraded]:
    """Migrate the tables of every plugin, in their order; tells of each as it is done.

    One that fails keeps none of its own steps and stops no other.
    """
    plugins = [schema.plugin for schema in schemas]
    for schema in schemas:
        try:
            _check_names([one for one in schemas if _spelt(one.plugin) == _spelt(schema.plugin)])
            before = status_of(db, schema).current
            yield Upgraded(schema, before, upgrade_own(db, schema, plugins).current)
        except MigrationFailed as error:
            yield Upgraded(schema, error=str(error))
