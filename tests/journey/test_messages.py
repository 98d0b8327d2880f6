"""Messages of plugins: none is lost while its consumer cannot be asked, none comes twice, none goes round for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from tests.journey.chores import Chores
from tillhook import Outside, Permanent
from tillhook.core.messaging.bus import LARGEST, delivery
from tillhook.core.storage.events import DeliveryState, counts
from tillhook.core.testing.shop import TillShop

Switch = Callable[..., None]


@pytest.fixture
def switch_off(monkeypatch: pytest.MonkeyPatch) -> Switch:
    """Starts a shop again with some plugins switched off; with none, all are back."""

    def restart(shop: TillShop, *plugins: str) -> None:
        monkeypatch.setenv("TILLHOOK_DISABLE", ",".join(plugins))
        shop.crash_and_restart()

    return restart


def publish(shop: TillShop, topic: str, value: Any, key: str = "home") -> None:
    """As a plugin of another store type would."""
    shop.running._lender.lend("someone", "elsewhere").publish(topic, key=key, value=value)


# --- consumers that cannot be asked


@pytest.mark.parametrize("off", ["chores", "sandbox"], ids=["it is switched off", "its places are closed"])
def test_a_message_waits_for_a_consumer_that_cannot_be_asked(chores: Chores, switch_off: Switch, off: str) -> None:
    shop = chores.shop
    shop.dispatcher.keep_house()  # the workers look after it: who consumes what is written down
    switch_off(shop, off)
    publish(shop, "chores.todo", {"number": 1})
    for _ in range(shop.platform.system.work.max_attempts + 1):
        shop.do_duties()
        shop.clock.advance(60)
    assert chores.seen == []
    assert shop.platform.db.read(counts) == {DeliveryState.PENDING: 2}, "one for each place"

    switch_off(shop)
    publish(shop, "chores.todo", {"number": 2})
    shop.do_duties()
    assert [number for place, _, number in chores.seen if place == "demo/DK"] == [1, 2], "in their order"
    assert len(chores.seen) == 4


def test_who_could_be_asked_and_does_not_consume_it_is_forgotten(
    chores: Chores, open_with: Callable[..., TillShop], switch_off: Switch
) -> None:
    chores.shop.dispatcher.keep_house()
    shop = open_with()  # the plugin is taken out of the configuration
    shop.dispatcher.keep_house()
    publish(shop, "chores.todo", {"number": 1})
    assert shop.platform.db.read(counts) == {}

    shop = open_with("chores")
    switch_off(shop, "chores")
    publish(shop, "chores.todo", {"number": 2})
    assert shop.platform.db.read(counts) == {}, "it is on again, and was not asked since"


# --- messages that cause each other


@pytest.mark.parametrize("way", [["chores.todo"], ["chores.again", "chores.todo"]], ids=["its own", "by another"])
def test_messages_cannot_cause_each_other_for_ever(chores: Chores, way: list[str]) -> None:
    """Each consumer answers with a message that comes back to it; two places would double them every time."""
    chores.during(lambda errand: errand.outside.publish(way[0], key=errand.key, value={"number": 0}))
    chores.module.AGAIN.append(lambda errand: errand.outside.publish(way[-1], key=errand.key, value={"number": 0}))
    chores.publish({"number": 1})
    chores.shop.do_duties()
    dead = [error for _, state, error in chores.deliveries() if state is DeliveryState.DEAD]
    assert len(dead) == 2 ** len(way)
    assert all(" → ".join(["chores.todo", *way]) in error for error in dead)


# --- what is published by whom


def test_a_second_run_that_publishes_something_else_publishes_it(chores: Chores) -> None:
    """Its first message is the second run's first, but not the first run's: it may not pass for it."""
    runs: list[str] = []

    def act(errand: Any) -> None:
        runs.append(errand.region)
        if runs.count(errand.region) == 1:
            errand.outside.publish("chores.started", key=errand.key, value=errand.region)
            raise OSError("not now")
        errand.outside.publish("chores.resumed", key=errand.key, value=errand.region)

    chores.during(act)
    chores.publish({"number": 1})
    chores.shop.do_duties()
    chores.shop.clock.advance(3600)
    chores.shop.do_duties()
    assert sorted(chores.shop.published("chores.started")) == ["DK", "SE"]
    assert sorted(chores.shop.published("chores.resumed")) == ["DK", "SE"]


def test_a_message_that_no_broker_would_take_is_refused(chores: Chores) -> None:
    chores.publish("x" * (LARGEST - 2), topic="chores.large")
    with pytest.raises(ValueError, match=r"topic 'chores.large': the message has 1000001 bytes, 1000000 are the most"):
        chores.publish("x" * (LARGEST - 1), topic="chores.large")
    assert len(chores.shop.published("chores.large")) == 1


# --- together with a plugin's own tables


class Lost(Exception):
    pass


class Deadlock(Exception):
    sqlstate = "40P01"


@pytest.fixture
def points(open_with: Callable[..., TillShop]) -> TillShop:
    return open_with("points")


def lent(shop: TillShop) -> Outside:
    return shop.platform.host.shop(shop.store("demo/DK")).outside("points")


def members(outside: Outside) -> int:
    counted: int = outside.tables.read(
        lambda tx: tx.execute(sa.text("SELECT count(*) FROM points_member")).scalar_one()
    )
    return counted


def join(tx: Any, outside: Outside, name: str) -> None:
    tx.execute(sa.text("INSERT INTO points_member VALUES ('demo', :name, 0)"), {"name": name})
    outside.publish("members.joined", key=name, value=name)


def test_what_is_published_in_a_unit_of_work_is_stored_with_it_or_not_at_all(points: TillShop) -> None:
    outside = lent(points)

    def lost(tx: Any) -> None:
        join(tx, outside, "ann")
        raise Lost

    with pytest.raises(Lost):
        outside.tables.write(lost)
    assert (points.published("members.joined"), members(outside)) == ([], 0)

    points.clock.advance(60)  # by now the stores would be read again: not in here
    outside.tables.write(lambda tx: join(tx, outside, "ann"))
    assert (points.published("members.joined"), members(outside)) == (["ann"], 1)
    with pytest.raises(RuntimeError, match=r"outside.publish inside outside.tables.read, which writes nothing"):
        outside.tables.read(lambda tx: outside.publish("a.topic", key="k", value=1))


def test_a_unit_of_work_that_is_run_again_names_its_messages_the_same(points: TillShop) -> None:
    """Else a duty whose first run met a deadlock would publish once more when it is done again."""
    outside = lent(points)
    deadlocks = [Deadlock()]

    def work(tx: Any) -> None:
        outside.publish("members.counted", key="all", value=1)
        if deadlocks:
            raise sa.exc.DBAPIError("UPDATE", None, deadlocks.pop())

    for _ in range(2):
        with delivery(7, "update_loyalty:points"):
            outside.tables.write(work)
            outside.publish("members.counted", key="all", value=2)
    assert points.published("members.counted") == [1, 2]


def test_a_message_of_a_unit_of_work_cannot_go_round_either(points: TillShop) -> None:
    outside = lent(points)
    with (
        delivery(7, "consume.members.counted:points@demo/DK", ("members.counted",)),
        pytest.raises(Permanent, match=r"members.counted → members.counted"),
    ):
        outside.tables.write(lambda tx: outside.publish("members.counted", key="all", value=1))
