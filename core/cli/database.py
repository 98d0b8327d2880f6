"""``tillhook db``: the schema of the database."""

from __future__ import annotations

import click

from tillhook.core.cli.faults import Trouble
from tillhook.core.cli.output import say
from tillhook.core.cli.session import Session, pass_session, require_migrated


@click.group()
def db() -> None:
    """Bring the database to this version's schema, or ask how it stands."""


@db.command()
@pass_session
def upgrade(session: Session) -> None:
    """Make the database if there is none, and run the migrations that are missing.

    All of them happen, or none. Repeating it does no harm; on PostgreSQL several machines may do it at once.

    \b
    Example:
      TILLHOOK_DATABASE_URL=postgresql+psycopg://till@db/till tillhook db upgrade
    """
    from tillhook.core.storage import migrating
    from tillhook.core.storage.health import shown

    with session.database() as database:
        before = migrating.status(database)
        if before.up_to_date:
            say(f"{shown(database.url)}: nothing to do, at revision {before.head}")
            return
        try:
            after = migrating.upgrade(database)
        except RuntimeError as error:
            raise Trouble(f"{shown(database.url)}: {error}") from error
        say(f"{shown(database.url)}: upgraded from {before.current or 'empty'} to revision {after.current}")


@db.command()
@pass_session
def status(session: Session) -> None:
    """Say at which revision the database is.

    Exit code 1 when it is not the one that this version of tillhook needs.

    \b
    Example:
      tillhook db status || tillhook db upgrade
    """
    from tillhook.core.storage import migrating
    from tillhook.core.storage.health import shown

    with session.database() as database:
        require_migrated(database)
        say(f"{shown(database.url)}: up to date, at revision {migrating.status(database).current}")
