"""What of a plugin the running test has used: the pytest plugin clears it before each test and reports it after."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec


class Recorder:
    """Calls of hooks and verbs, with the milliseconds that each took, and the things that were picked of an offer."""

    def __init__(self) -> None:
        self._calls: dict[str, list[float]] = {}
        self._offered: dict[str, list[str]] = {}
        self._picked: dict[str, dict[str, Any]] = {}

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        """Time what runs inside. ``name`` is a hook's (``poslog_for``), or an offer's and its verb
        (``payment_gateways.capture``)."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._calls.setdefault(name, []).append(round((time.perf_counter() - began) * 1000, 3))

    def picks(self, hook: str, name: str, among: Iterable[str], declares: Any = None) -> None:
        """The test is about the thing of this name, one of those that the hook offers.

        ``declares`` is what the thing says that it can do (a gateway's capabilities).
        """
        self._offered[hook] = list(among)
        self._picked.setdefault(hook, {})[name] = msgspec.to_builtins(declares)

    def clear(self) -> None:
        self._calls.clear()
        self._offered.clear()
        self._picked.clear()

    @property
    def calls(self) -> dict[str, list[float]]:
        """Name → milliseconds of each call, in the order in which each name was first called."""
        return {name: list(took) for name, took in self._calls.items()}

    @property
    def offered(self) -> dict[str, list[str]]:
        """Hook → the names of all that it offers, for the hooks of which a thing was picked."""
        return dict(self._offered)

    @property
    def picked(self) -> dict[str, dict[str, Any]]:
        """Hook → name of a thing that was picked → what it declares."""
        return {hook: dict(things) for hook, things in self._picked.items()}


RECORDER: Final = Recorder()
"""Of this process; tests run one after another in it."""
