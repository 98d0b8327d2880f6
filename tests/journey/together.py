"""Many callers at once, made to meet where it matters."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tillhook.core.domain.problems import Problem
from tillhook.core.testing.shop import TillShop

CALLERS = 16


def at_once(work: Callable[[int], Any], callers: int = CALLERS) -> list[Any]:
    """Run ``work`` in many threads that start together; what each returned or raised."""
    barrier = threading.Barrier(callers)
    results: list[Any] = [None] * callers

    def run(number: int) -> None:
        barrier.wait()
        try:
            results[number] = work(number)
        except Exception as error:  # noqa: BLE001 - the results are what the test looks at
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def codes(results: list[Any]) -> set[str]:
    return {result.code if isinstance(result, Problem) else type(result).__name__ for result in results}


def meet(shop: TillShop, step: str, callers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold everybody who comes to ``step`` until ``callers`` are there: they have all read, and none has written."""
    barrier = threading.Barrier(callers)

    def checkpoint(name: str) -> None:
        if name == step:
            barrier.wait(timeout=60)

    monkeypatch.setattr(shop.platform, "checkpoint", checkpoint)
