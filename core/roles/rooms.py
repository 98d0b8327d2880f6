"""Rooms of a plugin's own: tables, routes, pages, commands, schedules, topics.

Whatever the core calls in such a room is handed one ``Errand``: for which store, by whom, when, and what is lent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import force_setattr

from tillhook.core.domain.page import Page
from tillhook.core.domain.store import Store
from tillhook.core.roles.offers import Principal
from tillhook.core.roles.outside import Outside


class Errand(Struct, frozen=True, kw_only=True):
    """One call of a plugin's own room. ``outside`` has the plugin's tables too (``outside.tables``)."""

    store: Store | None
    """The store that it is about; None for schedules and topics, which are about a store type in a region."""
    store_type: str = ""
    """Whose settings the plugin has here; the store's own where there is a store."""
    region: str = ""
    outside: Outside
    now: datetime
    who: Principal | None = None
    """The verified caller of a route or page, who may act in ``store``; None where nobody asked."""
    path: Mapping[str, str] = {}
    """The parts of the address that the route names: ``/members/{member}`` → ``{"member": …}``."""
    query: Any = None
    """The parameters of the address, as the route's ``query`` Struct; None if it declares none."""
    body: Any = None
    """The body, as the route's ``body`` type; None if it declares none."""
    key: str = ""
    """The key of the message that is consumed; empty everywhere else."""

    def __post_init__(self) -> None:
        if self.store is not None:
            force_setattr(self, "store_type", self.store.store_type)
            force_setattr(self, "region", self.store.region)


class PluginTables(Struct, frozen=True):
    """A plugin's own tables: the folder of its alembic revisions inside its package.

    Tables are named after the plugin (``points``, ``points_…``). They have a version table of their own
    (``alembic_version_<name>``) and are migrated after the core's.
    """

    name: str
    """The plugin's."""
    package: str
    folder: str = "migrations"
    requires_core: str = ""
    """The oldest revision of the core that its foreign keys need; empty: any."""


class PluginRoute(Struct, frozen=True):
    """One HTTP route, mounted at ``/plugins/<plugin>/stores/{store_id}<path>``. ``roles`` may not be empty.

    The core has checked token, roles and store before it is called. A store that does not switch the plugin on
    answers 404.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    """Begins with ``/`` and does not end with one; ``{name}`` is a whole segment that the errand hands on, as text."""
    roles: frozenset[str]
    handler: Callable[[Errand], Any]
    """A plain function, run in a worker thread, cut after ``hooks.route_seconds``; what it returns is the JSON answer.
    Raises Problem to refuse; anything else that it raises is 502 ``plugin_failed``."""
    answer: Any = None
    """The type of the answer; another one is 502 ``plugin_failed``. None: there is no body (204), return None."""
    body: Any = None
    """The type of the body; decoded strictly, unknown fields of a Config refused."""
    query: type[Struct] | None = None
    """Parameters of the address, one field each; a list or tuple may come several times. Read leniently ("1" is 1)."""
    summary: str = ""
    """A few words for the API document."""


class PluginPage(Struct, frozen=True):
    """One page of the dashboard, at ``/pages/<plugin>/stores/{store_id}<path>``. ``roles`` may not be empty.

    Listed at ``/pages/``, and on the plugin's other pages, unless its path has ``{name}`` parts: link to those.
    """

    path: str
    """As a route's; ``/`` is the plugin's first page."""
    title: str
    """What links to it say."""
    roles: frozenset[str]
    handler: Callable[[Errand], Page]
    query: type[Struct] | None = None


class PluginCommand(Struct, frozen=True):
    """A click command, mounted as ``tillhook <plugin> --store ID <command> …``.

    Its function finds the errand with ``@click.pass_obj``.
    """

    command: Any


class Schedule(Struct, frozen=True):
    """Work at a fixed interval, for each place that switches the plugin on; run by one worker at a time.

    It is due as soon as it is first seen, then every ``seconds`` from there; what was missed is not made up for. One
    that raises, or takes longer than a duty may, is tried again at the next interval.
    """

    name: str
    seconds: int
    run: Callable[[Errand], None]


class Topic(Struct, frozen=True):
    """A bus topic that a plugin produces or consumes."""

    name: str
    produces: bool
    key: str
    """What the key of a message is: ``order_id``, ``store_id`` …"""
    payload: type
    """The type of a message; one that does not fit it is a dead letter."""
    consume: Callable[[Errand, Any], None] | None = None
    """For a topic that is consumed: called with each message, after it is stored, until it returns. Once for each
    place that switches the plugin on, messages of one key in their order. Raises as duties do."""
