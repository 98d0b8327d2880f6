"""A plugin's own tables for its tests: an SQLite file with the plugin's migrations run, nothing of the core's in it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tillhook.core.roles.outside import OwnTables
from tillhook.core.roles.rooms import PluginTables
from tillhook.core.storage.database import Database
from tillhook.core.storage.own_schemas import upgrade_own
from tillhook.core.storage.own_tables import PluginDatabase
from tillhook.core.storage.revisions import OwnSchema
from tillhook.hookspecs import Plugin


@contextmanager
def own_tables(plugin: Plugin, folder: Path) -> Iterator[OwnTables | None]:
    """The tables that ``plugin`` declares, in a file of ``folder``; None for a plugin that declares none.

    Its migrations may not need the core's tables. Raises MigrationFailed naming revision and file.
    """
    declared = tuple(plugin.tables() or ())
    if not declared:
        yield None
        return
    (at,) = declared
    file = folder / f"{at.name}-tables.db"
    shutil.copyfile(_migrated(at), file)
    db = Database(f"sqlite:///{file}", pool_size=4)
    try:
        yield PluginDatabase(db, at.name)
    finally:
        db.close()


@cache
def _migrated(at: PluginTables) -> Path:
    """An empty file with the migrations run, made once for this process: a suite wants fresh tables very often."""
    folder = Path(tempfile.mkdtemp(prefix="tillhook-tables-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    db = Database(f"sqlite:///{folder / 'tables.db'}")
    try:
        upgrade_own(db, OwnSchema(at.name, "", at.package, at.folder), [at.name])
    finally:
        db.close()
    return folder / "tables.db"
