"""One decides whether a call was answered or cut, and nothing is thrown at a thread that does other work by now."""

from __future__ import annotations

import contextlib
import threading
import time
from types import FunctionType, SimpleNamespace
from typing import Any

import pytest

from tests.plugins.stage import ENOUGH, SHORT, Stage, eventually, spin
from tillhook.core.plugins import crew as crews
from tillhook.core.plugins import guard as guards
from tillhook.core.plugins.crew import Crew, throw
from tillhook.core.plugins.guard import HookCut


@pytest.fixture(params=["with the lock", "without it"])
def locked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """The same race with the lock that decides it, and with that lock taken away: then it must go wrong."""
    if request.param == "without it":
        made = guards._Round.__init__

        def without_lock(round_: Any, *args: Any) -> None:
            made(round_, *args)
            round_.lock = contextlib.nullcontext()

        monkeypatch.setattr(guards._Round, "__init__", without_lock)
    return bool(request.param == "with the lock")


def test_an_answer_that_comes_while_it_is_being_cut_belongs_to_one_side_only(
    stage: Stage, locked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first plugin answers at the very moment at which its caller decides that it is too late."""
    called: list[str] = []
    answer, gone_on = threading.Event(), threading.Event()

    def first() -> None:
        called.append("first")
        answer.wait(ENOUGH)

    def second() -> None:
        called.append("second")
        gone_on.set()
        stage.release.wait(SHORT / 2)

    def slow_to_decide() -> float:
        if threading.current_thread() is threading.main_thread() and not answer.is_set():
            answer.set()
            gone_on.wait(0.3)
        return time.monotonic()

    ours = SimpleNamespace(monotonic=slow_to_decide, perf_counter=time.perf_counter)
    monkeypatch.setattr(guards, "time", ours)
    stage.play(first, second)
    named = [plugin for plugin, _ in stage.cuts]
    assert (called == ["first", "second"] and named == ["p0"]) is locked, "else an innocent is named"


def test_nothing_is_thrown_at_a_thread_that_has_ended(locked: bool) -> None:
    """Its number may be another thread's by then."""
    go_on: list[int] = []
    had_ended: list[bool] = []

    def spin_until_told() -> None:
        while not go_on:
            pass

    def throw_late(ident: int) -> None:
        go_on.append(ident)
        worker = stage.crew._left_behind[0].worker
        worker.thread.join(0.3)
        had_ended.append(worker.ended)

    stage = Stage(Crew(throw=throw_late))
    with pytest.raises(HookCut):
        stage.call(spin_until_told)
    assert eventually(lambda: bool(had_ended))
    assert stage.nobody_is_left()
    assert had_ended[0] is not locked


def test_many_answers_at_the_very_limit_are_each_given_or_cut_and_nothing_strays(stage: Stage) -> None:
    """Answers race their limit; whatever becomes of one, the next call and the caller are never hit."""
    limit = 0.003

    def close_to_the_limit(more: float) -> int:
        until = time.perf_counter() + limit + more
        while time.perf_counter() < until:
            pass
        return 1

    became: set[str] = set()
    for number in range(90):
        more = (number % 9 - 2) * 0.002
        turns = [stage.turn(lambda more=more: close_to_the_limit(more), f"p{number}")]  # type: ignore[misc]
        [outcome] = stage.guard.play(turns, limit, lambda _: False, (), {})
        became.add(type(outcome.error).__name__)
        assert outcome.cut or outcome.answer == 1
        assert stage.call(lambda: 2, ENOUGH, plugin=f"q{number}") == 2
    assert "HookCut" in became
    assert stage.nobody_is_left()


# --- what must not be hit


@pytest.mark.parametrize("careful", [True, False])
def test_nothing_is_thrown_into_the_cores_own_code_that_a_plugin_has_called(
    stage: Stage, careful: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may hold a lock or a connection that others need; what it does is bounded."""
    looks: list[bool] = []
    hit: list[str] = []
    real = crews._may_be_thrown_at

    def look(*at: Any) -> bool:
        looks.append(real(*at) if careful else True)
        return looks[-1]

    def lent() -> None:
        try:
            while len(looks) < 3:
                pass
        except BaseException as error:
            hit.append(type(error).__name__)
            raise

    monkeypatch.setattr(crews, "_may_be_thrown_at", look)
    core_code = FunctionType(lent.__code__, {"__name__": "tillhook.core.outside.lender"}, closure=lent.__closure__)

    def call_the_core_and_go_on() -> None:
        core_code()
        spin()

    with pytest.raises(HookCut):
        stage.call(call_the_core_and_go_on)
    assert stage.nobody_is_left()
    assert hit == ([] if careful else ["LetGo"])


def test_a_library_is_hit_only_after_some_patience(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    hit: list[int] = []

    def library() -> None:
        try:
            while True:
                pass
        finally:
            hit.append(len(looks))

    looks: list[bool] = []
    real = crews._may_be_thrown_at

    def look(ident: int, modules: Any, patient: bool) -> bool:
        looks.append(patient)
        return real(ident, modules, patient)

    monkeypatch.setattr(crews, "_may_be_thrown_at", look)
    foreign = FunctionType(library.__code__, {"__name__": "somebody.elses"}, closure=library.__closure__)
    with pytest.raises(HookCut) as cut:
        stage.call(lambda: [foreign()])
    assert "test_a_library_is_hit_only" in str(cut.value), "the plugin's own line is named, not the library's"
    assert stage.nobody_is_left()
    assert hit[0] > crews.PATIENT_THROWS
    assert all(looks[: crews.PATIENT_THROWS])


def test_throwing_at_a_thread_that_is_not_there_does_nothing() -> None:
    throw(2**40)
