"""How many calls of a plugin may hang at once, and how often before it is left alone; and the threads behind it."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from tests.plugins.stage import ENOUGH, SHORT, Stage, eventually, spin
from tillhook.core.plugins import crew as crews
from tillhook.core.plugins import guard as guards
from tillhook.core.plugins.crew import Crew
from tillhook.core.plugins.guard import HookBusy, HookCut, HookRefused, Turn


def test_a_plugin_that_hangs_for_one_store_type_does_not_stand_in_anothers_way(stage: Stage) -> None:
    for _ in range(2):
        with pytest.raises(HookCut):
            stage.call(stage.hang, store_type="demo")
    with pytest.raises(HookBusy):
        stage.call(lambda: 1, ENOUGH, store_type="demo")
    assert stage.call(lambda: 1, ENOUGH, store_type="kiosk") == 1
    assert stage.call(lambda: 1, ENOUGH, plugin="other", store_type="demo") == 1


def test_with_one_bulkhead_for_all_a_plugin_that_hangs_stands_in_everybodys_way(stage: Stage) -> None:
    one = stage.guard.bulkhead("everybody", "everywhere")
    turn = stage.turn(stage.hang)
    shared = Turn(turn.plugin, turn.version, turn.hook, "demo", turn.modules, one, turn.function)
    for _ in range(2):
        stage.guard.play([shared], SHORT, lambda _: False, (), {})
    other = Turn("other", "1.0", "scan_for", "kiosk", turn.modules, one, lambda: 1)
    [outcome] = stage.guard.play([other], ENOUGH, lambda _: False, (), {})
    assert isinstance(outcome.error, HookBusy)


def test_a_call_waits_a_moment_for_one_that_ends(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "BUSY_SECONDS", ENOUGH)
    for _ in range(2):
        with pytest.raises(HookCut):
            stage.call(stage.hang)
    threading.Timer(SHORT, stage.release.set).start()
    assert stage.call(lambda: 1, ENOUGH) == 1


def cut(stage: Stage, times: int) -> None:
    for _ in range(times):
        with pytest.raises(HookCut):
            stage.call(spin)
        assert stage.nobody_is_left()


def test_after_so_many_cuts_in_a_row_a_plugin_is_not_called_for_a_while_then_tried_once(stage: Stage) -> None:
    cut(stage, 3)
    called: list[int] = []
    with pytest.raises(HookRefused, match="its last calls did not end in time; refused for 30 s more") as refused:
        stage.call(lambda: called.append(1), ENOUGH)
    assert refused.value.seconds == 30
    stage.now = 29
    with pytest.raises(HookRefused, match="refused for 1 s more"):
        stage.call(lambda: called.append(1), ENOUGH)
    assert called == []
    stage.now = 31
    cut(stage, 1)
    with pytest.raises(HookRefused, match="refused for 30 s more"):
        stage.call(lambda: called.append(1), ENOUGH)
    stage.now = 62
    stage.call(lambda: called.append(2), ENOUGH)
    stage.call(lambda: called.append(3), ENOUGH)
    assert called == [2, 3]


def test_cuts_count_in_a_row_only_and_failures_do_not_count(stage: Stage) -> None:
    def fail() -> None:
        raise RuntimeError("quickly")

    cut(stage, 2)
    for _ in range(10):
        with pytest.raises(RuntimeError):
            stage.call(fail, ENOUGH)
    cut(stage, 2)
    assert stage.call(lambda: 1, ENOUGH) == 1


def test_in_a_round_one_that_is_refused_does_not_stop_the_others(stage: Stage) -> None:
    for _ in range(3):
        stage.play(spin)
        assert stage.nobody_is_left()
    outcomes = stage.play(spin, lambda: "b", seconds=ENOUGH)
    assert [one.called for one in outcomes] == [False, True]
    assert isinstance(outcomes[0].error, HookRefused)
    assert outcomes[1].answer == "b"


FORKING = """
import os
from tillhook.core.plugins.guard import Guard, Turn, Unlimited

guard = Guard(Unlimited())
turn = Turn("acme", "1.0", "scan_for", "demo", ("acme",), guard.bulkhead("acme", "demo"), os.getpid)
play = lambda: guard.play([turn], 10.0, lambda _: False, (), {})[0].answer
assert play() == os.getpid()
child = os.fork()
if child == 0:
    os._exit(0 if play() == os.getpid() else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_process_that_is_forked_off_begins_with_threads_of_its_own() -> None:
    """It has the list of idle threads, and none of the threads."""
    assert subprocess.run([sys.executable, "-c", FORKING], timeout=60, check=False).returncode == 0


def test_of_many_idle_threads_some_are_let_go() -> None:
    crew = Crew()
    workers = [crew.hire() for _ in range(crews.KEPT + 3)]
    for worker in workers:
        crew.rest(worker)
    assert eventually(lambda: sum(not worker.thread.is_alive() for worker in workers) == 3)
