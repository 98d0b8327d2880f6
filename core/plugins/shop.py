"""The plugins of one store type in one place, built with its settings: whom to ask, and how.

pluggy calls every hook, one plugin at a time, behind the guard: so a plugin that fails, hangs or answers nonsense stops
no other, and is known by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import structlog
from msgspec import Struct

from tillhook.core.domain.problems import Problem, plugin_failed
from tillhook.core.plugins.guard import Guard, HookRefused, Outcome, Stops, Turn, said_of
from tillhook.core.plugins.offers import Offered, Offers
from tillhook.core.plugins.turns import Member, WrongAnswer, turn_of, turns_of
from tillhook.core.roles.duties import Parked, Permanent
from tillhook.core.roles.gateway import PaymentGateway
from tillhook.core.roles.grammar import Kind, Policy, kind_of
from tillhook.core.roles.offers import IdentityProvider, ItemFeed, PromotionEngine, TaxCalculator
from tillhook.core.roles.outside import Outside
from tillhook.core.roles.shop_settings import ShopSettings
from tillhook.hookspecs import HOOKS

Observe = Callable[[str, str, float, bool], None]
"""``(plugin, hook, seconds, failed)`` after every call of a hook."""
OutsideFactory = Callable[[str, str], Outside]
"""``(plugin, store type)`` → what that plugin may reach."""

SLOW_SECONDS: Final = 0.5
"""A question or news that takes longer is logged: it stands in somebody's way. Duties may take their time."""

_log = structlog.get_logger("tillhook.plugins")


class _Question(Struct, frozen=True):
    turns: tuple[Turn, ...]
    policy: Policy
    stops: Stops


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
        guard: Guard,
    ) -> None:
        """Register the plugins and ask them for their offers. Raises OfferError naming plugin and hook."""
        self.store_type = store_type
        self.region = region
        self.settings = settings
        self.plugins = tuple(member.name for member in members)
        self._outside_factory = outside_factory
        self._observe = observe
        self._guard = guard
        self._members = {member.name: member for member in members}
        callers = turns_of([member for member in members if not member.muted], store_type, guard)
        self._muted = {member.name: member.silent for member in members if member.muted}
        self._implementers = {hook: _in_order(members, hook, callers[hook], self.muted(hook)) for hook in HOOKS}
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
                hook: [(turn.plugin, turn.version, self._offering(turn)) for turn in callers[hook]]
                for hook in HOOKS
                if kind_of(HOOKS[hook]).kind is Kind.OFFER
            }
        )
        self.gateway: PaymentGateway = self._offers.gateway(settings.payment)
        self.tax: TaxCalculator = self._offers.pick("tax_calculators", settings.tax.calculator, "taxes.calculator")
        self.promotions: PromotionEngine | None = None
        if settings.promotion.engine is not None:
            self.promotions = self._offers.pick("promotion_engines", settings.promotion.engine, "promotion.engine")
        self.shadow = self._offers.shadow(settings.shadow, self.muted)
        self.feeds: Mapping[str, ItemFeed] = {
            offered.thing.name: offered.thing for offered in self.offers("item_feeds")
        }
        self.identity_providers: tuple[IdentityProvider, ...] = tuple(
            offered.thing for offered in self.offers("identity_providers")
        )
        self.routes = self.offers("routes")
        self._offered_under = {id(one.thing): hook for hook, offered in self._offers.by_hook.items() for one in offered}

    def __repr__(self) -> str:
        return f"<Shop {self.store_type}/{self.region}: {', '.join(self.plugins)}>"

    def ask(self, hook: str, **arguments: Any) -> Any:
        """Ask a question of each plugin in turn; the first answer that is not None wins, None: nobody knew.

        Raises Problem: of a ``block`` question the plugin's own, or ``plugin_failed`` for anything else it raised. Of a
        ``degrade`` question what one raises is logged, and the next is asked.
        """
        question = self._first[hook]
        for outcome in self._play(question.turns, self._guard.limits.question_seconds, question.stops, (), arguments):
            if outcome.error is not None:
                _refuse_or_log(question.policy, outcome, outcome.error)
            elif outcome.answer is not None:
                return outcome.answer
        return None

    def ask_all(self, hook: str, **arguments: Any) -> list[Any]:
        """Ask every plugin; one entry for each plugin that answered, in their order. Raises as ``ask`` does."""
        question = self._all[hook]
        answers = []
        for outcome in self._play(question.turns, self._guard.limits.question_seconds, question.stops, (), arguments):
            if outcome.error is not None:
                _refuse_or_log(question.policy, outcome, outcome.error)
            elif outcome.answer is not None:
                answers.append(outcome.answer)
        return answers

    def tell(self, hook: str, **arguments: Any) -> None:
        """Tell every plugin the news. What one raises is logged with its name and never raised."""
        for outcome in self._play(self._news[hook], self._guard.limits.news_seconds, _never, (), arguments):
            if outcome.error is not None:
                _log_failure(outcome, outcome.error)

    def perform(self, plugin: str, hook: str, **arguments: Any) -> Any:
        """Have one plugin do its duty; ``outside`` is lent to it unless given. Whatever it raises is raised.

        Raises HookCut when it was cut, HookRefused when its calls hang and it was not called, Permanent when it was
        done and answered nonsense: nobody may do it again.
        Raises LookupError when this plugin has no such duty (any more), Parked when it is switched off.
        """
        self.wait_for_muted(plugin, hook)
        caller = self._duties.get((plugin, hook))
        if caller is None:
            raise LookupError(f"plugin {plugin!r} of store type {self.store_type!r} has no duty {hook!r}")
        arguments.setdefault("outside", self.outside(plugin))
        seconds = self._guard.limits.duty_seconds
        [outcome] = self._play((caller,), seconds, _never, (), arguments, slow=float("inf"))
        if isinstance(outcome.error, WrongAnswer):
            raise Permanent(f"it was done, but {outcome.error}; it is not done again") from outcome.error
        return _answer(outcome)

    def use(self, thing: Any, verb: str, *arguments: Any, seconds: float | None = None, shadow: bool = False) -> Any:
        """Call one verb of a thing that a plugin offers, for at most ``seconds`` (None: as long as a question).

        What hangs as a ``shadow`` is not held against the plugin where it counts: it has a breaker of its own.

        Raises HookCut: it may have had its effect. Raises HookRefused: it was not called. Raises LookupError for a
        thing that nobody offers, and whatever the thing raises.
        """
        member = self._members[self.owner(thing)]
        function = getattr(thing, verb)
        hook = f"{self._offered_under[id(thing)]}.{verb}"
        bulkhead = self._guard.bulkhead(member.name, self._side(shadow))
        turn = turn_of(member, f"shadow.{hook}" if shadow else hook, self.store_type, bulkhead, function, function)
        limit = self._guard.limits.question_seconds if seconds is None else seconds
        slow = SLOW_SECONDS if seconds is None else float("inf")
        [outcome] = self._play((turn,), limit, _never, arguments, {}, slow=slow)
        return _answer(outcome)

    def implementers(self, hook: str) -> tuple[str, ...]:
        """The plugins that implement a hook, in the order in which they are called; of duties also muted ones."""
        return self._implementers[hook]

    def muted(self, hook: str) -> tuple[str, ...]:
        """The plugins that implement a hook and are switched off."""
        return tuple(name for name, hooks in self._muted.items() if hook in hooks)

    def wait_for_muted(self, plugin: str, hook: str) -> None:
        """Raises Parked when a plugin that implements this hook is switched off."""
        if plugin in self.muted(hook):
            raise Parked(f"plugin {plugin} is switched off (TILLHOOK_DISABLE)")

    def offers(self, hook: str) -> tuple[Offered, ...]:
        """Everything that the plugins offer under one hook: ``.plugin`` says whose it is, ``.thing`` is the thing."""
        return self._offers.by_hook[hook]

    def version(self, plugin: str) -> str:
        """The installed version of a plugin of this shop."""
        return self._members[plugin].version

    def owner(self, thing: Any) -> str:
        """The plugin that offered a thing (a gateway, a feed …). Raises LookupError for a stranger."""
        return self._offers.owner(thing)

    def outside(self, plugin: str, *, shadow: bool = False) -> Outside:
        """What the core lends to one plugin of this store type; as a ``shadow`` with a circuit breaker of its own."""
        return self._outside_factory(plugin, self._side(shadow))

    def _side(self, shadow: bool) -> str:
        return f"{self.store_type} (shadow)" if shadow else self.store_type

    def _play(
        self,
        turns: Sequence[Turn],
        seconds: float,
        stops: Stops,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        slow: float = SLOW_SECONDS,
    ) -> Sequence[Outcome]:
        if not turns:
            return ()
        outcomes = self._guard.play(turns, seconds, stops, args, kwargs)
        for outcome in outcomes:
            turn = outcome.turn
            if outcome.called:
                self._observe(turn.plugin, turn.hook, outcome.seconds, outcome.error is not None)
            if outcome.seconds > slow and not outcome.cut:
                _log.warning(
                    "plugin_slow",
                    plugin=turn.plugin,
                    version=turn.version,
                    hook=turn.hook,
                    milliseconds=round(outcome.seconds * 1000),
                )
        return outcomes

    def _offering(self, turn: Turn) -> Callable[[], Any]:
        """What a plugin offers, asked behind the guard. Building a shop is not observed: it is not its work."""

        def ask() -> Any:
            [outcome] = self._guard.play((turn,), self._guard.limits.offer_seconds, _never, (), {})
            return _answer(outcome)

        return ask


def _answer(outcome: Outcome) -> Any:
    if outcome.error is not None:
        raise outcome.error
    return outcome.answer


def _refuse_or_log(policy: Policy, outcome: Outcome, error: Exception) -> None:
    if policy is Policy.DEGRADE:
        _log_failure(outcome, error)
        return
    if isinstance(error, Problem):
        raise error
    turn = outcome.turn
    what = said_of(error) or f"raised {type(error).__name__}"
    raise plugin_failed(
        f"{turn} {what} in {turn.hook}", plugin=turn.plugin, version=turn.version, hook=turn.hook
    ) from error


def _log_failure(outcome: Outcome, error: Exception) -> None:
    turn = outcome.turn
    if outcome.cut:
        return  # the guard has logged it, with the line
    fields = {"plugin": turn.plugin, "version": turn.version, "hook": turn.hook}
    if isinstance(error, HookRefused):
        _log.warning("plugin_refused", **fields, store_type=turn.store_type, reason=error.reason)
    elif isinstance(error, WrongAnswer):
        _log.error("plugin_failed", **fields, reason=str(error))
    else:
        _log.error("plugin_failed", **fields, exc_info=error)


def _in_order(members: Sequence[Member], hook: str, callers: Sequence[Turn], muted: Sequence[str]) -> tuple[str, ...]:
    """Who implements a hook: who is called, and who owes a duty that waits."""
    names = {caller.plugin for caller in callers} | (set(muted) if kind_of(HOOKS[hook]).kind is Kind.DUTY else set())
    return tuple(member.name for member in members if member.name in names)


def _never(_: Outcome) -> bool:
    return False


def _failed(outcome: Outcome) -> bool:
    return outcome.error is not None


def _answered(outcome: Outcome) -> bool:
    return outcome.answer is not None


def _answered_or_failed(outcome: Outcome) -> bool:
    return outcome.answer is not None or outcome.error is not None


_STOPS: Final[dict[tuple[Kind, Policy], Stops]] = {
    (Kind.QUESTION, Policy.BLOCK): _answered_or_failed,
    (Kind.QUESTION, Policy.DEGRADE): _answered,
    (Kind.QUESTION_TO_ALL, Policy.BLOCK): _failed,
    (Kind.QUESTION_TO_ALL, Policy.DEGRADE): _never,
}
"""What ends the asking before every plugin was asked."""


def _questions(turns: Mapping[str, tuple[Turn, ...]], kind: Kind) -> dict[str, _Question]:
    kinds = {hook: kind_of(declared) for hook, declared in HOOKS.items()}
    return {
        hook: _Question(turns[hook], policy, _STOPS[kind, policy])
        for hook, one in kinds.items()
        if one.kind is kind
        for policy in [one.policy or Policy.BLOCK]
    }
