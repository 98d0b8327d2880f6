"""The guest ``chores``: a schedule that says when it ran, a consumer that says what it saw."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.guests import Installer
from tillhook.core.services.rooms import Room
from tillhook.core.storage import schedules
from tillhook.core.storage.events import DeliveryState, deliveries_of
from tillhook.core.testing.shop import TillShop

GUEST = """
from collections.abc import Callable
from msgspec import Struct
from tillhook import Plugin, Schedule, Topic, hookimpl

RUNS = []        # the places in which the schedule ran, in their order
SEEN = []        # (place, key, payload) of every message
DURING = []      # functions to call while the schedule runs, or a message is consumed
AGAIN = []       # functions to call while a message of chores.again is consumed


class Todo(Struct, frozen=True):
    number: int


class Done(Struct, frozen=True):
    number: int


class Guest(Plugin):
    @hookimpl
    def schedules(self):
        return (Schedule("tick", 60, self.tick),)

    @hookimpl
    def topics(self):
        return (
            Topic("chores.todo", False, "list", Todo, self.take),
            Topic("chores.again", False, "list", Todo, self.take_again),
            Topic("chores.done", True, "list", Done),
        )

    def tick(self, errand):
        RUNS.append(f"{errand.store_type}/{errand.region}")
        for function in DURING:
            function(errand)

    def take_again(self, errand, todo):
        for function in AGAIN:
            function(errand)

    def take(self, errand, todo):
        for function in DURING:
            function(errand)
        SEEN.append((f"{errand.store_type}/{errand.region}", errand.key, todo.number))
        errand.outside.publish("chores.done", key=errand.key, value=Done(todo.number))
"""


class Chores:
    """What the guest did, and the shop that it is switched on in."""

    def __init__(self, shop: TillShop) -> None:
        self.shop = shop
        self.module: Any = sys.modules["guest_chores"]

    @property
    def runs(self) -> list[str]:
        return self.module.RUNS

    @property
    def seen(self) -> list[tuple[str, str, int]]:
        return self.module.SEEN

    def during(self, function: Callable[[Any], None]) -> None:
        self.module.DURING.append(function)

    def rooms(self) -> tuple[Room, ...]:
        return self.shop.platform.rooms.schedules()

    def publish(self, value: Any, *, key: str = "home", topic: str = "chores.todo") -> None:
        shop = self.shop.platform.host.shop(self.shop.store("demo/DK"))
        shop.outside("chores").publish(topic, key=key, value=value)

    def row(self, place: str = "demo/DK") -> schedules.ScheduleRow:
        rows = self.shop.platform.db.read(schedules.known_schedules)
        return rows[schedules.ScheduleKey("chores", "tick", place)]

    def deliveries(self, key: str = "home") -> list[tuple[str, DeliveryState, str]]:
        found = self.shop.platform.db.read(lambda tx: deliveries_of(tx, key))
        return [(at.subscriber, at.state, at.last_error) for at in found]


@pytest.fixture
def chores_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The guest can be switched on."""
    folder = tmp_path / "installed"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    Installer(folder)("chores", GUEST, entry="chores")
    yield
    sys.modules.pop("guest_chores", None)


@pytest.fixture
def chores(chores_installed: None, open_with: Callable[..., TillShop]) -> Chores:
    return Chores(open_with("chores"))
