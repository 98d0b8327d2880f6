"""The guard: what is cut and who is named, by itself and in rounds of several plugins."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar

import pytest
from structlog.testing import capture_logs

from tests.plugins.stage import ENOUGH, SHORT, Stage, spin, spin_whatever_comes
from tillhook.core.plugins.crew import Crew
from tillhook.core.plugins.guard import HookBusy, HookCut, PluginExit
from tillhook.core.roles.outside import DEADLINE, HOOK, seconds_left


def test_an_answer_is_given_and_a_failure_is_the_plugins_own(stage: Stage) -> None:
    def fail() -> None:
        raise KeyError("odd")

    assert stage.call(lambda: 7, ENOUGH) == 7
    with pytest.raises(KeyError, match="odd"):
        stage.call(fail, ENOUGH)


def test_a_call_is_made_in_another_thread_with_the_callers_context(stage: Stage) -> None:
    order: ContextVar[str] = ContextVar("order")
    order.set("ord_1")

    def look() -> tuple[int, str, str, bool]:
        found = order.get()
        order.set("changed by the plugin")
        left = seconds_left()
        return threading.get_ident(), found, HOOK.get(), left is not None and 0 < left <= ENOUGH

    ident, found, hook, limited = stage.call(look, ENOUGH)
    assert ident != threading.get_ident()
    assert (found, hook, limited) == ("ord_1", "scan_for", True)
    assert (order.get(), HOOK.get(), DEADLINE.get()) == ("ord_1", "", None)


def test_without_a_limit_a_call_is_made_in_place(stage: Stage) -> None:
    assert stage.call(lambda: (threading.get_ident(), DEADLINE.get()), 0) == (threading.get_ident(), None)
    assert (HOOK.get(), stage.crew.stuck()) == ("", 0)


def test_a_limit_inside_of_another_is_never_the_longer_one(stage: Stage) -> None:
    token = DEADLINE.set(time.monotonic() + SHORT)
    try:
        assert stage.call(lambda: (seconds_left() or 0) <= SHORT, ENOUGH)
    finally:
        DEADLINE.reset(token)


@pytest.mark.parametrize("kind", ["hang", "spin", "spin_whatever_comes"])
def test_a_call_that_does_not_end_is_cut_named_and_located(stage: Stage, kind: str) -> None:
    function = {"hang": stage.hang, "spin": spin, "spin_whatever_comes": spin_whatever_comes}[kind]
    with capture_logs() as logs, pytest.raises(HookCut) as cut:
        stage.call(function)
    [line] = logs
    file, _, at = line["where"].partition(":")
    number, _, name = at.partition(" in ")
    assert (file, name) == ("tests/plugins/stage.py", function.__qualname__)
    assert 0 < int(number) - function.__code__.co_firstlineno <= 5
    assert str(cut.value) == f"plugin acme 2.7 did not answer within {SHORT} s in scan_for: it was at {line['where']}"
    assert (line["event"], line["plugin"], line["version"]) == ("plugin_cut", "acme", "2.7")
    assert (line["hook"], line["store_type"]) == ("scan_for", "demo")
    assert line["milliseconds"] >= SHORT * 1000
    assert stage.cuts == [("acme", "scan_for")]


def test_an_endless_loop_is_stopped_and_frees_the_processor(stage: Stage) -> None:
    for loop in (spin, spin_whatever_comes):
        with pytest.raises(HookCut):
            stage.call(loop)
    assert stage.nobody_is_left()


def test_without_throwing_an_endless_loop_goes_on_for_ever() -> None:
    over = threading.Event()

    def spin_until_over() -> None:
        while not over.is_set():
            pass

    stage = Stage(Crew(throw=lambda ident: None))
    with pytest.raises(HookCut):
        stage.call(spin_until_over)
    time.sleep(0.2)
    assert stage.crew.stuck() == 1
    over.set()
    assert stage.nobody_is_left()


def test_what_is_stuck_in_c_is_left_alone_and_keeps_its_place_until_it_returns(stage: Stage) -> None:
    for _ in range(2):
        with pytest.raises(HookCut):
            stage.call(stage.hang)
    with pytest.raises(HookBusy, match="was not asked scan_for: 2 calls are inside of it already"):
        stage.call(lambda: 1)
    stage.release.set()
    assert stage.nobody_is_left()
    assert stage.call(lambda: 1, ENOUGH) == 1


def test_a_thread_that_was_left_behind_is_never_used_again(stage: Stage) -> None:
    threads: list[threading.Thread] = []

    def remember_and_hang() -> None:
        threads.append(threading.current_thread())
        stage.hang()

    def remember() -> None:
        threads.append(threading.current_thread())

    stage.call(remember, ENOUGH)
    with pytest.raises(HookCut):
        stage.call(remember_and_hang)
    assert threads[0] is threads[1], "an idle thread is used again"
    stage.release.set()
    assert stage.nobody_is_left()
    stage.call(remember, ENOUGH)
    assert threads[2] is not threads[1]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SystemExit(3), r"it called sys.exit\(3\)"),
        (KeyboardInterrupt(), "it raised KeyboardInterrupt"),
        (GeneratorExit(), "it raised GeneratorExit"),
    ],
)
def test_a_plugin_that_leaves_only_leaves_its_call(stage: Stage, error: BaseException, text: str) -> None:
    def leave() -> None:
        raise error

    with pytest.raises(PluginExit, match=text):
        stage.call(leave, ENOUGH)
    assert stage.call(lambda: 1, ENOUGH) == 1


def test_an_interrupt_at_the_keyboard_ends_what_is_called_in_place(stage: Stage) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stage.call(interrupt, 0)


# --- rounds of several plugins


def test_each_plugin_of_a_round_has_the_whole_limit_and_all_share_a_thread(stage: Stage) -> None:
    def slow() -> int:
        time.sleep(SHORT * 0.6)
        return threading.get_ident()

    idents = [outcome.answer for outcome in stage.play(slow, slow, slow, seconds=SHORT * 4)]
    assert len(set(idents)) == 1
    assert idents[0] != threading.get_ident()
    assert stage.cuts == []


def test_after_a_cut_the_others_are_asked_once_each_and_the_culprit_is_the_one_that_was_being_called(
    stage: Stage,
) -> None:
    asked: list[str] = []

    def answer(name: str) -> Callable[[], str]:
        def reply() -> str:
            asked.append(name)
            return name

        return reply

    outcomes = stage.play(answer("a"), stage.hang, answer("b"), spin, answer("c"))
    assert [(one.answer, type(one.error).__name__) for one in outcomes] == [
        ("a", "NoneType"),
        (None, "HookCut"),
        ("b", "NoneType"),
        (None, "HookCut"),
        ("c", "NoneType"),
    ]
    assert asked == ["a", "b", "c"]
    assert stage.cuts == [("p1", "scan_for"), ("p3", "scan_for")]


def test_a_round_ends_with_the_outcome_that_stops_it_also_with_a_cut(stage: Stage) -> None:
    asked: list[int] = []
    stage.play(lambda: asked.append(1), lambda: asked.append(2), until=lambda outcome: True, seconds=ENOUGH)
    assert asked == [1]
    outcomes = stage.play(stage.hang, lambda: asked.append(3), until=lambda outcome: outcome.error is not None)
    assert (len(outcomes), asked) == (1, [1])
