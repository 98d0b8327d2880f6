"""Bringing a database to the schema that this version of tillhook expects."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from msgspec import Struct

from tillhook.core.storage.database import Database, Tx
from tillhook.core.storage.tables import metadata

VERSION_TABLE: Final = "alembic_version"
_LOCK: Final = sa.text("SELECT pg_advisory_xact_lock(hashtext('tillhook migrations'))")
ALEMBIC: Final = threading.Lock()
"""Alembic keeps the environment that is being run in a global: one at a time in this process, whichever databases."""


class MigrationStatus(Struct, frozen=True):
    """``current`` is the database's revision (None: an empty database), ``head`` the one that this version needs."""

    current: str | None
    head: str

    @property
    def up_to_date(self) -> bool:
        return self.current == self.head


def upgrade(db: Database) -> MigrationStatus:
    """Run the migrations that are missing, all in one transaction: if one fails, none has happened.

    Several processes may do so at once; the others wait for the first. Raises RuntimeError for a database that a newer
    version of tillhook has migrated. The tables of plugins come after it: ``own_schemas.upgrade_all``.
    """
    db.rebuild(_run)
    return status(db)


def status(db: Database) -> MigrationStatus:
    """Where the database stands; writes nothing."""
    return db.read(_status)


def lock_migrations(tx: Tx) -> None:
    """Wait until nobody else migrates this database; SQLite's writers wait for each other anyway."""
    if tx.dialect.name == "postgresql":
        tx.execute(_LOCK)


def script_config(revisions: Path | None = None) -> Config:
    """What alembic is to run: the core's environment, with the core's revisions or those in a folder."""
    config = Config()
    config.set_main_option("script_location", "tillhook:migrations")
    config.set_main_option("path_separator", "newline")
    if revisions is not None:
        config.set_main_option("version_locations", str(revisions).replace("%", "%%"))
    return config


def _run(tx: Tx) -> None:
    lock_migrations(tx)
    config = script_config()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = _status(tx).current
    if current is not None and current not in known:
        raise RuntimeError(
            f"the database is at revision {current}, which this version of tillhook does not know: "
            "use the version that migrated it, or a newer one"
        )
    config.attributes.update(connection=tx, metadata=metadata, version_table=VERSION_TABLE)
    with ALEMBIC:
        command.upgrade(config, "head")


def _status(tx: Tx) -> MigrationStatus:
    current = MigrationContext.configure(tx, opts={"version_table": VERSION_TABLE}).get_current_revision()
    (head,) = ScriptDirectory.from_config(script_config()).get_heads()
    return MigrationStatus(current, head)
