"""What the plugins of one shop offer: checked when the shop is built, so that nothing is found wrong at the till."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from tillhook.core.plugins import declarations, shapes
from tillhook.core.plugins.addresses import fault_of, shape
from tillhook.core.plugins.guard import HookCut, HookRefused, PluginExit
from tillhook.core.plugins.whereabouts import said
from tillhook.core.roles.gateway import Capabilities, PaymentGateway
from tillhook.core.roles.offers import (
    Demonstration,
    IdentityProvider,
    ItemFeed,
    Notifier,
    PromotionEngine,
    SettlementParser,
    SettlementSource,
    TaxCalculator,
)
from tillhook.core.roles.rooms import PluginCommand, PluginPage, PluginRoute, PluginTables, Schedule, Topic
from tillhook.core.roles.shop_settings import PaymentSettings, ShadowSettings

Source = tuple[str, str, Callable[[], Any]]
"""(plugin, version, the call that gives its offers)."""


LONGEST_NAME: Final = 64
"""Characters of a name: what is kept with a payment has room for so many."""


class OfferError(Exception):
    """Offers cannot be used. ``plugin`` names the culprit; empty when a setting picks what nobody offers."""

    def __init__(self, plugin: str, reason: str, setting: tuple[str, ...] = (), hook: str = "") -> None:
        super().__init__(reason)
        self.plugin = plugin
        self.setting = setting
        self.hook = hook


class Offered(Struct, frozen=True):
    """One thing and the plugin that offers it."""

    plugin: str
    thing: Any


class _Rule(Struct, frozen=True):
    """What an offer must be, and what tells two of them apart within a shop (None: nothing, any number may be)."""

    role: Any
    key: Callable[[str, Any], object] | None


def _name(_: str, thing: Any) -> object:
    return thing.name


def _route(plugin: str, thing: Any) -> object:
    return f"{thing.method} /plugins/{plugin}{shape(thing.path)}"


RULES: Final = {
    "identity_providers": _Rule(IdentityProvider, lambda _, thing: thing.issuer),
    "item_feeds": _Rule(ItemFeed, _name),
    "promotion_engines": _Rule(PromotionEngine, _name),
    "tax_calculators": _Rule(TaxCalculator, _name),
    "payment_gateways": _Rule(PaymentGateway, _name),
    "settlement_sources": _Rule(SettlementSource, _name),
    "settlement_parsers": _Rule(SettlementParser, _name),
    "notifiers": _Rule(Notifier, _name),
    "tables": _Rule(PluginTables, _name),
    "routes": _Rule(PluginRoute, _route),
    "pages": _Rule(PluginPage, lambda plugin, thing: f"/pages/{plugin}{shape(thing.path)}"),
    "commands": _Rule(PluginCommand, lambda plugin, thing: f"{plugin}: {thing.command.name}"),
    "topics": _Rule(Topic, lambda plugin, thing: f"{plugin}: {thing.name}"),
    "demonstrations": _Rule(Demonstration, None),
    "schedules": _Rule(Schedule, lambda plugin, thing: f"{plugin}: {thing.name}"),
}


class Shadow(Struct, frozen=True):
    """Who is asked beside those who count, without any effect. None: nobody."""

    tax: TaxCalculator | None = None
    promotions: PromotionEngine | None = None
    gateway: PaymentGateway | None = None


class Offers:
    """All offers of a shop, by hook."""

    def __init__(self, by_hook: Mapping[str, tuple[Offered, ...]]) -> None:
        self.by_hook = by_hook
        self._owners = {id(one.thing): one.plugin for offered in by_hook.values() for one in offered}

    @classmethod
    def of(cls, sources: Mapping[str, Sequence[Source]]) -> Offers:
        """Ask every plugin. Raises OfferError when one raises, offers what is none, or two offer the same name."""
        return cls({hook: _collect(hook, RULES[hook], asked) for hook, asked in sources.items()})

    def owner(self, thing: Any) -> str:
        plugin = self._owners.get(id(thing))
        if plugin is None:
            raise LookupError(f"no plugin of this shop offers {thing!r}")
        return plugin

    def pick(self, hook: str, name: str, setting: str) -> Any:
        """The offer that a setting names. Raises OfferError when nobody offers it."""
        by_name = {one.thing.name: one.thing for one in self.by_hook[hook]}
        if name not in by_name:
            near = difflib.get_close_matches(name, by_name, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"offered: {', '.join(by_name) or 'none'}"
            reason = f"{name!r} is offered by no plugin of this store type ({hint})"
            raise OfferError("", reason, tuple(setting.split(".")), hook)
        return by_name[name]

    def shadow(self, settings: ShadowSettings, muted: Callable[[str], Collection[str]]) -> Shadow:
        """The second opinions that the settings name; what only a ``muted`` plugin may offer is left out.

        Raises OfferError when nobody offers one of them.
        """

        def second(hook: str, name: str | None, setting: str) -> Any:
            known = {one.thing.name for one in self.by_hook[hook]}
            if name is None or (name not in known and muted(hook)):
                return None
            return self.pick(hook, name, f"shadow.{setting}")

        return Shadow(
            tax=second("tax_calculators", settings.calculator, "calculator"),
            promotions=second("promotion_engines", settings.engine, "engine"),
            gateway=second("payment_gateways", settings.gateway, "gateway"),
        )

    def gateway(self, settings: PaymentSettings) -> PaymentGateway:
        """The gateway that the settings pick, able to do the methods that they list. Raises OfferError."""
        gateway: PaymentGateway = self.pick("payment_gateways", settings.gateway, "payment.gateway")
        beyond = [method for method in settings.methods if method not in gateway.capabilities.methods]
        if beyond:
            able = ", ".join(gateway.capabilities.methods)
            reason = f"the gateway {gateway.name!r} cannot do {', '.join(beyond)} (it can do {able})"
            raise OfferError("", reason, ("payment", "methods"))
        return gateway


def _collect(hook: str, rule: _Rule, sources: Sequence[Source]) -> tuple[Offered, ...]:
    found: list[Offered] = []
    claimed: dict[str, str] = {}
    for plugin, version, call in sources:
        for key, thing in _checked(hook, rule, plugin, call):
            if key and key in claimed:
                reason = f"{key!r} is offered twice, by plugin {claimed[key]} and by plugin {plugin} {version}"
                raise OfferError(plugin, f"hook {hook}: {reason}", hook=hook)
            claimed[key] = f"{plugin} {version}"
            found.append(Offered(plugin, thing))
    return tuple(found)


def _checked(hook: str, rule: _Rule, plugin: str, call: Callable[[], Any]) -> list[tuple[str, Any]]:
    """One plugin's offers, each with its key (empty: it has none)."""
    try:
        things = list(call() or ())
        faults = [fault for thing in things if (fault := _fault(plugin, thing, rule.role))]
        if not faults:
            return [(str(rule.key(plugin, thing)) if rule.key else "", thing) for thing in things]
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        known = isinstance(error, HookCut | HookRefused | PluginExit)
        what = said(error) if known else f"raised {type(error).__name__}: {said(error)}"
        raise OfferError(plugin, f"hook {hook}: {what}", hook=hook) from error
    raise OfferError(plugin, f"hook {hook}: {'; '.join(faults)}", hook=hook)


def _fault(plugin: str, thing: Any, role: Any) -> str:
    if not isinstance(thing, role):
        return f"{type(thing).__name__} is no {role.__name__}: {_lacking(thing, role)}"
    if "name" in role.__annotations__ and not (isinstance(thing.name, str) and thing.name):
        return f"the name of {type(thing).__name__} must be a text that is not empty, it is {thing.name!r}"
    if role is PaymentGateway and not isinstance(thing.capabilities, Capabilities):
        return f"the gateway {thing.name!r} must declare its capabilities as tillhook.Capabilities"
    if role is PaymentGateway and (odd := shapes.looking_for(Capabilities)(thing.capabilities)):
        return f"the capabilities of {thing.name!r} are {odd}"
    if role is IdentityProvider:
        return _identity_fault(thing)
    if isinstance(thing, PluginRoute | PluginPage):
        return fault_of(plugin, thing)
    if isinstance(thing, PluginTables | PluginCommand | Schedule | Topic):
        return declarations.fault_of(plugin, thing)
    if "name" in role.__annotations__ and len(thing.name) > LONGEST_NAME:
        return f"the name {thing.name!r} is longer than {LONGEST_NAME} characters"
    return ""


def _identity_fault(provider: Any) -> str:
    """Tokens are looked up by these two before any of its functions is called."""
    if not isinstance(provider.issuer, str):
        return f"the issuer of {provider.name!r} must be a text, it is {provider.issuer!r}"
    known: Any = provider.algorithms
    if not isinstance(known, tuple | list | frozenset | set) or not all(isinstance(one, str) for one in known):
        return f"the algorithms of {provider.name!r} must be a tuple of texts, they are {known!r}"
    return ""


def _lacking(thing: Any, role: Any) -> str:
    wanted = {name for name in (*vars(role), *getattr(role, "__annotations__", {})) if not name.startswith("_")}
    lacking = sorted(name for name in wanted if not hasattr(thing, name))
    return f"it lacks {', '.join(lacking)}" if lacking else "it is something else"
