"""A guard to try: with short limits, threads of its own and a clock that the test owns."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from tillhook.core.config.system import HookLimits
from tillhook.core.plugins.crew import Crew
from tillhook.core.plugins.guard import Guard, Outcome, Turn

SHORT = 0.1
ENOUGH = 20.0
"""Seconds that no test takes; a limit of so many is never reached."""
WRITTEN_IN = ("tests.plugins.stage",)
"""Everything below ``tests`` counts as the plugin's own."""
LIMITS = HookLimits(at_once=2, breaker_cuts=3, breaker_seconds=30)


class Stage:
    """A guard, a clock for its breakers, and what the tests must let go of in the end."""

    def __init__(self, crew: Crew | None = None, limits: HookLimits = LIMITS) -> None:
        self.now = 0.0
        self.cuts: list[tuple[str, str]] = []
        self.crew = crew or Crew()
        self.guard = Guard(
            limits,
            observe_cut=lambda plugin, hook: self.cuts.append((plugin, hook)),
            clock=lambda: self.now,
            crew=self.crew,
        )
        self.release = threading.Event()

    def turn(self, function: Callable[..., Any], plugin: str = "acme", store_type: str = "demo") -> Turn:
        bulkhead = self.guard.bulkhead(plugin, store_type)
        return Turn(plugin, "2.7", "scan_for", store_type, WRITTEN_IN, bulkhead, function)

    def play(
        self, *functions: Callable[..., Any], seconds: float = SHORT, until: Callable[[Outcome], bool] | None = None
    ) -> list[Outcome]:
        turns = [self.turn(function, f"p{number}") for number, function in enumerate(functions)]
        return self.guard.play(turns, seconds, until or (lambda _: False), (), {})

    def call(self, function: Callable[..., Any], seconds: float = SHORT, **whose: str) -> Any:
        [outcome] = self.guard.play([self.turn(function, **whose)], seconds, lambda _: False, (), {})
        if outcome.error is not None:
            raise outcome.error
        return outcome.answer

    def hang(self) -> None:
        """As a driver in C does: no exception reaches it before it returns."""
        self.release.wait(ENOUGH)

    def nobody_is_left(self) -> bool:
        return eventually(lambda: self.crew.stuck() == 0)


def eventually(what: Callable[[], bool]) -> bool:
    """Waits for what another thread is about to do."""
    until = time.monotonic() + ENOUGH
    while not what() and time.monotonic() < until:
        time.sleep(0.005)
    return what()


def spin() -> None:
    while True:
        pass


def spin_whatever_comes() -> None:
    while True:
        try:
            while True:
                pass
        except Exception:  # noqa: BLE001 - as careless plugins do
            pass
