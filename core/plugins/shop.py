"""The plugins of one store type in one place, built with its settings: whom to ask, and how.

pluggy calls every hook, one plugin at a time: so a failing plugin stops no other, and is known by name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pluggy
import structlog
from msgspec import Struct

from tillhook.core.domain.problems import Problem, plugin_failed
from tillhook.core.plugins.offers import Offered, OfferError, Offers
from tillhook.core.roles.gateway import PaymentGateway
from tillhook.core.roles.grammar import PROJECT, Kind, Policy, kind_of
from tillhook.core.roles.offers import IdentityProvider, ItemFeed, PromotionEngine, TaxCalculator
from tillhook.core.roles.outside import Outside
from tillhook.core.roles.shop_settings import ShopSettings
from tillhook.hookspecs import HOOKS, Hooks, Plugin

Observe = Callable[[str, str, float, bool], None]
"""``(plugin, hook, seconds, failed)`` after every call of a hook."""
OutsideFactory = Callable[[str, str], Outside]
"""``(plugin, store type)`` → what that plugin may reach."""

SLOW_SECONDS: Final = 0.5
"""A question or news that takes longer is logged: it stands in somebody's way. Duties may take their time."""

_log = structlog.get_logger("tillhook.plugins")


class PluginExit(Exception):
    """A plugin called ``sys.exit`` or let a cancellation out: that ends its call, not the process."""


class Member(Struct, frozen=True):
    """One plugin of a shop."""

    name: str
    version: str
    instance: Plugin


class _Caller(Struct, frozen=True):
    """One hook of one plugin, ready to be called."""

    plugin: str
    version: str
    hook: str
    caller: Callable[..., Any]
    first_result: bool

    def call(self, **arguments: Any) -> Any:
        """pluggy gives the answer itself when the first one wins, else a list of the answers that are not None."""
        answer = self.caller(**arguments)
        if self.first_result:
            return answer
        return answer[0] if answer else None


class _Question(Struct, frozen=True):
    callers: tuple[_Caller, ...]
    policy: Policy


class Shop:
    """See the module. Immutable once built, safe to use from any thread."""

    def __init__(
        self,
        store_type: str,
        region: str,
        settings: ShopSettings,
        members: Sequence[Member],
        *,
        outside_factory: OutsideFactory,
        observe: Observe,
    ) -> None:
        """Register the plugins and ask them for their offers. Raises OfferError naming plugin and hook."""
        self.store_type = store_type
        self.region = region
        self.settings = settings
        self.plugins = tuple(member.name for member in members)
        self._outside_factory = outside_factory
        self._observe = observe
        callers = _callers(members)
        self._implementers = {hook: tuple(caller.plugin for caller in callers[hook]) for hook in HOOKS}
        self._first = _questions(callers, Kind.QUESTION)
        self._all = _questions(callers, Kind.QUESTION_TO_ALL)
        self._news = {hook: callers[hook] for hook in HOOKS if kind_of(HOOKS[hook]).kind is Kind.NEWS}
        self._duties = {
            (caller.plugin, hook): caller
            for hook in HOOKS
            if kind_of(HOOKS[hook]).kind is Kind.DUTY
            for caller in callers[hook]
        }
        self._offers = Offers.of(
            {
                hook: [(caller.plugin, caller.version, caller.call) for caller in callers[hook]]
                for hook in HOOKS
                if kind_of(HOOKS[hook]).kind is Kind.OFFER
            }
        )
        self.gateway: PaymentGateway = self._offers.gateway(settings.payment)
        self.tax: TaxCalculator = self._offers.pick("tax_calculators", settings.tax.calculator, "taxes.calculator")
        self.promotions: PromotionEngine | None = None
        if settings.promotion.engine is not None:
            self.promotions = self._offers.pick("promotion_engines", settings.promotion.engine, "promotion.engine")
        self.feeds: Mapping[str, ItemFeed] = {
            offered.thing.name: offered.thing for offered in self.offers("item_feeds")
        }
        self.identity_providers: tuple[IdentityProvider, ...] = tuple(
            offered.thing for offered in self.offers("identity_providers")
        )
        self.routes = self.offers("routes")

    def __repr__(self) -> str:
        return f"<Shop {self.store_type}/{self.region}: {', '.join(self.plugins)}>"

    def ask(self, hook: str, **arguments: Any) -> Any:
        """Ask a question of each plugin in turn; the first answer that is not None wins, None: nobody knew.

        Raises Problem: of a ``block`` question the plugin's own, or ``plugin_failed`` for anything else it raised.
        """
        question = self._first[hook]
        for caller in question.callers:
            try:
                answer = self._call(caller, arguments)
            except Exception as error:  # noqa: BLE001 - the policy of the hook says what becomes of it
                self._refuse_or_log(question.policy, caller, error)
                return None
            if answer is not None:
                return answer
        return None

    def ask_all(self, hook: str, **arguments: Any) -> list[Any]:
        """Ask every plugin; one entry for each plugin that answered, in their order. Raises as ``ask`` does."""
        question = self._all[hook]
        answers = []
        for caller in question.callers:
            try:
                answer = self._call(caller, arguments)
            except Exception as error:  # noqa: BLE001 - as in ask
                self._refuse_or_log(question.policy, caller, error)
                continue
            if answer is not None:
                answers.append(answer)
        return answers

    def tell(self, hook: str, **arguments: Any) -> None:
        """Tell every plugin the news. What one raises is logged with its name and never raised."""
        for caller in self._news[hook]:
            try:
                self._call(caller, arguments)
            except Exception as error:  # noqa: BLE001 - news never blocks
                _log_failure(caller, error)

    def perform(self, plugin: str, hook: str, **arguments: Any) -> Any:
        """Have one plugin do its duty; ``outside`` is lent to it unless given. Whatever it raises is raised.

        Raises LookupError when this plugin has no such duty (any more).
        """
        caller = self._duties.get((plugin, hook))
        if caller is None:
            raise LookupError(f"plugin {plugin!r} of store type {self.store_type!r} has no duty {hook!r}")
        arguments.setdefault("outside", self.outside(plugin))
        return self._call(caller, arguments, slow=float("inf"))

    def implementers(self, hook: str) -> tuple[str, ...]:
        """The plugins that implement a hook, in the order in which they are called."""
        return self._implementers[hook]

    def offers(self, hook: str) -> tuple[Offered, ...]:
        """Everything that the plugins offer under one hook: ``.plugin`` says whose it is, ``.thing`` is the thing."""
        return self._offers.by_hook[hook]

    def owner(self, thing: Any) -> str:
        """The plugin that offered a thing (a gateway, a feed …). Raises LookupError for a stranger."""
        return self._offers.owner(thing)

    def outside(self, plugin: str) -> Outside:
        """What the core lends to one plugin of this store type."""
        return self._outside_factory(plugin, self.store_type)

    def _call(self, caller: _Caller, arguments: dict[str, Any], slow: float = SLOW_SECONDS) -> Any:
        began = time.perf_counter()
        failed = True
        try:
            answer = caller.call(**arguments)
            failed = False
        except SystemExit as error:
            raise PluginExit(f"it called sys.exit({error.code!r})") from error
        except BaseException as error:
            if isinstance(error, Exception | KeyboardInterrupt):
                raise
            raise PluginExit(f"it raised {type(error).__name__}") from error
        finally:
            seconds = time.perf_counter() - began
            self._observe(caller.plugin, caller.hook, seconds, failed)
            if seconds > slow:
                _log.warning(
                    "plugin_slow",
                    plugin=caller.plugin,
                    version=caller.version,
                    hook=caller.hook,
                    milliseconds=round(seconds * 1000),
                )
        return answer

    def _refuse_or_log(self, policy: Policy, caller: _Caller, error: Exception) -> None:
        if policy is Policy.DEGRADE:
            _log_failure(caller, error)
            return
        if isinstance(error, Problem):
            raise error
        raise plugin_failed(
            f"plugin {caller.plugin} {caller.version} raised {type(error).__name__} in {caller.hook}",
            plugin=caller.plugin,
            version=caller.version,
            hook=caller.hook,
        ) from error


def _log_failure(caller: _Caller, error: Exception) -> None:
    _log.error("plugin_failed", plugin=caller.plugin, version=caller.version, hook=caller.hook, exc_info=error)


def _callers(members: Sequence[Member]) -> dict[str, tuple[_Caller, ...]]:
    """Every hook's implementers, in the order of ``members``."""
    pluggy_manager = pluggy.PluginManager(PROJECT)
    pluggy_manager.add_hookspecs(Hooks)
    for member in members:
        try:
            pluggy_manager.register(member.instance, member.name)
        except pluggy.PluginValidationError as error:
            raise OfferError(member.name, " ".join(str(error).split())) from error
    instances = {member.instance for member in members}
    found: dict[str, tuple[_Caller, ...]] = {}
    for hook in HOOKS:
        caller = getattr(pluggy_manager.hook, hook)
        by_name = {implementation.plugin_name for implementation in caller.get_hookimpls()}
        found[hook] = tuple(
            _Caller(
                member.name,
                member.version,
                hook,
                pluggy_manager.subset_hook_caller(hook, instances - {member.instance}) if len(by_name) > 1 else caller,
                kind_of(HOOKS[hook]).kind is Kind.QUESTION,
            )
            for member in members
            if member.name in by_name
        )
    return found


def _questions(callers: Mapping[str, tuple[_Caller, ...]], kind: Kind) -> dict[str, _Question]:
    kinds = {hook: kind_of(declared) for hook, declared in HOOKS.items()}
    return {
        hook: _Question(callers[hook], one.policy or Policy.BLOCK) for hook, one in kinds.items() if one.kind is kind
    }
