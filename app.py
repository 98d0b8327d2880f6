"""The composition root: the one place where the parts are put together.

``assemble`` builds a running system without any server; ``create_app`` puts the HTTP API on top of it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from tillhook.core.config.loading import Configuration, load
from tillhook.core.messaging.bus import Bus
from tillhook.core.messaging.dispatcher import Dispatcher
from tillhook.core.outside.lender import JournalEntry, Lender, no_tables
from tillhook.core.plugins.discovery import discover
from tillhook.core.plugins.guard import Guard
from tillhook.core.plugins.host import Host
from tillhook.core.roles.outside import OwnTables
from tillhook.core.services.platform import Platform
from tillhook.core.storage.database import Database
from tillhook.core.storage.events import DeliveryState, counts
from tillhook.core.storage.own_schemas import behind
from tillhook.core.storage.own_tables import PluginDatabase
from tillhook.core.telemetry import metrics, tracing

if TYPE_CHECKING:
    from tillhook.core.http.server import Server


log = structlog.get_logger("tillhook.app")


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
    lending: Callable[..., Lender] = Lender,
) -> Assembled:
    """Put the parts together. Raises ConfigError; broken plugins are quarantined, not raised.

    ``lending`` makes the lender, from the arguments of ``Lender``: tests put a world of their own behind it.
    """
    configuration = configuration or load()
    system = configuration.system
    db = Database(system.database, pool_size=system.server.threads + system.work.threads + 1)
    bus = Bus(db, clock, new_id)

    def own_tables(plugin: str) -> OwnTables:
        if not platform.rooms.owns_tables(plugin):
            return no_tables(plugin)
        platform.rooms.shops()  # now, as it cannot be read inside the plugin's unit of work, which may publish
        return PluginDatabase(db, plugin)

    lender = lending(system.outside, _journal, bus.publish, tables=own_tables)
    found = discover(configuration.layers.plugin_names())
    guard = Guard(system.hooks, observe_cut=metrics.hook_cut)
    host = Host(configuration.layers, found, lender.lend, observe=metrics.hook_call, guard=guard)
    platform = Platform(
        db=db,
        host=host,
        system=system,
        clock=clock,
        new_id=new_id,
        checkpoint=checkpoint,
        observe_payment=metrics.payment,
        observe_order=metrics.order_completed,
    )
    dispatcher = Dispatcher(platform)
    platform.wake = bus.wake = dispatcher.wake
    bus.rooms = platform.rooms
    return Assembled(configuration, platform, dispatcher, lender)


def create_app(assembled: Assembled | None = None) -> Server:
    """The HTTP API over a system (assembled from ``tillhook.toml`` when none is given)."""
    # Here and not above: the command line assembles systems without a server, in half the time.
    from tillhook.core.http.guests import guest_routes
    from tillhook.core.http.journey import JOURNEY
    from tillhook.core.http.pages import page_routes
    from tillhook.core.http.server import build

    assembled = assembled or assemble()
    working = assembled.configuration.system.server.work
    platform = assembled.platform
    shops = platform.host.shops()
    tracing.set_up()
    return build(
        platform,
        controllers=[*JOURNEY, *guest_routes(shops), *page_routes(shops)],
        on_startup=[assembled.start] if working else [],
        on_shutdown=[assembled.stop, tracing.shut_down],
        checks={"database": lambda: _database(platform), "plugins": lambda: _plugins(platform)},
        before_metrics=lambda: _gauges(platform),
    )


def _database(platform: Platform) -> str:
    """Empty when the database can be reached, and the core's tables and those of all plugins are of this version."""
    from tillhook.core.storage.migrating import status

    try:
        if not status(platform.db).up_to_date:
            return "it is of another version; run `tillhook db upgrade`"
        return behind(platform.db, platform.rooms.schemas())
    except Exception as error:  # noqa: BLE001 - whatever keeps it away, the answer is that it is away
        log.warning("database_unavailable", error=type(error).__name__)
        return "it cannot be reached"


def _plugins(platform: Platform) -> str:
    """Empty while any store type can sell; which of them cannot is for `tillhook plugins` to say."""
    return "" if platform.host.shops() else "no store type has all its plugins; run `tillhook plugins`"


def _gauges(platform: Platform) -> None:
    found = platform.db.read(counts)  # a state that nothing is in any more is left out of it
    metrics.deliveries({state.name.lower(): found.get(state, 0) for state in DeliveryState})


def _journal(entry: JournalEntry) -> None:
    result = "no_answer" if entry.status is None else f"{entry.status // 100}xx"
    metrics.outside_call(entry.plugin, result, entry.milliseconds / 1000)
    log.info(
        "outside",
        plugin=entry.plugin,
        store_type=entry.store_type,
        method=entry.method,
        url=entry.url,
        status=entry.status,
        ms=round(entry.milliseconds, 1),
        hook=entry.hook,
        error=entry.error,
    )
