"""The host: builds a shop for each store type, keeps what is broken out, and says what and why."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from typing import Any, Final, Protocol, TypeVar

from msgspec import Struct

from tillhook.core.domain.problems import Problem, store_type_unavailable
from tillhook.core.domain.store import Store
from tillhook.core.plugins.discovery import DISABLE_VARIABLE, Found
from tillhook.core.plugins.explaining import Explanation, explanation
from tillhook.core.plugins.guard import Guard, Unlimited
from tillhook.core.plugins.inspection import hooks_of
from tillhook.core.plugins.offers import OfferError
from tillhook.core.plugins.shop import Observe, OutsideFactory, Shop
from tillhook.core.plugins.starting import MAKE_SECONDS, Hangs, within
from tillhook.core.plugins.turns import Member
from tillhook.core.plugins.whereabouts import in_brackets, of_class, of_error, of_hook, said
from tillhook.core.roles.settings import Config
from tillhook.core.roles.shop_settings import ShopSettings
from tillhook.hookspecs import Plugin

RECORDS: Final = ("transaction_id_for", "poslog_for", "refund_poslog_for")
"""What these answer is written down with the sale and cannot be made up for: without it the books have a gap."""
SWITCHED_OFF: Final = f"switched off by the variable {DISABLE_VARIABLE}"

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
        who = f"plugin {self.plugin!r}" if self.plugin else ""
        made_by = f" ({self.distribution} {self.version})" if self.distribution else ""
        return ": ".join(part for part in (f"store type {self.where}", f"{who}{made_by}", self.reason) if part)

    @property
    def where(self) -> str:
        """As it is written in the configuration."""
        return "/".join(name for name in self.place if name)


class State(StrEnum):
    READY = "ready"
    QUARANTINED = "quarantined"
    SWITCHED_OFF = "switched off"
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
    hookspec_version: int | None
    """The version of the hooks that it was made for; None while its class is not known."""
    not_served: tuple[str, ...]
    """The places that have no shop because of it."""

    def __str__(self) -> str:
        made_by = f" ({self.distribution} {self.version})" if self.distribution else ""
        return f"plugin {self.name!r}{made_by} is {self.state.value}{self.reason and f': {self.reason}'}"


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
        guard: Guard | None = None,
        make_seconds: float = MAKE_SECONDS,
    ) -> None:
        self._make_seconds = make_seconds
        self._layers = layers
        self._found = tuple(found)
        self._by_name = {one.name: one for one in found}
        self._outside_factory = outside_factory
        self._observe = observe
        self._guard = guard or Guard(Unlimited())
        self._built: dict[Place, Shop | tuple[Fault, ...]] = {}
        self._hung: dict[tuple[str, str], str] = {}
        """(plugin, store type) → where it hung when it was made: it is not made again for the type's other places."""
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

    def places(self) -> tuple[Place, ...]:
        """Every place that the configuration speaks of, served or not."""
        return self._layers.places()

    def named(self, store_type: str, region: str, store_id: str | None = None) -> tuple[str, ...]:
        """The plugins that the configuration switches on in a place, served or not."""
        if store_type not in self._layers.store_types():
            return ()
        return tuple(_names(self._layers.effective(store_type, region, store_id).get("plugins")))

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
        everything = sorted((*self._found, *missing), key=lambda found: found.name)
        return [_line(one, tuple(users.get(one.name, ())), faults) for one in everything]

    def explain(self, store_type: str, region: str, store_id: str | None = None) -> Explanation:
        """Who answers each hook in a place and in which order, also when it cannot be served."""
        built = self._build((store_type, region, store_id))
        names = _names(self._layers.effective(store_type, region, store_id).get("plugins"))
        members = [self._by_name.get(name) or Found(name, "", "", "", None, "not installed") for name in names]
        if isinstance(built, Shop):
            return explanation(members, built, {}, self._guard.limits)
        return explanation(members, None, {fault.plugin: fault.reason for fault in built}, self._guard.limits)

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
                store_type,
                region,
                settings,
                members,
                outside_factory=self._outside_factory,
                observe=self._observe,
                guard=self._guard,
            )
        except OfferError as error:
            return (self._offer_fault(place, members, error),)
        except Exception as error:  # noqa: BLE001 - an offer that changes while it is looked at closes its places only
            what = f"its plugins cannot be put together: {type(error).__name__}: {said(error)}"
            return (Fault(place, "", "", "", what),)

    def _offer_fault(self, place: Place, members: Sequence[Member], error: OfferError) -> Fault:
        if not error.setting:
            return self._fault(place, error.plugin, f"{error}{in_brackets(self._stands(error))}")
        where = self._layers.where(error.setting, *place)
        silent = [one.name for one in members if error.hook in one.silent]
        if not silent:
            return self._fault(place, error.plugin, f"{where}: {error}")
        return self._fault(place, silent[0], f"{SWITCHED_OFF}, but {where} may need its {error.hook}: {error}")

    def _stands(self, error: OfferError) -> str:
        """Where in the plugin's files an offer went wrong."""
        found = self._by_name.get(error.plugin)
        if found is None or found.plugin_class is None:
            return ""
        begins = of_hook(found.plugin_class, error.hook) if error.hook else of_class(found.plugin_class)
        return of_error(error, found.package) or begins

    def _member(self, name: str, place: Place) -> Member:
        found = self._by_name.get(name)
        if found is None:
            where = self._layers.where(("plugins",), *place)
            raise _Unusable(f"{where} names it, but it is not installed{_near(name, self._by_name)}")
        if found.plugin_class is None:
            raise _Unusable(found.reason or "it was left out when plugins were loaded")
        if found.off:
            return _muted(found, found.plugin_class)
        return self._made(found, found.plugin_class, place)

    def _made(self, found: Found, plugin_class: type[Plugin], place: Place) -> Member:
        name = found.name
        try:
            settings = self._layers.plugin_settings(name, plugin_class.Settings, *place)
        except ValueError as error:
            raise _Unusable(str(error)) from error
        except TypeError as error:
            raise _Unusable(f"its Settings cannot be read: {error}") from error
        if (name, place[0]) in self._hung:
            raise _Unusable(self._hung[name, place[0]])
        try:
            instance = within(self._make_seconds, lambda: plugin_class(settings), found.package)
        except KeyboardInterrupt:
            raise
        except Hangs as error:
            self._hung[name, place[0]] = f"making it {error}"
            raise _Unusable(f"making it {error}") from error
        except BaseException as error:
            where = in_brackets(of_error(error, found.package) or of_class(plugin_class))
            raise _Unusable(f"making it raised {type(error).__name__}: {said(error)}{where}") from error
        return Member(name, found.version, instance)

    def _fault(self, place: Place, plugin: str, reason: str) -> Fault:
        found = self._by_name.get(plugin)
        return Fault(place, plugin, found.distribution if found else "", found.version if found else "", reason)


def _muted(found: Found, plugin_class: type[Plugin]) -> Member:
    """A plugin that is switched off. It is not made: its ``__init__`` or its settings may be why."""
    if writes := [hook for hook in RECORDS if hook in hooks_of(plugin_class)]:
        raise _Unusable(f"{SWITCHED_OFF}, and no sale may go without what it writes ({', '.join(writes)})")
    return Member(found.name, found.version, Plugin(None), muted=True, silent=hooks_of(plugin_class))


def _unavailable(store_type: str, faults: Sequence[Fault]) -> Problem:
    return store_type_unavailable(
        "; ".join(str(fault) for fault in faults),
        store_type=store_type,
        plugins=sorted({fault.plugin for fault in faults if fault.plugin}),
    )


def _line(one: Found, store_types: tuple[str, ...], faults: Sequence[Fault]) -> Report:
    """One plugin's line: why it cannot be used, each reason once, with the places where it is one."""
    own = [fault for fault in faults if fault.plugin == one.name]
    reasons: dict[str, list[str]] = {}
    for fault in own:
        reasons.setdefault(fault.reason, []).append(fault.where)
    state = State.READY if store_types else State.NOT_USED
    reason = "; ".join(f"{_store_types(places)}: {reason}" for reason, places in reasons.items())
    if one.off:
        state, reason = State.SWITCHED_OFF, reason or f"asked nothing, its duties wait ({DISABLE_VARIABLE})"
    if one.reason or (reasons and not one.off):
        state, reason = State.QUARANTINED, one.reason or reason
    return Report(
        one.name,
        one.distribution,
        one.version,
        state,
        reason,
        store_types,
        hooks_of(one.plugin_class) if one.plugin_class else (),
        one.hookspec_version,
        tuple(fault.where for fault in own),
    )


def _store_types(places: Sequence[str]) -> str:
    return f"store type{'' if len(places) == 1 else 's'} {', '.join(places)}"


def _names(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
