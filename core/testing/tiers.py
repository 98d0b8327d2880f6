"""The tiers of a certificate and their rules. Every rule is checked by a machine; `docs/tiers.md` is made of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from tillhook.core.domain.payment import Verb
from tillhook.core.plugins.certificate import Checked, Tier
from tillhook.core.roles.grammar import HOOKSPEC_VERSION, Kind, kind_of
from tillhook.core.testing.world_phases import Phase
from tillhook.hookspecs import HOOKS

SLOWEST_IMPORT: Final = 300.0
"""Milliseconds that importing a plugin may take beyond importing tillhook: a start imports them all."""
BUDGETS: Final[Mapping[Kind, float]] = {
    Kind.OFFER: 1000.0,
    Kind.QUESTION: 50.0,
    Kind.QUESTION_TO_ALL: 50.0,
    Kind.DUTY: 250.0,
    Kind.NEWS: 50.0,
}
"""Milliseconds that a call may take of its own, but for the slowest twentieth of the calls. A shopper waits for a
question, and a start for each offer; duties and news come after the commit, but they take turns."""
VERB_BUDGETS: Final[Mapping[str, float]] = {
    "identity_providers": 50.0,
    "promotion_engines": 50.0,
    "tax_calculators": 50.0,
    "notifiers": 250.0,
    "payment_gateways": 250.0,
}
"""The same for the verbs of what is offered; what reads files is not here, as that depends on the file."""

COVERED_BY: Final[Mapping[str, str]] = {
    "payment_gateways": "PaymentGatewayContract",
    "tax_calculators": "TaxContract",
    "promotion_engines": "PromotionContract",
    "settlement_parsers": "SettlementParserContract",
    "notifiers": "NotifierContract",
    "item_feeds": "ItemFeedContract",
    "identity_providers": "IdentityContract",
    "transaction_id_for": "PosLogContract",
    "poslog_for": "PosLogContract",
    "refund_poslog_for": "PosLogContract",
    "receipt_for": "ReceiptContract",
    "receipt_fields_for": "ReceiptContract",
    "mark_epcs_sold": "EpcContract",
    "mark_epcs_unsold": "EpcContract",
    "update_loyalty": "LoyaltyContract",
    "redeem_coupons": "LoyaltyContract",
    "submit_fiscal_document": "FiscalContract",
}
"""Hook → the suite that proves it; what is not here is proven by any suite (``PluginContract``)."""
OWN_CASES: Final = 3


class Gateway(Struct, frozen=True, kw_only=True):
    """What was seen of one gateway."""

    declares: tuple[Mapping[str, Any], ...] = ()
    """Its capabilities, once for each way in which its settings had it declare something else."""
    faults: Mapping[str, str] = {}
    """``verb × phase`` → passed, skipped or failed."""
    refusals: Mapping[str, str] = {}
    """Promise that something is refused before any call → passed or failed."""

    @property
    def matrix(self) -> list[str]:
        """Every fault that must be tried: at each phase of each verb that it declares."""
        able: Callable[[str], bool] = lambda name: any(at.get(name) for at in self.declares)  # noqa: E731
        holds = able("separate_capture")
        verbs = {Verb.AUTHORISE: True, Verb.CAPTURE: holds, Verb.CANCEL: holds, Verb.REFUND: able("refunds")}
        return [fault_named(verb, phase) for verb in Verb if verbs[verb] for phase in Phase]


def fault_named(verb: Verb, phase: Phase) -> str:
    return f"{verb.value.lower()} × {phase.value}"


class Evidence(Struct, frozen=True, kw_only=True):
    """Everything that the rules look at."""

    hooks: tuple[str, ...]
    exercised: frozenset[str]
    never_picked: tuple[str, ...]
    """What it offers that no suite was about, as ``hook: name``."""
    suites: Mapping[str, Mapping[str, int]]
    not_asked: tuple[str, ...]
    """Promises of its suites that were not asked as they are written."""
    failures: tuple[str, ...]
    """Node ids of tests that failed or broke off, and what is wrong with the run itself."""
    left_out: tuple[str, ...]
    """What the author can do so that fewer promises are skipped; each once."""
    own_tests: int
    cassettes: int
    gateways: Mapping[str, Gateway]
    behind_the_face: tuple[str, ...]
    ways_round: tuple[str, ...]
    milliseconds: Mapping[str, float]
    import_milliseconds: float
    declared_version: int | None
    typed: bool
    is_package: bool
    readme: str
    settings: tuple[str, ...]
    documented_settings: tuple[str, ...]
    licence: str
    requires: tuple[str, ...]


Verdict = tuple[bool, str]


class Rule(Struct, frozen=True):
    """One rule of a tier. ``check`` answers whether it is kept and what was found: if it is not, what to do."""

    name: str
    tier: Tier
    says: str
    check: Callable[[Evidence], Verdict]


def _some(found: Iterable[str], most: int = 3) -> str:
    """The first of them, and how many more there are."""
    every = list(found)
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")


def _none_of(found: tuple[str, ...], wrong: str, right: str) -> Verdict:
    return not found, f"{wrong}: {_some(found)}" if found else right


def _suites(e: Evidence) -> Verdict:
    wanted = {COVERED_BY.get(hook, "PluginContract") for hook in e.hooks} or {"PluginContract"}
    missing = sorted(wanted - e.suites.keys())
    return not missing, f"inherit in its tests: {', '.join(missing)}" if missing else ", ".join(sorted(e.suites))


def _whole(e: Evidence) -> Verdict:
    return _none_of(e.not_asked, "overridden, deselected or marked, let the suite's own run", "all as they are written")


def _promises(e: Evidence) -> Verdict:
    return _none_of(e.failures, f"{len(e.failures)} failed", "every promise is kept")


def _front_door(e: Evidence) -> Verdict:
    return _none_of(e.behind_the_face, "import it from `tillhook` itself", "only from `tillhook`")


def _outside(e: Evidence) -> Verdict:
    return _none_of(e.ways_round, "do without, or use `outside`", "only through `outside`")


def _exercised(e: Evidence) -> Verdict:
    never = [hook for hook in e.hooks if not _was_used(hook, e.exercised)]
    missing = (*never, *e.never_picked)
    return _none_of(missing, "never called by a suite", f"all {len(e.hooks)} were called")


def _was_used(hook: str, exercised: frozenset[str]) -> bool:
    """An offer with a suite of its own is used when its things are: being asked for them proves nothing of them."""
    if kind_of(HOOKS[hook]).kind is Kind.OFFER and hook in COVERED_BY:
        return any(name.startswith(f"{hook}.") for name in exercised)
    return hook in exercised


def _refusals(e: Evidence) -> Verdict:
    if "payment_gateways" not in e.hooks:
        return True, "it has no gateway"
    untried = [name for name, at in e.gateways.items() if "passed" not in at.refusals.values()]
    if untried or not e.gateways:
        return False, f"nothing was refused by: {_some(untried or ['any gateway'])}; inherit PaymentGatewayContract"
    broken = [
        f"{name}: {promise}"
        for name, at in e.gateways.items()
        for promise, became in at.refusals.items()
        if became == "failed"
    ]
    kept = sum(became == "passed" for at in e.gateways.values() for became in at.refusals.values())
    return _none_of(tuple(broken), "not refused", f"{kept} kinds of request are refused before any call")


def budget_of(name: str) -> float | None:
    """Milliseconds for a hook or a verb (``tax_calculators.evaluate``); None: as long as it takes."""
    hook, _, verb = name.partition(".")
    return VERB_BUDGETS.get(hook) if verb else BUDGETS[kind_of(HOOKS[hook]).kind]


def _quick(e: Evidence) -> Verdict:
    budgets = {name: budget_of(name) for name in e.milliseconds if name.partition(".")[0] in HOOKS}
    slow = [
        f"{name} takes {e.milliseconds[name]:.0f} ms, may take {budget:.0f}"
        for name, budget in budgets.items()
        if budget is not None and e.milliseconds[name] > budget
    ]
    slowest = max(budgets, key=lambda name: e.milliseconds[name], default="")
    right = f"the slowest is {slowest}: {e.milliseconds[slowest]:.2g} ms" if slowest else "nothing was called"
    return _none_of(tuple(slow), "too slow", right)


def _imports_quickly(e: Evidence) -> Verdict:
    return e.import_milliseconds <= SLOWEST_IMPORT, f"{e.import_milliseconds:.0f} ms"


def _version(e: Evidence) -> Verdict:
    if e.declared_version is None:
        return False, f"write `hookspec_version = {HOOKSPEC_VERSION}` in its class"
    if e.declared_version != HOOKSPEC_VERSION:
        return False, f"made for version {e.declared_version}: bring it to version {HOOKSPEC_VERSION}"
    return True, f"version {e.declared_version}"


def _settings_in_readme(e: Evidence) -> Verdict:
    missing = [at for at in e.settings if not re.search(rf"`[\w.]*\b{at}\b|\b{at}\b *=", e.readme)]
    return _none_of(tuple(missing), "tell in its README.md what they do", "each is there")


def _settings_documented(e: Evidence) -> Verdict:
    missing = tuple(name for name in e.settings if name not in e.documented_settings)
    return _none_of(missing, "write a docstring below", f"{len(e.settings)} settings")


def _faults(e: Evidence) -> Verdict:
    if "payment_gateways" not in e.hooks:
        return True, "it has no gateway"
    if not e.gateways:
        return False, "no gateway was tried; inherit PaymentGatewayContract and name a `simulator`"
    untried = [
        f"{name}: {fault} ({at.faults.get(fault, 'not tried')})"
        for name, at in e.gateways.items()
        for fault in at.matrix
        if at.faults.get(fault) != "passed"
    ]
    tried = sum(len(at.matrix) for at in e.gateways.values())
    wrong = f"{len(untried)} of {tried} not survived or not tried, which takes a `simulator` in its suite"
    return _none_of(tuple(untried), wrong, f"all {tried} are survived")


def _nothing_left_out(e: Evidence) -> Verdict:
    return not e.left_out, "; ".join(e.left_out) or "no promise was skipped that it could keep"


def _own_cases(e: Evidence) -> Verdict:
    found = f"{e.own_tests} tests, {e.cassettes} cassettes"
    kept = e.own_tests + e.cassettes >= OWN_CASES
    return kept, found if kept else f"{found}: write {OWN_CASES} for what is special about it"


def _published(e: Evidence) -> Verdict:
    depends = any(re.match(r"tillhook\b(?![-_.])(?!.*;.*\bextra\b)", at) for at in e.requires)
    missing = (
        *([] if e.licence else ["`license` in pyproject.toml"]),
        *([] if e.typed else ["py.typed beside its modules" if e.is_package else "py.typed, so make it a package"]),
        *([] if depends else ["`tillhook` among its dependencies"]),
    )
    return _none_of(missing, "add", f"{e.licence}, typed")


RULES: Final[tuple[Rule, ...]] = (
    Rule("suites", Tier.BRONZE, "For everything that it implements there is a contract suite in its tests.", _suites),
    Rule(
        "whole suites",
        Tier.BRONZE,
        "Each promise of its suites is asked as it is written: none is overridden, deselected or marked.",
        _whole,
    ),
    Rule("promises", Tier.BRONZE, "No promise is broken, no test fails, and no secret is seen.", _promises),
    Rule("front door", Tier.BRONZE, "It imports only the face of tillhook.", _front_door),
    Rule(
        "outside",
        Tier.BRONZE,
        "It opens no connection of its own, runs no foreign code and ends no process, as far as its source shows.",
        _outside,
    ),
    Rule(
        "exercised",
        Tier.SILVER,
        "Every hook that it implements was called by its suites, and everything that it offers was used.",
        _exercised,
    ),
    Rule("refusals", Tier.SILVER, "What its gateway does not declare it refuses before any call.", _refusals),
    Rule("time", Tier.SILVER, "95 of 100 calls of each hook and verb stay within its budget (see below).", _quick),
    Rule(
        "import", Tier.SILVER, f"Importing it takes at most {SLOWEST_IMPORT:.0f} ms beyond tillhook.", _imports_quickly
    ),
    Rule("version", Tier.SILVER, "Its class says for which version of the hooks it was made: for this one.", _version),
    Rule("readme", Tier.SILVER, "Its README names every setting.", _settings_in_readme),
    Rule(
        "faults",
        Tier.GOLD,
        "Its gateway survives the whole matrix of faults: each verb that it declares, cut at each phase of a call.",
        _faults,
    ),
    Rule("nothing left out", Tier.GOLD, "No promise is skipped, or tried less, that it could keep.", _nothing_left_out),
    Rule("own cases", Tier.GOLD, f"It has {OWN_CASES} tests or cassettes of its own at least.", _own_cases),
    Rule("settings", Tier.GOLD, "Every setting has a docstring.", _settings_documented),
    Rule("package", Tier.GOLD, "It names its licence, bears types (`py.typed`) and depends on tillhook.", _published),
)


def judged(evidence: Evidence) -> tuple[Tier, tuple[Checked, ...]]:
    """Every rule's verdict, and the highest tier whose rules, and those of the tiers below, are all kept."""
    checked = tuple(Checked(rule.name, rule.tier, *rule.check(evidence)) for rule in RULES)
    held = Tier.NONE
    for tier in (Tier.BRONZE, Tier.SILVER, Tier.GOLD):
        if not all(at.kept for at in checked if at.tier is tier):
            break
        held = tier
    return held, checked
