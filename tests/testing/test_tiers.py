"""The rules of the tiers: what breaks each of them and what that costs, and what an author is told to do."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.docs.pages import ROOT
from tillhook.core.cli.reference import PAGES
from tillhook.core.domain.payment import Verb
from tillhook.core.plugins.certificate import Tier
from tillhook.core.roles.grammar import HOOKSPEC_VERSION, Kind, kind_of
from tillhook.core.testing import contracts
from tillhook.core.testing.evidence import promises_of
from tillhook.core.testing.reasons import NO_LINES, what_to_do
from tillhook.core.testing.tiers import COVERED_BY, RULES, Evidence, Gateway, budget_of, fault_named, judged
from tillhook.core.testing.world_phases import Phase
from tillhook.hookspecs import HOOKS

ABLE = {"separate_capture": True, "refunds": True}
SURVIVED = {fault_named(verb, phase): "passed" for verb in Verb for phase in Phase}
REFUSED = {"test_a_currency_is_refused_before_any_call": "passed"}
GOLD = Evidence(
    hooks=("payment_gateways", "poslog_for"),
    exercised=frozenset({"payment_gateways", "payment_gateways.authorise", "poslog_for"}),
    never_picked=(),
    suites={name: {"passed": 9, "skipped": 1, "failed": 0} for name in ("PaymentGatewayContract", "PosLogContract")},
    not_asked=(),
    failures=(),
    left_out=(),
    own_tests=2,
    cassettes=1,
    gateways={"acme": Gateway(declares=(ABLE,), faults=SURVIVED, refusals=REFUSED)},
    behind_the_face=(),
    ways_round=(),
    milliseconds={"payment_gateways.authorise": 250.0, "poslog_for": 50.0},
    import_milliseconds=300.0,
    declared_version=HOOKSPEC_VERSION,
    typed=True,
    is_package=True,
    readme="| `sales_url` | where |\n\n```toml\nacme.api_key = 'env:KEY'\n```\n",
    settings=("sales_url", "api_key"),
    documented_settings=("sales_url", "api_key"),
    licence="Apache-2.0",
    requires=("tillhook>=0.1", "httpx"),
)


def gateway(**changes: Any) -> dict[str, Any]:
    return {"gateways": {"acme": replace(GOLD.gateways["acme"], **changes)}}


BREAKING: list[tuple[str, dict[str, Any], str]] = [
    ("suites", {"suites": {"PosLogContract": {}}}, "inherit in its tests: PaymentGatewayContract"),
    ("suites", {"suites": {}}, "PaymentGatewayContract, PosLogContract"),
    ("whole suites", {"not_asked": ("test_no_setting_shows_a_secret",)}, "test_no_setting_shows_a_secret"),
    ("promises", {"failures": ("test_a.py::test_b",)}, "1 failed: test_a.py::test_b"),
    ("front door", {"behind_the_face": ("till.py:3: tillhook.core",)}, "import it from `tillhook` itself: till.py:3"),
    ("outside", {"ways_round": ("till.py:3: socket",)}, "till.py:3: socket"),
    ("exercised", {"exercised": frozenset({"payment_gateways.authorise"})}, "never called by a suite: poslog_for"),
    ("exercised", {"exercised": frozenset({"payment_gateways", "poslog_for"})}, "payment_gateways"),
    ("exercised", {"never_picked": ("payment_gateways: beta",)}, "payment_gateways: beta"),
    ("refusals", gateway(refusals={"test_x_before_any_call": "failed", **REFUSED}), "acme: test_x_before_any_call"),
    ("refusals", gateway(refusals={}), "nothing was refused by: acme"),
    ("time", {"milliseconds": {"poslog_for": 50.1}}, "poslog_for takes 50 ms, may take 50"),
    ("time", {"milliseconds": {"payment_gateways.refund": 251.0}}, "payment_gateways.refund takes 251 ms"),
    ("time", {"milliseconds": {"fulfil_order": 251.0, "payment_gateways": 1001.0}}, "payment_gateways takes 1001 ms"),
    ("import", {"import_milliseconds": 300.1}, "300 ms"),
    ("version", {"declared_version": None}, f"write `hookspec_version = {HOOKSPEC_VERSION}` in its class"),
    ("version", {"declared_version": 1}, "made for version 1"),
    (
        "readme",
        {"readme": "Set the `sales_url`. The api_key is secret."},
        "tell in its README.md what they do: api_key",
    ),
    ("faults", gateway(faults={**SURVIVED, "refund × slow": "failed"}), "acme: refund × slow (failed)"),
    ("faults", gateway(faults={**SURVIVED, "refund × slow": "skipped"}), "1 of 60 not survived or not tried"),
    ("faults", gateway(faults={}), "acme: authorise × refused (not tried)"),
    ("nothing left out", {"left_out": ("give `rows`", "name a `simulator`")}, "give `rows`; name a `simulator`"),
    ("own cases", {"own_tests": 1}, "1 tests, 1 cassettes: write 3"),
    ("settings", {"documented_settings": ("sales_url",)}, "write a docstring below: api_key"),
    ("package", {"licence": ""}, "add: `license` in pyproject.toml"),
    ("package", {"typed": False}, "py.typed"),
    ("package", {"typed": False, "is_package": False}, "so make it a package"),
    ("package", {"requires": ()}, "`tillhook` among its dependencies"),
    ("package", {"requires": ("tillhook-tax>=1", "tillhook_tax", "httpx")}, "`tillhook`"),
    ("package", {"requires": ("tillhook[testing] ; extra == 'test'",)}, "`tillhook`"),
]
BELOW = {Tier.BRONZE: Tier.NONE, Tier.SILVER: Tier.BRONZE, Tier.GOLD: Tier.SILVER}


def test_a_plugin_that_keeps_every_rule_is_gold() -> None:
    tier, checked = judged(GOLD)
    assert [one for one in checked if not one.kept] == []
    assert tier is Tier.GOLD


@pytest.mark.parametrize(("rule", "changes", "told"), BREAKING, ids=[f"{rule}-{told}" for rule, _, told in BREAKING])
def test_what_breaks_one_rule_costs_its_tier_and_says_what_to_do(rule: str, changes: dict[str, Any], told: str) -> None:
    tier, checked = judged(replace(GOLD, **changes))
    (broken,) = [one for one in checked if not one.kept]
    assert broken.rule == rule
    assert told in broken.found
    assert tier is BELOW[broken.tier]


def test_every_rule_is_broken_once_here() -> None:
    assert {rule for rule, *_ in BREAKING} == {rule.name for rule in RULES}


def test_a_broken_rule_of_bronze_leaves_nothing_whatever_else_is_kept() -> None:
    tier, _ = judged(replace(GOLD, failures=("x",), declared_version=None))
    assert tier is Tier.NONE


def test_a_gateway_that_was_never_tried_is_neither_silver_nor_gold() -> None:
    tier, checked = judged(replace(GOLD, gateways={}))
    assert {one.rule for one in checked if not one.kept} == {"refusals", "faults"}
    assert tier is Tier.BRONZE


def test_a_plugin_without_a_gateway_has_nothing_to_survive() -> None:
    hooks = ("poslog_for",)
    assert judged(replace(GOLD, hooks=hooks, gateways={}, suites={"PosLogContract": {}}))[0] is Tier.GOLD


def test_a_plugin_that_implements_nothing_still_needs_a_suite() -> None:
    tier, checked = judged(replace(GOLD, hooks=(), gateways={}, suites={}))
    assert tier is Tier.NONE
    assert "PluginContract" in next(one.found for one in checked if one.rule == "suites")


# --- the matrix


@pytest.mark.parametrize(
    ("declares", "verbs"),
    [
        (({},), {Verb.AUTHORISE}),
        (({"refunds": True},), {Verb.AUTHORISE, Verb.REFUND}),
        (({"separate_capture": True},), {Verb.AUTHORISE, Verb.CAPTURE, Verb.CANCEL}),
        (({}, {"refunds": True}, {"separate_capture": True}), set(Verb)),
    ],
)
def test_the_matrix_is_every_phase_of_each_verb_that_is_declared(
    declares: tuple[dict[str, bool], ...], verbs: set[Verb]
) -> None:
    wanted = {fault_named(verb, phase) for verb in verbs for phase in Phase}
    assert set(Gateway(declares=declares).matrix) == wanted


def test_what_is_not_declared_need_not_survive() -> None:
    at_once = {name: became for name, became in SURVIVED.items() if name.startswith("authorise")}
    assert judged(replace(GOLD, **gateway(declares=({"refunds": False},), faults=at_once)))[0] is Tier.GOLD


def test_each_gateway_must_survive() -> None:
    both = {**GOLD.gateways, "beta": Gateway(declares=(ABLE,), refusals=REFUSED)}
    tier, checked = judged(replace(GOLD, gateways=both))
    assert tier is Tier.SILVER
    assert "60 of 120" in next(one.found for one in checked if one.rule == "faults")


# --- budgets


def test_every_hook_has_a_budget() -> None:
    assert all(budget_of(name) for name in HOOKS)


def test_what_a_shopper_waits_for_has_the_smallest_budget() -> None:
    assert budget_of("poslog_for") == budget_of("tax_calculators.evaluate") == 50
    assert budget_of("fulfil_order") == budget_of("payment_gateways.refund") == 250


def test_what_reads_files_takes_its_time() -> None:
    assert budget_of("settlement_parsers.parse") is None
    assert judged(replace(GOLD, milliseconds={"item_feeds.read": 60_000.0}))[0] is Tier.GOLD


# --- what the rules rest on


def test_every_hook_and_suite_that_the_rules_name_exists() -> None:
    assert COVERED_BY.keys() <= HOOKS.keys()
    assert set(COVERED_BY.values()) <= set(contracts.__all__)
    offered = {name for name, hook in HOOKS.items() if kind_of(hook).kind is Kind.OFFER and name in COVERED_BY}
    assert {getattr(contracts, COVERED_BY[name]).proves for name in offered} == {(name,) for name in offered}


def test_every_suite_makes_promises_and_those_of_every_plugin() -> None:
    for name in contracts.__all__:
        assert promises_of(name) >= promises_of("PluginContract") > set()


def test_the_gateway_suite_has_promises_of_refusal() -> None:
    refusing = [
        at for at in promises_of("PaymentGatewayContract") if at.endswith(("before_any_call", "unless_declared"))
    ]
    assert len(refusing) >= 6


SUITES = sorted((ROOT / "core" / "testing").rglob("*.py"))
SKIPPED = {
    "not given: totals": "give its suite totals",
    "no simulator is named, so no line can be cut": "name a `simulator` of the provider",
    "no simulator is named that sends webhooks": "name a `simulator` that sends",
    NO_LINES: "name a `simulator` of the provider",
    "not today": "do not skip what the suites promise (not today)",
}


def reasons() -> list[tuple[str, str]]:
    """(file:line, reason) of every skip in the suites; ``…`` stands for what is filled in."""
    found = []
    for file in SUITES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.skip":
                (reason,) = node.args
                where = f"{file.name}:{node.lineno}"
                match reason:
                    case ast.Constant(value=str(text)):
                        found.append((where, text))
                    case ast.JoinedStr(values=values):
                        parts = [at.value if isinstance(at, ast.Constant) else "…" for at in values]
                        found.append((where, "".join(map(str, parts))))
    return found


def test_every_reason_to_skip_is_known_and_either_nobodys_fault_or_says_what_to_do() -> None:
    known = reasons()
    assert len(known) > 20
    assert [at for at in known if what_to_do(at[1]).startswith("do not skip")] == []
    assert {what_to_do(reason) for _, reason in known} >= {"", "give its suite totals"}


@pytest.mark.parametrize("reason", SKIPPED)
def test_what_could_be_tested_says_how(reason: str) -> None:
    assert what_to_do(reason).startswith(SKIPPED[reason])


# --- the page


def test_the_page_shows_every_rule_under_its_tier_and_no_other() -> None:
    page = (ROOT / "docs" / "tiers.md").read_text(encoding="utf-8")
    assert page == PAGES["tiers"]()
    for tier in (Tier.BRONZE, Tier.SILVER, Tier.GOLD):
        part = page.split(f"## {tier.value.capitalize()}\n")[1].split("\n## ")[0]
        shown = re.findall(r"^\| (.+?) \| (.+?) \|$", part, re.MULTILINE)
        assert shown[0] == ("rule", "what it asks")
        assert shown[1:] == [(rule.name, rule.says) for rule in RULES if rule.tier is tier]


def test_the_page_shows_the_budgets() -> None:
    page = Path(ROOT / "docs" / "tiers.md").read_text(encoding="utf-8")
    assert "| question | 50 ms |" in page
    assert "| `payment_gateways` | 250 ms |" in page
