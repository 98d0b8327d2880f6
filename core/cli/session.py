"""What every command begins with: the configuration, the database, the whole system; let go of at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from tillhook.core.cli.faults import Trouble, Unusable

if TYPE_CHECKING:
    from tillhook.app import Assembled
    from tillhook.core.config.loading import Configuration
    from tillhook.core.services.platform import Platform
    from tillhook.core.storage.database import Database


class Session:
    """The options before the command."""

    def __init__(self, file: Path | None, *, debug: bool) -> None:
        self.file = file
        self.debug = debug

    def configuration(self, *, host: str | None = None, port: int | None = None) -> Configuration:
        """The file and its overrides, ``host`` and ``port`` (options of a command) above all. Raises ConfigError."""
        from tillhook.core.config.loading import load

        options = {"TILLHOOK_HOST": host, "TILLHOOK_PORT": None if port is None else str(port)}
        return load(self.file, {**os.environ, **{name: value for name, value in options.items() if value is not None}})

    @contextmanager
    def system(self, configuration: Configuration | None = None, *, migrated: bool = True) -> Iterator[Assembled]:
        """The whole system, not started. Raises Trouble unless the database is ``migrated``, where that matters."""
        from tillhook.app import assemble
        from tillhook.core.telemetry import logs

        configuration = configuration or self.configuration()
        logs.set_up("debug" if self.debug else "warning", "console")
        with _naming(configuration.system.database):
            assembled = assemble(configuration)
            try:
                if migrated:
                    require_migrated(assembled.platform)
                yield assembled
            finally:
                assembled.stop()


def require_migrated(platform: Platform) -> None:
    """Raises Trouble that says what to do about tables, the core's or a plugin's, that are of another version."""
    from tillhook.core.storage.health import shown
    from tillhook.core.storage.own_schemas import behind

    require_core_migrated(platform.db)
    late = behind(platform.db, platform.rooms.schemas())
    if late:
        raise Trouble(f"{shown(platform.db.url)}: {late}")


def require_core_migrated(db: Database) -> None:
    """The same for the core's tables alone."""
    from tillhook.core.storage.health import file_of, revision_of, shown, wanted_revision

    file = file_of(db.url)
    if file is not None and not file.exists():
        raise Trouble(f"{shown(db.url)}: there is no such database yet; make it with `tillhook db upgrade`")
    found, wanted = db.read(revision_of), wanted_revision()
    if found != wanted:
        stands = f"at revision {found}" if found else "empty"
        raise Trouble(f"{shown(db.url)} is {stands}, this version needs {wanted}: run `tillhook db upgrade`")


def overridden(configuration: Configuration, part: str, **values: object) -> Configuration:
    """The configuration with some values of one part of the system's settings (``server``, ``work``) replaced."""
    system = configuration.system
    changed = replace(getattr(system, part), **values)
    return replace(configuration, system=replace(system, **{part: changed}))


@contextmanager
def _naming(url: str) -> Iterator[None]:
    """What goes wrong with the database is raised as Trouble that names it."""
    try:
        yield
    except Exception as error:
        from tillhook.core.storage.health import failure, shown, unusable

        if reason := unusable(error):
            raise Unusable(f"{shown(url)}: {reason}") from error
        if reason := failure(error):
            raise Trouble(f"{shown(url)}: {reason}") from error
        raise


pass_session = click.make_pass_decorator(Session)
