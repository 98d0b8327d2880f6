"""Who answers each hook in one place, in which order, under which rules: what ``tillhook plugins --explain`` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from tillhook.core.plugins.discovery import DISABLE_VARIABLE, Found
from tillhook.core.plugins.guard import Limits
from tillhook.core.plugins.inspection import hooks_of
from tillhook.core.plugins.shop import Shop
from tillhook.core.roles.grammar import Kind, kind_of
from tillhook.core.roles.rooms import PluginCommand, PluginPage, PluginRoute
from tillhook.hookspecs import HOOKS

WHEN_ONE_FAILS: Final = {Kind.OFFER: "quarantine", Kind.DUTY: "retry", Kind.NEWS: "log"}
"""For questions it is the policy that the hook declares: ``block`` or ``degrade``."""


class Answerer(Struct, frozen=True):
    """One plugin that implements a hook."""

    plugin: str
    version: str
    state: str
    """``ready``, ``switched off``, ``quarantined``, or ``not asked``: another plugin closes the place."""
    offers: tuple[str, ...] = ()
    """What it offers, by name; empty for hooks that are no offers, and when it was not asked."""
    picked: Mapping[str, str] = {}
    """Setting → the name of the offer that it picks."""


class Explained(Struct, frozen=True):
    """One hook that somebody implements; ``by`` in the order in which they are called."""

    hook: str
    kind: str
    on_failure: str
    """``quarantine``, ``block``, ``degrade``, ``retry`` or ``log``."""
    seconds: float | None
    """After which a call is cut; None: never."""
    by: tuple[Answerer, ...]


class Silent(Struct, frozen=True):
    """A plugin of the place that is not asked, and why."""

    plugin: str
    version: str
    state: str
    reason: str


class Explanation(Struct, frozen=True):
    """``served``: whether the place has a shop; ``plugins`` in the order of the configuration."""

    served: bool
    plugins: tuple[str, ...]
    silent: tuple[Silent, ...]
    hooks: tuple[Explained, ...]


def explanation(members: Sequence[Found], shop: Shop | None, faults: Mapping[str, str], limits: Limits) -> Explanation:
    """The plugins of a place, its shop if it has one, and else plugin → what is wrong with it."""
    states = {one.name: _state(one, shop, faults) for one in members}
    hooks = []
    for hook, declared in HOOKS.items():
        by = [one for one in members if one.plugin_class is not None and hook in hooks_of(one.plugin_class)]
        if not by:
            continue
        kind = kind_of(declared)
        on_failure = kind.policy.value if kind.policy else WHEN_ONE_FAILS[kind.kind]
        answerers = tuple(_answerer(one, hook, states[one.name], shop) for one in by)
        hooks.append(Explained(hook, kind.kind.value, on_failure, _seconds(kind.kind, limits), answerers))
    silent = [
        Silent(one.name, one.version, states[one.name], faults.get(one.name) or one.reason or DISABLE_VARIABLE)
        for one in members
        if states[one.name] in {"switched off", "quarantined"}
    ]
    return Explanation(shop is not None, tuple(one.name for one in members), tuple(silent), tuple(hooks))


def _seconds(kind: Kind, limits: Limits) -> float | None:
    bounds = {Kind.OFFER: limits.offer_seconds, Kind.DUTY: limits.duty_seconds, Kind.NEWS: limits.news_seconds}
    return bounds.get(kind, limits.question_seconds) or None


def _state(one: Found, shop: Shop | None, faults: Mapping[str, str]) -> str:
    if one.off and not one.reason:
        return "switched off"
    if one.name in faults or one.plugin_class is None:
        return "quarantined"
    return "ready" if shop else "not asked"


def _answerer(one: Found, hook: str, state: str, shop: Shop | None) -> Answerer:
    if shop is None or kind_of(HOOKS[hook]).kind is not Kind.OFFER:
        return Answerer(one.name, one.version, state)
    own = [offered.thing for offered in shop.offers(hook) if offered.plugin == one.name]
    picks = {
        "payment.gateway": shop.gateway,
        "taxes.calculator": shop.tax,
        "promotion.engine": shop.promotions,
        "shadow.gateway": shop.shadow.gateway,
        "shadow.calculator": shop.shadow.tax,
        "shadow.engine": shop.shadow.promotions,
    }
    picked = {setting: _label(thing) for setting, thing in picks.items() if any(thing is at for at in own)}
    return Answerer(one.name, one.version, state, tuple(map(_label, own)), picked)


def _label(thing: Any) -> str:
    if isinstance(thing, PluginRoute):
        return f"{thing.method} {thing.path}"
    if isinstance(thing, PluginPage):
        return thing.path
    if isinstance(thing, PluginCommand):
        return str(thing.command.name)
    return str(getattr(thing, "name", "")) or type(thing).__name__
