"""Worlds are closed at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.outside.worlds import LIMITS, Handler, World
from tillhook.core.config.system import OutsideLimits


@pytest.fixture
def world() -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(handler: Handler | None = None, limits: OutsideLimits = LIMITS) -> World:
        made.append(World(handler, limits))
        return made[-1]

    yield make
    for one in made:
        one.lender.close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real servers of these tests are on this machine."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
