"""The composition root: the one place where the parts are put together.

``assemble`` builds a running system without any server; ``create_app`` puts the HTTP API on top of it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tillhook.core.config.loading import Configuration, load
from tillhook.core.messaging.bus import Bus
from tillhook.core.messaging.dispatcher import Dispatcher
from tillhook.core.outside.lender import JournalEntry, Lender
from tillhook.core.plugins.discovery import discover
from tillhook.core.plugins.host import Host
from tillhook.core.services.platform import Platform
from tillhook.core.storage.database import Database
from tillhook.core.telemetry import logs, metrics

if TYPE_CHECKING:
    from tillhook.core.http.server import Server


def utc_now() -> datetime:
    return datetime.now(UTC)


def new_id(prefix: str) -> str:
    """A new id such as ``ord_…``: 48 bits of milliseconds, then 80 random bits, so that ids sort by age."""
    milliseconds = time.time_ns() // 1_000_000
    return f"{prefix}_{milliseconds:012x}{secrets.token_hex(10)}"


def no_checkpoint(name: str) -> None:
    """Steps are only stopped at by tests."""


class Assembled:
    """A system that is put together; ``start`` and ``stop`` run its workers."""

    def __init__(
        self, configuration: Configuration, platform: Platform, dispatcher: Dispatcher, lender: Lender
    ) -> None:
        self.configuration = configuration
        self.platform = platform
        self.dispatcher = dispatcher
        self._lender = lender

    def start(self) -> None:
        """Start working off duties in this process."""
        self.dispatcher.start()

    def stop(self) -> None:
        """Finish what is running, then let go of every connection."""
        self.dispatcher.stop()
        self._lender.close()
        self.platform.db.close()


def assemble(
    configuration: Configuration | None = None,
    *,
    clock: Callable[[], datetime] = utc_now,
    checkpoint: Callable[[str], None] = no_checkpoint,
) -> Assembled:
    """Put the parts together. Raises ConfigError; broken plugins are quarantined, not raised."""
    configuration = configuration or load()
    system = configuration.system
    db = Database(system.database, pool_size=system.server.threads)
    bus = Bus(db, clock, new_id)
    lender = Lender(system.outside, _journal, bus.publish)
    found = discover(configuration.layers.plugin_names())
    host = Host(configuration.layers, found, lender.lend, observe=metrics.hook_call)
    platform = Platform(
        db=db,
        host=host,
        system=system,
        clock=clock,
        new_id=new_id,
        checkpoint=checkpoint,
        observe_payment=metrics.payment,
    )
    dispatcher = Dispatcher(platform)
    platform.wake = dispatcher.wake
    return Assembled(configuration, platform, dispatcher, lender)


def create_app(assembled: Assembled | None = None) -> Server:
    """The HTTP API over a system (assembled from ``tillhook.toml`` when none is given)."""
    # Here and not above: the command line assembles systems without a server, in half the time.
    from tillhook.core.http.journey import JOURNEY
    from tillhook.core.http.server import build

    assembled = assembled or assemble()
    working = assembled.configuration.system.server.work
    return build(
        assembled.platform,
        controllers=JOURNEY,
        on_startup=[assembled.start] if working else [],
        on_shutdown=[assembled.stop],
    )


def _journal(entry: JournalEntry) -> None:
    result = entry.error or f"{(entry.status or 0) // 100}xx"
    metrics.outside_call(entry.plugin, result, entry.milliseconds / 1000)
    logs.note(outside=f"{entry.plugin} {entry.method} {entry.url} {result}")
