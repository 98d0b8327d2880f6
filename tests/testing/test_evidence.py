"""What is made of a run: whatever an author overrides, marks or does not name is not taken for proven."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tillhook import Config, Plugin
from tillhook.core.domain.payment import Verb
from tillhook.core.plugins.home import Home
from tillhook.core.testing.evidence import evidence, promises_of
from tillhook.core.testing.running import Run, run_tests
from tillhook.core.testing.tiers import Evidence, fault_named
from tillhook.core.testing.world_phases import Phase
from tillhook.hookspecs import HOOKS

PLUGIN = '''
from tillhook import Config, Plugin, hookimpl


class Settings(Config, frozen=True, kw_only=True):
    tall: int = 1
    """How tall."""
    wide: int = 1


class {name}(Plugin):
    """Says nothing stands in the way."""

    hookspec_version = 2
    Settings = Settings

    @hookimpl
    def problems_for(self, basket, store):
        return ()
'''
TESTS = """
import pytest
from {module} import {name}
from tillhook.core.testing.contracts import PluginContract


class TestOverriding(PluginContract):
    plugin = {name}
    examples = 2

    def test_no_setting_shows_a_secret(self):
        pass


{mark}
class TestMarked(PluginContract):
    plugin = {name}


class LooksLikeContract:
    plugin = {name}

    def test_of_a_class_that_only_looks_like_a_suite(self):
        pass


class TestLooks(LooksLikeContract):
    pass


def test_of_its_own():
    pass
"""


class Written:
    """A plugin in a folder of its own, and what came of its tests."""

    def __init__(self, folder: Path, module: str, run: Run) -> None:
        self.folder = folder
        self.home = Home.of(module)
        self.plugin: type[Plugin] = __import__(module).Acme
        self.run = run

    def seen(self, *tests: dict[str, Any], home: Home | None = None, others: tuple[str, ...] = ()) -> Evidence:
        run = Run(tuple(tests), "", "") if tests else self.run
        return evidence(self.plugin, home or self.home, "tillhook", self.folder, run, others, 1.0)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    """Its tests are run once."""
    folder, module = tmp_path_factory.mktemp("written"), "evident_acme"
    (folder / module).mkdir()
    (folder / module / "__init__.py").write_text(PLUGIN.format(name="Acme"))
    (folder / "tests").mkdir()
    mark = '@pytest.mark.skip(reason="it does not suit me")'
    (folder / "tests" / "test_it.py").write_text(TESTS.format(module=module, name="Acme", mark=mark))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", str(folder))
        yield Written(folder, module, run_tests(folder / "tests", folder))
    del sys.modules[module]


def a_test(written: Written, **changes: Any) -> dict[str, Any]:
    """One test of the report that passed."""
    return {
        "nodeid": "tests/test_it.py::TestAcme::test_x",
        "name": "test_x",
        "class": "TestAcme",
        "contracts": ["PaymentGatewayContract", "PluginContract"],
        "plugin": "evident_acme:Acme",
        "file": str(written.home.origin),
        "as_written": True,
        "examples": [30, 30],
        "outcome": "passed",
        "reason": "",
        "called": {},
        "offered": {},
        "picked": {},
        **changes,
    }


# --- a whole run


def test_a_promise_that_is_overridden_or_marked_was_not_asked(written: Written) -> None:
    assert written.run.fault == ""
    assert written.seen().not_asked == ("test_no_setting_shows_a_secret",)


def test_all_of_a_marked_class_was_left_out_and_so_were_examples(written: Written) -> None:
    assert set(written.seen().left_out) == {"leave `examples` of TestOverriding at 30"}
    only = [at for at in written.run.tests if at["class"] == "TestMarked"]
    assert set(written.seen(*only).not_asked) == promises_of("PluginContract")


def test_a_class_that_only_looks_like_a_suite_is_none(written: Written) -> None:
    seen = written.seen()
    assert seen.suites.keys() == {"PluginContract"}
    assert seen.own_tests == 2


def test_what_the_suites_called_and_how_long_it_took_is_taken_down(written: Written) -> None:
    seen = written.seen()
    assert seen.exercised == {"problems_for"}
    assert seen.milliseconds.keys() == {"problems_for"}
    assert (seen.hooks, seen.failures, seen.gateways) == (("problems_for",), (), {})


def test_the_package_is_looked_at(written: Written) -> None:
    seen = written.seen()
    assert (seen.settings, seen.documented_settings) == (("tall", "wide"), ("tall",))
    assert (seen.declared_version, seen.is_package, seen.typed) == (2, True, False)
    assert seen.licence == "Apache-2.0"
    (written.folder / "README.md").write_text("# Acme")
    assert written.seen().readme == "# Acme"


# --- single tests


def test_another_copy_of_the_plugin_is_not_this_one(written: Written, tmp_path: Path) -> None:
    copy = tmp_path / "copy.py"
    copy.touch()
    (failure,) = written.seen(a_test(written, file=str(copy))).failures
    assert failure == f"the tests are of another copy of it ({copy}), installed is {written.home.origin}"


def test_suites_of_other_plugins_of_the_distribution_count_for_those(written: Written) -> None:
    other = a_test(written, plugin="evident_acme:Beta", outcome="failed")
    assert written.seen(other, others=("evident_acme:Beta",)).failures == ()
    assert written.seen(other).failures == (other["nodeid"],)
    assert written.seen(other, others=("evident_acme:Beta",)).suites == {}


def test_a_promise_counts_for_the_suite_that_makes_it(written: Written) -> None:
    contracts = ["RetailerContract", "PosLogContract", "ReceiptContract", "PluginContract"]
    names = (
        "test_no_setting_shows_a_secret",
        "test_receipts_fit_the_paper",
        "test_the_same_sale_gives_the_same_document",
    )
    seen = written.seen(*(a_test(written, name=name, contracts=contracts) for name in names))
    passed = {name: counts["passed"] for name, counts in seen.suites.items()}
    assert passed == {"PluginContract": 1, "ReceiptContract": 1, "PosLogContract": 1, "RetailerContract": 0}


def test_things_that_are_offered_and_never_picked_are_named(written: Written) -> None:
    one = a_test(written, offered={"payment_gateways": ["a", "b"]}, picked={"payment_gateways": {"a": {}}})
    assert written.seen(one).never_picked == ("payment_gateways: b",)
    other = a_test(written, offered={"payment_gateways": ["a", "b"]}, picked={"payment_gateways": {"b": {}}})
    assert written.seen(one, other).never_picked == ()


def cut(written: Written, outcome: str, reason: str = "", gateway: str = "a", **declares: Any) -> dict[str, Any]:
    """One test of the matrix."""
    return a_test(
        written,
        nodeid="tests/test_it.py::TestAcme::test_that_is_cut[refund-slow]",
        outcome=outcome,
        reason=reason,
        picked={"payment_gateways": {gateway: declares}},
    )


REFUND_SLOW = fault_named(Verb.REFUND, Phase.SLOW)


@pytest.mark.parametrize(
    ("outcomes", "became"),
    [
        ([("passed", "")], "passed"),
        ([("passed", ""), ("failed", ""), ("passed", "")], "failed"),
        ([("passed", ""), ("skipped", "no simulator is named, so no line can be cut")], "skipped"),
        ([("passed", ""), ("skipped", "the provider knows no idempotency keys: …")], "passed"),
    ],
)
def test_a_fault_is_survived_if_every_promise_of_it_is_kept(
    written: Written, outcomes: list[tuple[str, str]], became: str
) -> None:
    seen = written.seen(*(cut(written, *at) for at in outcomes))
    assert seen.gateways["a"].faults == {REFUND_SLOW: became}


def test_what_a_gateway_does_not_declare_is_no_fault_of_its(written: Written) -> None:
    assert written.seen(cut(written, "skipped", "refund is not declared")).gateways["a"].faults == {}


def test_each_gateway_has_faults_and_declarations_of_its_own(written: Written) -> None:
    seen = written.seen(
        cut(written, "passed", refunds=True),
        cut(written, "passed", refunds=True),
        cut(written, "passed", refunds=False),
        cut(written, "failed", gateway="b", refunds=True),
    )
    assert seen.gateways["a"].declares == ({"refunds": True}, {"refunds": False})
    assert [seen.gateways[name].faults[REFUND_SLOW] for name in ("a", "b")] == ["passed", "failed"]


def test_a_parameter_that_is_no_fault_is_none(written: Written) -> None:
    other = {**cut(written, "passed"), "nodeid": "t.py::test_a_card_that_is_too[refund-slow-payer]"}
    assert written.seen(other).gateways["a"].faults == {}


def test_refusals_are_those_before_any_call(written: Written) -> None:
    refusal = {**cut(written, "passed"), "name": "test_a_currency_is_refused_before_any_call"}
    broken = {**refusal, "name": "test_a_partial_refund_is_refused_unless_declared", "outcome": "failed"}
    needless = {
        **refusal,
        "name": "test_a_refund_is_refused_before_any_call",
        "outcome": "skipped",
        "reason": "refunds are declared",
    }
    assert written.seen(refusal, broken, needless, cut(written, "passed")).gateways["a"].refusals == {
        refusal["name"]: "passed",
        broken["name"]: "failed",
    }


def test_the_slowest_twentieth_of_the_calls_does_not_count(written: Written) -> None:
    took = {"problems_for": [1.0] * 95 + [900.0] * 5, "poslog_for": [1.0, 2.0, 900.0], "fulfil_order": [1.0, 900.0]}
    seen = written.seen(a_test(written, called=took))
    assert seen.milliseconds == {"fulfil_order": 900.0, "poslog_for": 2.0, "problems_for": 1.0}


def test_a_version_that_is_only_inherited_from_tillhook_is_not_declared(written: Written) -> None:
    class Silent(Plugin):
        Settings = Config

    seen = evidence(Silent, written.home, "tillhook", written.folder, Run((), "", ""), (), 1.0)
    assert (seen.declared_version, seen.settings) == (None, ())
    assert HOOKS.keys() >= set(seen.hooks)
