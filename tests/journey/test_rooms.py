"""The work and the messages of plugins in a whole system: who runs what, how often, and what becomes of failures."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.journey.chores import Chores
from tests.journey.conftest import SYSTEM
from tests.journey.together import at_once
from tillhook import Secret
from tillhook.core.messaging.scheduling import Scheduler, lease, next_after
from tillhook.core.storage import schedules
from tillhook.core.storage.events import DeliveryState
from tillhook.core.testing.shop import OPENING, TillShop

# --- schedules


def test_a_schedule_runs_at_once_in_every_place_and_then_at_its_interval(chores: Chores) -> None:
    assert chores.shop.run_schedules() == 2
    assert sorted(chores.runs) == ["demo/DK", "demo/SE"]
    assert chores.shop.run_schedules() == 0
    chores.shop.clock.advance(59)
    assert chores.shop.run_schedules() == 0
    chores.shop.clock.advance(1)
    assert chores.shop.run_schedules() == 2


def test_what_was_missed_is_not_made_up_for_and_the_beat_is_kept(chores: Chores) -> None:
    chores.shop.run_schedules()
    chores.shop.clock.advance(60 * 10 + 7)
    assert chores.shop.run_schedules() == 2
    assert chores.row().next_at == OPENING + timedelta(seconds=60 * 11)


@pytest.mark.parametrize(("late", "next_in"), [(0, 60), (1, 60), (59.9, 60), (60, 120), (3601, 3660)])
def test_the_next_time_is_the_first_of_the_series_after_the_start(late: float, next_in: float) -> None:
    started = OPENING + timedelta(seconds=late)
    assert next_after(OPENING, timedelta(seconds=60), started) == OPENING + timedelta(seconds=next_in)


def test_a_failing_schedule_is_shown_and_tried_again_at_the_next_interval(chores: Chores) -> None:
    def fail(errand: Any) -> None:
        if errand.region == "DK":
            raise OSError("the cupboard is empty")

    chores.during(fail)
    assert chores.shop.run_schedules() == 2
    assert chores.row("demo/DK").last_error == "OSError: the cupboard is empty"
    assert chores.row("demo/SE").last_error == ""
    assert chores.shop.run_schedules() == 0
    chores.module.DURING.clear()
    chores.shop.clock.advance(60)
    assert chores.shop.run_schedules() == 2
    assert chores.row("demo/DK").last_error == ""


def test_a_secret_in_what_a_plugin_raises_is_not_written_down(chores: Chores) -> None:
    key = Secret("CHORES_KEY", "a-key-that-nobody-may-see")

    def fail(errand: Any) -> None:
        raise OSError(f"refused: {key.reveal()}")

    chores.during(fail)
    chores.publish({"number": 1})
    chores.shop.run_schedules()
    chores.shop.do_duties()
    assert chores.row().last_error == "OSError: refused: ***"
    assert {error for _, _, error in chores.deliveries()} == {"OSError: refused: ***"}


def test_sys_exit_in_a_schedule_is_its_failure_and_nobody_elses(chores: Chores) -> None:
    chores.during(lambda errand: sys.exit(3))
    assert chores.shop.run_schedules() == 2
    assert "it called sys.exit(3)" in chores.row().last_error


def test_a_schedule_that_hangs_is_cut_and_named(chores_installed: None, open_with: Callable[..., TillShop]) -> None:
    chores = Chores(open_with("chores", system=f"{SYSTEM}\nhooks.duty_seconds = 0.05"))
    over = threading.Event()
    chores.during(lambda errand: over.wait(30) if errand.region == "DK" else None)
    assert chores.shop.run_schedules() == 2
    over.set()
    assert "did not answer within 0.05 s in schedules.run" in chores.row("demo/DK").last_error
    assert chores.row("demo/SE").last_error == ""


def test_what_a_dead_worker_left_is_run_by_another_when_its_lease_has_ended(chores: Chores) -> None:
    shop = chores.shop
    shop.run_schedules()
    shop.clock.advance(60)
    now, until = shop.clock(), shop.clock() + lease(shop.platform)
    key = chores.row().key
    assert shop.platform.db.write(lambda tx: schedules.claim_schedule(tx, key, "dead", now, until))

    assert shop.run_schedules() == 1, "only the other place"
    shop.clock.now = until
    assert chores.runs.count("demo/DK") == 1
    shop.run_schedules()
    assert chores.runs.count("demo/DK") == 1, "the lease lasts to its last moment"
    shop.clock.advance(0.001)
    shop.run_schedules()
    assert chores.runs.count("demo/DK") == 2
    ended = shop.platform.db.write(
        lambda tx: schedules.finish_schedule(tx, key, "dead", now=now, next_at=now, error="late")
    )
    assert not ended, "the dead one has nothing to say any more"
    assert chores.row().last_error == ""


def test_a_run_that_every_worker_dies_of_is_taken_over_once_and_then_waits_for_its_time(
    chores: Chores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would end one process after another, as soon as each lease is over."""

    class Died(BaseException):
        """As if the process had been killed."""

    def die(_: str) -> None:
        raise Died

    one = chores.rooms()[:1]
    over = (lease(chores.shop.platform) + timedelta(seconds=1)).total_seconds()
    with monkeypatch.context() as patch:
        patch.setattr("tillhook.core.messaging.scheduling._interval", lambda room: timedelta(days=1))
        patch.setattr(chores.shop.platform, "checkpoint", die)
        patch.setattr(chores.shop.platform.rooms, "schedules", lambda: one)
        for _ in range(2):  # it is due; its lease is over
            with pytest.raises(Died):
                chores.shop.run_schedules()
            chores.shop.clock.advance(over)
        for _ in range(5):
            assert chores.shop.run_schedules() == 0
            chores.shop.clock.advance(over)

    chores.shop.clock.advance(86_400)
    assert chores.shop.run_schedules() == 2
    assert chores.row().lease_owner is None


def test_a_run_that_could_not_begin_is_tried_soon(chores: Chores, monkeypatch: pytest.MonkeyPatch) -> None:
    """As its plugin's calls hang: that may be over in a minute, and its next time may be tomorrow."""
    monkeypatch.setattr("tillhook.core.messaging.scheduling._interval", lambda room: timedelta(days=1))
    bulkhead = chores.shop.platform.host._guard.bulkhead("chores", "demo")
    for _ in range(chores.shop.platform.system.hooks.breaker_cuts):
        bulkhead.breaker.record(answered=False)
    assert chores.shop.run_schedules() == 2
    assert chores.runs == []
    assert "was not asked schedules.run" in chores.row().last_error

    bulkhead.breaker.record(answered=True)
    chores.shop.clock.advance(60)
    assert chores.shop.run_schedules() == 2
    assert chores.row().next_at >= OPENING + timedelta(days=1)


@pytest.mark.parametrize("condition", ["with the condition", "without it"])
def test_two_workers_never_run_the_same_schedule_at_the_same_time(
    chores: Chores, monkeypatch: pytest.MonkeyPatch, condition: str
) -> None:
    """Without the condition of the claim both do: shown, so that this test is known to see it."""
    if condition == "without it":
        monkeypatch.setattr(schedules, "FREE", sa.true())
        monkeypatch.setattr("tillhook.core.messaging.scheduling._free", lambda row, now: True)
    other = Scheduler(chores.shop.platform)

    def meanwhile(errand: Any) -> None:
        if chores.runs.count("demo/DK") == 1 and errand.region == "DK":
            other.run_due()

    chores.during(meanwhile)
    chores.shop.run_schedules()
    assert chores.runs.count("demo/DK") == (1 if condition == "with the condition" else 2)


def test_many_workers_at_once_run_each_schedule_once(chores: Chores) -> None:
    workers = [Scheduler(chores.shop.platform) for _ in range(8)]
    for round_ in range(1, 6):
        at_once(lambda number: workers[number].run_due(), 8)
        assert sorted(chores.runs) == ["demo/DK"] * round_ + ["demo/SE"] * round_
        chores.shop.clock.advance(60)


def test_a_shorter_interval_counts_from_now(chores: Chores) -> None:
    shop = chores.shop
    shop.run_schedules()
    far = shop.clock() + timedelta(days=1)
    shop.platform.db.write(
        lambda tx: tx.execute(sa.update(schedules.s).values(next_at=far))  # as an interval of a day had left it
    )
    assert shop.run_schedules() == 0
    shop.clock.advance(60)
    assert shop.run_schedules() == 2


def test_the_workers_of_a_running_system_run_schedules(chores: Chores) -> None:
    ran = threading.Event()
    chores.during(lambda errand: ran.set())
    chores.shop.running.start()
    assert ran.wait(30)


# --- topics


def test_a_message_reaches_every_place_once_typed_with_its_key(chores: Chores) -> None:
    chores.publish({"number": 1})
    assert chores.seen == [], "it is stored first"
    chores.shop.do_duties()
    assert sorted(chores.seen) == [("demo/DK", "home", 1), ("demo/SE", "home", 1)]
    assert {name for name, _, _ in chores.deliveries()} == {
        "consume.chores.todo:chores@demo/DK",
        "consume.chores.todo:chores@demo/SE",
    }


def test_a_message_survives_a_crash_before_anybody_saw_it(chores: Chores) -> None:
    chores.publish({"number": 1})
    chores.shop.crash_and_restart()
    chores.shop.do_duties()
    assert len(chores.seen) == 2


def test_a_consumer_that_fails_is_tried_again_and_the_next_of_its_key_waits(chores: Chores) -> None:
    broken = [True]

    def fail(errand: Any) -> None:
        if broken and errand.key == "home":
            raise OSError("not now")

    chores.during(fail)
    for number, key in ((1, "home"), (2, "home"), (3, "office")):
        chores.publish({"number": number}, key=key)
    chores.shop.do_duties()
    assert {number for _, _, number in chores.seen} == {3}
    broken.clear()
    chores.shop.clock.advance(3600)
    chores.shop.do_duties()
    assert [number for place, _, number in chores.seen if place == "demo/DK"] == [3, 1, 2]


def test_what_a_consumer_publishes_is_published_once_however_often_it_runs(chores: Chores) -> None:
    """It published, then failed: the second run names its message the same."""
    failing = ["demo/DK"]

    class Later(Exception):
        pass

    def fail_after_publishing(errand: Any) -> None:
        errand.outside.publish("chores.done", key=errand.key, value={"number": 0})
        if failing and errand.region == "DK":
            failing.clear()
            raise Later

    chores.during(fail_after_publishing)
    chores.publish({"number": 1})
    chores.shop.do_duties()
    chores.shop.clock.advance(3600)
    chores.shop.do_duties()
    done = [message["number"] for message in chores.shop.published("chores.done")]
    assert sorted(done) == [0, 0, 1, 1], "two places, each once"


def test_a_message_of_another_shape_is_a_dead_letter_that_says_so(chores: Chores) -> None:
    chores.publish({"numero": "one"})
    chores.shop.do_duties()
    assert chores.seen == []
    for _, state, error in chores.deliveries():
        assert state is DeliveryState.DEAD
        assert "topic 'chores.todo': the message is no Todo: Object missing required field `number`" in error


def test_a_plugin_cannot_put_another_shape_on_a_topic_that_is_declared(chores: Chores) -> None:
    with pytest.raises(ValueError, match=r"topic 'chores.done': the message is not what is declared, Done: .*number"):
        chores.publish({"number": "many"}, topic="chores.done")
    chores.publish({"anything": "goes"}, topic="chores.undeclared")
    assert chores.shop.published("chores.done") == []


def test_a_key_that_is_too_long_is_refused_before_it_is_stored(chores: Chores) -> None:
    with pytest.raises(ValueError, match="its key must have 1 to 100 characters"):
        chores.publish({"number": 1}, key="k" * 101)


def test_a_consumer_that_is_gone_leaves_a_dead_letter_that_says_what_to_do(
    chores: Chores, open_with: Callable[..., TillShop]
) -> None:
    chores.publish({"number": 1})
    chores.shop = open_with()
    chores.shop.do_duties()
    for _, state, error in chores.deliveries():
        assert state is DeliveryState.DEAD
        assert "plugin 'chores' no longer consumes 'chores.todo' for demo/" in error


def test_a_plugin_without_tables_is_told_so(chores: Chores) -> None:
    shop = chores.shop.platform.host.shop(chores.shop.store("demo/DK"))
    with pytest.raises(LookupError, match="plugin 'chores' declares no tables"):
        _ = shop.outside("chores").tables
