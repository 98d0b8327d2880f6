"""What plugins declare for themselves, all places together: tables, schedules, topics; and where each of them is on.

A place is a store type in a region. A store with a layer of its own counts where only that layer switches a plugin on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from tillhook.core.domain.problems import Problem
from tillhook.core.domain.store import Store
from tillhook.core.plugins.host import Host
from tillhook.core.plugins.offers import Offered
from tillhook.core.plugins.shop import Shop
from tillhook.core.roles.outside import OWN_WORK
from tillhook.core.roles.rooms import Errand, PluginTables
from tillhook.core.storage.consumers import Consumer, change_consumers, known_consumers
from tillhook.core.storage.database import Database
from tillhook.core.storage.revisions import OwnSchema
from tillhook.core.storage.stores import all_stores

MEMORY: Final = timedelta(seconds=5)
"""How long the places are believed before the stores are read again."""
_CONSUME: Final = "consume."


class Room(Struct, frozen=True):
    """A schedule or topic of one plugin in one place."""

    plugin: str
    place: str
    shop: Shop
    thing: Any
    """The ``Schedule`` or ``Topic``."""


def errand_of(shop: Shop, plugin: str, now: datetime, *, store: Store | None = None, key: str = "") -> Errand:
    """What a room of a plugin is handed when nobody asked for it over HTTP."""
    return Errand(
        store=store, store_type=shop.store_type, region=shop.region, outside=shop.outside(plugin), now=now, key=key
    )


def consumer(topic: str, plugin: str, place: str) -> str:
    """How the delivery of a message names its receiver; ``read_consumer`` takes it apart."""
    return f"{_CONSUME}{topic}:{plugin}@{place}"


def read_consumer(subscriber: str) -> tuple[str, str, str] | None:
    """(topic, plugin, place); None for a subscriber that is no consumer of a topic."""
    if not subscriber.startswith(_CONSUME):
        return None
    topic, _, rest = subscriber.removeprefix(_CONSUME).partition(":")
    plugin, _, place = rest.partition("@")
    return topic, plugin, place


class _Known(Struct, frozen=True):
    """What was read at ``at``. A place that cannot be served is None."""

    at: datetime
    places: dict[str, Shop | None]
    shops: dict[str, Shop]
    consumers: frozenset[Consumer]


class Rooms:
    """Reads the stores now and then, the plugins' offers each time: they do not change while the process runs."""

    def __init__(self, host: Host, db: Database, clock: Callable[[], datetime]) -> None:
        self._host = host
        self._db = db
        self._clock = clock
        self._lock = threading.Lock()
        self._known: _Known | None = None

    def shops(self) -> dict[str, Shop]:
        """Every place that can be served, by its name (``demo/DK``), the stores' regions included."""
        return self._places().shops

    def shop(self, place: str) -> Shop:
        """The shop of a place by its name. Raises Problem ``store_type_unavailable``."""
        store_type, _, rest = place.partition("/")
        region, _, store_id = rest.partition("/")
        return self._host.shop_for(store_type, region, store_id or None)

    def schemas(self) -> tuple[OwnSchema, ...]:
        """The tables of every plugin that is on somewhere, in the order of the configuration. Reads no database."""
        found: dict[str, OwnSchema] = {}
        for shop in self._host.shops():
            for one in shop.offers("tables"):
                at: PluginTables = one.thing
                schema = OwnSchema(one.plugin, shop.version(one.plugin), at.package, at.folder, at.requires_core)
                found.setdefault(one.plugin, schema)
        return tuple(found.values())

    def owns_tables(self, plugin: str) -> bool:
        return any(one.plugin == plugin for shop in self._host.shops() for one in shop.offers("tables"))

    def schedules(self) -> tuple[Room, ...]:
        """Each schedule in each place."""
        return tuple(self._rooms("schedules"))

    def topics(self) -> tuple[Room, ...]:
        """Each topic in each place."""
        return tuple(self._rooms("topics"))

    def consumers(self, topic: str) -> tuple[str, ...]:
        """The receivers of a message: one for each plugin and place that consumes the topic.

        Those that cannot be asked just now are among them if they consumed it when they were last asked.
        """
        silent = (one for one in sorted(self._places().consumers) if one.topic == topic and self._is_silent(one))
        receivers = (*(one for one in self._consumers() if one.topic == topic), *silent)
        return tuple(consumer(one.topic, one.plugin, one.place) for one in dict.fromkeys(receivers))

    def keep_consumers(self) -> None:
        """Write down who consumes what now, for when it cannot be asked; forget who could be asked and does not."""
        found, known = set(self._consumers()), self._places().consumers
        gone = {one for one in known - found if not self._is_silent(one)}
        if found - known or gone:
            self._db.write(lambda tx: change_consumers(tx, found - known, gone))
            self._known = None

    def payloads(self, topic: str) -> tuple[type, ...]:
        """The types that plugins declare for the messages that they put on a topic; none: nobody declares it."""
        declared = (room.thing for room in self.topics())
        return tuple(dict.fromkeys(one.payload for one in declared if one.name == topic and one.produces))

    def _rooms(self, hook: str) -> Iterator[Room]:
        for place, shop in self.shops().items():
            for offered in shop.offers(hook):
                if not self._is_on_above(place, offered):
                    yield Room(offered.plugin, place, shop, offered.thing)

    def _is_on_above(self, place: str, offered: Offered) -> bool:
        """Whether the plugin is on in the whole region of a store with a layer of its own: then it is asked there."""
        store_type, _, rest = place.partition("/")
        region, _, store_id = rest.partition("/")
        above = self.shops().get(f"{store_type}/{region}") if store_id else None
        return above is not None and offered.plugin in above.plugins

    def _consumers(self) -> Iterator[Consumer]:
        for room in self.topics():
            if room.thing.consume is not None:
                yield Consumer(room.thing.name, room.plugin, room.place)

    def _is_silent(self, one: Consumer) -> bool:
        """Whether it is switched on there and cannot be asked what it consumes."""
        places = self._places().places
        if one.place not in places:
            return False
        shop = places[one.place]
        if shop is not None:
            return one.plugin in shop.muted("topics")
        store_type, _, rest = one.place.partition("/")
        region, _, store_id = rest.partition("/")
        return one.plugin in self._host.named(store_type, region, store_id or None)

    def _places(self) -> _Known:
        now, known = self._clock(), self._known
        # Inside a plugin's unit of work nothing else may be read: what is known will do.
        if known is not None and (OWN_WORK.get() is not None or abs(now - known.at) < MEMORY):
            return known  # abs: a clock may be set back
        stores, consumers = self._db.read(lambda tx: (all_stores(tx), known_consumers(tx)))
        with self._lock:
            places = dict(self._looked_up(stores))
            shops = {name: shop for name, shop in places.items() if shop is not None}
            self._known = known = _Known(now, places, shops, consumers)
        return known

    def _looked_up(self, stores: tuple[Store, ...]) -> Iterator[tuple[str, Shop | None]]:
        regions = {(store.store_type, store.region, None) for store in stores}
        types = {store.store_type for store in stores}
        configured = self._host.places()
        # A store type without layers for regions is one place only while it has no stores, which are all in regions.
        wanted = [place for place in configured if place[1] or place[0] not in types]
        for store_type, region, store_id in dict.fromkeys([*wanted, *sorted(regions, key=str)]):
            name = "/".join(part for part in (store_type, region, store_id) if part)
            try:
                yield name, self._host.shop_for(store_type, region, store_id)
            except Problem:  # its faults are told at start, and by `tillhook plugins`
                yield name, None
