"""The other side of a lender: what it answers, the time, and what was written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from tillhook.core.config.system import OutsideLimits
from tillhook.core.outside.lender import JournalEntry, Lender
from tillhook.core.roles.outside import Outside

URL = "http://back-office.test/sales"
LIMITS = OutsideLimits(timeout_seconds=10, retries=2, max_answer_bytes=100, breaker_failures=3, breaker_seconds=30)

Handler = Callable[[httpx.Request], httpx.Response]


class World:
    """The other side, the time, and what was written down."""

    def __init__(self, handler: Handler | None, limits: OutsideLimits = LIMITS) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.requests: list[httpx.Request] = []
        self.journal: list[JournalEntry] = []
        self.messages: list[tuple[str, str, Any]] = []
        self.handler = handler
        self.lender = Lender(
            limits,
            self.journal.append,
            lambda topic, key, value: self.messages.append((topic, key, value)),
            transport=httpx.MockTransport(self._answer) if handler else None,
            clock=lambda: self.now,
            sleep=self.slept.append,
        )
        self.outside: Outside = self.lender.lend("acme", "demo")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        assert self.handler is not None
        return self.handler(request)


def ok(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"done": True})


def raising(failure: type[httpx.TransportError]) -> Handler:
    def handler(request: httpx.Request) -> httpx.Response:
        raise failure("no", request=request)

    return handler
