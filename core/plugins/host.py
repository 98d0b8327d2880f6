"""The host: builds a shop for each store type, keeps what is broken out, and says what and why."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from tillhook.core.domain.problems import Problem, store_type_unavailable
from tillhook.core.domain.store import Store
from tillhook.core.plugins.discovery import Found
from tillhook.core.plugins.inspection import hooks_of
from tillhook.core.plugins.offers import OfferError
from tillhook.core.plugins.shop import Member, Observe, OutsideFactory, Shop
from tillhook.core.roles.settings import Config
from tillhook.core.roles.shop_settings import ShopSettings

C = TypeVar("C", bound=Config)
Place = tuple[str, str, str | None]
"""(store type, region, store id or None)."""


class Settings(Protocol):
    """What the host needs of the layers of the configuration. What cannot be used raises ValueError."""

    def store_types(self) -> tuple[str, ...]: ...

    def places(self) -> tuple[Place, ...]: ...

    def path(self, store_type: str, region: str, store_id: str | None = None) -> tuple[str, ...]: ...

    def effective(self, store_type: str, region: str, store_id: str | None = None) -> dict[str, Any]: ...

    def shop_settings(
        self, store_type: str, region: str, store_id: str | None, installed: Collection[str]
    ) -> ShopSettings: ...

    def plugin_settings(
        self, plugin: str, kind: type[C], store_type: str, region: str, store_id: str | None = None
    ) -> C: ...

    def where(self, names: tuple[str, ...], store_type: str, region: str, store_id: str | None = None) -> str: ...


class Fault(Struct, frozen=True):
    """Why a place has no shop. ``plugin`` is empty when a setting of the core itself is at fault."""

    place: Place
    plugin: str
    distribution: str
    version: str
    reason: str

    def __str__(self) -> str:
        store_type, region, store_id = self.place
        where = "/".join(name for name in (store_type, region, store_id) if name)
        who = f"plugin {self.plugin!r}" if self.plugin else ""
        made_by = f" ({self.distribution} {self.version})" if self.distribution else ""
        return ": ".join(part for part in (f"store type {where}", f"{who}{made_by}", self.reason) if part)


class State(StrEnum):
    READY = "ready"
    QUARANTINED = "quarantined"
    NOT_USED = "not used"


class Report(Struct, frozen=True):
    """One line of ``tillhook plugins``."""

    name: str
    distribution: str
    version: str
    state: State
    reason: str
    store_types: tuple[str, ...]
    hooks: tuple[str, ...]


class _Unusable(Exception):
    """A plugin cannot join a shop."""


class Host:
    """Shops by place, built once, when first asked for; ``problems()`` builds all that the configuration names."""

    def __init__(
        self,
        layers: Settings,
        found: Sequence[Found],
        outside_factory: OutsideFactory,
        observe: Observe = lambda plugin, hook, seconds, failed: None,
    ) -> None:
        self._layers = layers
        self._found = tuple(found)
        self._by_name = {one.name: one for one in found}
        self._outside_factory = outside_factory
        self._observe = observe
        self._built: dict[Place, Shop | tuple[Fault, ...]] = {}
        self._lock = threading.RLock()

    def shop(self, store: Store) -> Shop:
        """The shop of a store. Raises Problem ``store_type_unavailable`` naming what is at fault."""
        return self.shop_for(store.store_type, store.region, store.store_id)

    def shop_for(self, store_type: str, region: str, store_id: str | None = None) -> Shop:
        """The shop of a place. Raises as ``shop`` does."""
        built = self._built.get((store_type, region, store_id)) or self._build((store_type, region, store_id))
        if isinstance(built, Shop):
            return built
        raise _unavailable(store_type, built)

    def problems(self, stores: Iterable[Store] = ()) -> list[Fault]:
        """Everything that keeps a place of the configuration, or one of ``stores``, from having its shop."""
        places = [*self._layers.places(), *((store.store_type, store.region, store.store_id) for store in stores)]
        found: dict[Fault, None] = {}
        for place in places:
            built = self._build(place)
            if not isinstance(built, Shop):
                found.update(dict.fromkeys(built))
        return list(found)

    def shops(self) -> tuple[Shop, ...]:
        """Every shop that is ready: of the places of the configuration, and of stores that were served already."""
        for place in self._layers.places():
            self._build(place)
        with self._lock:
            built = [shop for shop in self._built.values() if isinstance(shop, Shop)]
        return tuple(dict.fromkeys(built))

    def report(self) -> list[Report]:
        """Every plugin that is installed or named in the configuration, by name."""
        faults = self.problems()
        users: dict[str, dict[str, None]] = {}
        for place in self._layers.places():
            for name in _names(self._layers.effective(*place).get("plugins")):
                users.setdefault(name, {})[place[0]] = None
        missing = [Found(name, "", "", "", None, "not installed") for name in users if name not in self._by_name]
        lines = []
        for one in sorted((*self._found, *missing), key=lambda found: found.name):
            reasons = [one.reason] if one.reason else [str(fault) for fault in faults if fault.plugin == one.name]
            state = State.QUARANTINED if reasons else State.READY if one.name in users else State.NOT_USED
            lines.append(
                Report(
                    one.name,
                    one.distribution,
                    one.version,
                    state,
                    "; ".join(reasons),
                    tuple(users.get(one.name, ())),
                    hooks_of(one.plugin_class) if one.plugin_class else (),
                )
            )
        return lines

    def _build(self, asked: Place) -> Shop | tuple[Fault, ...]:
        store_type, region, store_id = asked
        own_layer = store_id and f"{store_type}/{region}/{store_id}" in self._layers.path(*asked)
        place = asked if own_layer else (store_type, region, None)
        with self._lock:
            if place not in self._built:
                self._built[place] = self._shop_or_faults(place)
            return self._built.setdefault(asked, self._built[place])

    def _shop_or_faults(self, place: Place) -> Shop | tuple[Fault, ...]:
        store_type, region, _ = place
        if store_type not in self._layers.store_types():
            hint = _near(store_type, self._layers.store_types())
            return (Fault(place, "", "", "", f"the configuration has no layer for it{hint}"),)
        try:
            settings = self._layers.shop_settings(*place, installed=self._by_name.keys())
        except ValueError as error:
            return (Fault(place, "", "", "", str(error)),)
        members = []
        faults = []
        for name in settings.plugins:
            try:
                members.append(self._member(name, place))
            except _Unusable as reason:
                faults.append(self._fault(place, name, str(reason)))
        if faults:
            return tuple(faults)
        try:
            return Shop(
                store_type, region, settings, members, outside_factory=self._outside_factory, observe=self._observe
            )
        except OfferError as error:
            where = f"{self._layers.where(error.setting, *place)}: " if error.setting else ""
            return (self._fault(place, error.plugin, f"{where}{error}"),)

    def _member(self, name: str, place: Place) -> Member:
        found = self._by_name.get(name)
        if found is None:
            where = self._layers.where(("plugins",), *place)
            raise _Unusable(f"{where} names it, but it is not installed{_near(name, self._by_name)}")
        if found.plugin_class is None:
            raise _Unusable(found.reason or "it was left out when plugins were loaded")
        try:
            settings = self._layers.plugin_settings(name, found.plugin_class.Settings, *place)
        except ValueError as error:
            raise _Unusable(str(error)) from error
        except TypeError as error:
            raise _Unusable(f"its Settings cannot be read: {error}") from error
        try:
            return Member(name, found.version, found.plugin_class(settings))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise _Unusable(f"making it raised {type(error).__name__}: {error}") from error

    def _fault(self, place: Place, plugin: str, reason: str) -> Fault:
        found = self._by_name.get(plugin)
        return Fault(place, plugin, found.distribution if found else "", found.version if found else "", reason)


def _unavailable(store_type: str, faults: Sequence[Fault]) -> Problem:
    return store_type_unavailable(
        "; ".join(str(fault) for fault in faults),
        store_type=store_type,
        plugins=sorted({fault.plugin for fault in faults if fault.plugin}),
    )


def _names(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
