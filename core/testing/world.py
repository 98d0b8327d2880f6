"""A simulated outside world. The lending is the core's own (retries, breaker, time limits, journal); behind it stand
simulators, and every line to them can be cut at every phase of a call.

    world = World(AcmePaySimulator(settings, clock), clock=clock)
    world.cut(Phase.AFTER_EFFECT, times=1)
    gateway.authorise(request, world.lend())
    print(world.transcript())
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from msgspec import Struct
from msgspec.structs import replace

from tillhook.core.config.system import OutsideLimits
from tillhook.core.outside.lender import (
    Journal,
    JournalEntry,
    Lender,
    Limits,
    Publish,
    TablesFactory,
    no_tables,
    redacted,
)
from tillhook.core.roles.outside import Outside
from tillhook.core.testing.clock import Clock
from tillhook.core.testing.simulators import Simulator
from tillhook.core.testing.world_phases import ARRIVING, Phase, seen_by_caller
from tillhook.core.testing.world_secrets import without_secrets

_KEY: Final = "idempotency-key"


class Exchange(Struct, frozen=True, kw_only=True):
    """One call, as it went over the line. Nothing is left out: show ``World.transcript`` to people, not this."""

    number: int
    at: datetime
    method: str
    url: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    phase: Phase | None
    """Where it was cut; None: it went through."""
    arrived: bool
    """The other side got it and did what it asks for."""
    status: int | None = None
    """What the caller was answered; None: nothing, or not to the end."""

    @property
    def key(self) -> str:
        """The idempotency key that it bore, or an empty text."""
        return self.headers.get(_KEY, "")


class _Cut:
    """A fault that waits for its calls."""

    def __init__(self, phase: Phase, matching: str, skip: int, times: int | None) -> None:
        self.phase = phase
        self._matching = matching
        self._skip = skip
        self._left = times

    def hits(self, call: str) -> bool:
        if self._left == 0 or not fnmatchcase(call, self._matching):
            return False
        if self._skip:
            self._skip -= 1
            return False
        if self._left is not None:
            self._left -= 1
        return True


class World(httpx.BaseTransport):
    """Everything that a plugin can reach. Safe to use from any thread; each simulator gets one request at a time."""

    def __init__(self, *simulators: Simulator, clock: Clock | None = None, secrets: Iterable[str] = ()) -> None:
        """``secrets`` are struck out of the transcript; card numbers are anyway."""
        self.clock = clock or Clock()
        self.exchanges: list[Exchange] = []
        self.journal: list[JournalEntry] = []
        self.messages: list[tuple[str, str, Any]] = []
        self.broken: list[Exception] = []
        """What simulators raised: they are at fault, not the plugin, which was answered 500."""
        self._secrets = tuple(secrets)
        self._hosts = {_host(one.address): one for one in simulators}
        self._cuts: list[_Cut] = []
        self._lock = threading.RLock()

    # --- the script

    def cut(self, phase: Phase, *, matching: str = "*", skip: int = 0, times: int | None = None) -> None:
        """Cut calls at ``phase``: all from now on, or ``times`` of them, after letting ``skip`` through.

        ``matching`` is a pattern of method and path, such as ``POST /v1/payments/*``.
        """
        with self._lock:
            self._cuts.append(_Cut(phase, matching, skip, times))

    def mend(self) -> None:
        """Every line is whole again."""
        with self._lock:
            self._cuts.clear()

    def advance(self, seconds: float) -> None:
        with self._lock:
            self.clock.advance(seconds)

    # --- what plugins are lent

    def lender(
        self,
        limits: Limits | None = None,
        journal: Journal | None = None,
        publish: Publish | None = None,
        *,
        tables: TablesFactory = no_tables,
    ) -> Lender:
        """The core's own lender, over this world; time passes on this world's clock, nobody sleeps."""

        def written(entry: JournalEntry) -> None:
            self.journal.append(entry)
            if journal is not None:
                journal(entry)

        return Lender(
            limits or OutsideLimits(),
            written,
            publish or (lambda topic, key, value: self.messages.append((topic, key, value))),
            tables=tables,
            transport=self,
            clock=lambda: self.clock().timestamp(),
            sleep=self.advance,
        )

    def lend(self, plugin: str = "plugin", store_type: str = "store_type", limits: Limits | None = None) -> Outside:
        """An ``Outside`` of its own breaker, as the plugin gets it live."""
        return self.lender(limits).lend(plugin, store_type)

    # --- the line

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        with self._lock:
            address = urlsplit(str(request.url))
            path = f"{address.path or '/'}{f'?{address.query}' if address.query else ''}"
            call = f"{request.method} {path}"
            simulator = self._hosts.get(_host(str(request.url)))
            phase = next((cut.phase for cut in self._cuts if cut.hits(call)), None)
            if simulator is None:
                phase = Phase.REFUSED
            arrived = phase is None or phase in ARRIVING
            answer = None
            if arrived and simulator is not None:
                answer = self._answer(simulator, request, path, body)
            number = len(self.exchanges)
            self.exchanges.append(
                Exchange(
                    number=number + 1,
                    at=self.clock(),
                    method=request.method,
                    url=str(request.url),
                    headers=dict(request.headers),
                    body=body,
                    phase=phase,
                    arrived=arrived,
                )
            )
            if phase is None:
                assert answer is not None
                seen = answer
            else:
                seen = seen_by_caller(phase, answer, request, self.advance)
            self.exchanges[number] = replace(self.exchanges[number], status=seen.status_code)
            return seen

    def _answer(self, simulator: Simulator, request: httpx.Request, path: str, body: bytes) -> httpx.Response:
        try:
            answer = simulator.handle(request.method, path, dict(request.headers), body)
        except Exception as error:  # noqa: BLE001 - the simulator's own fault, kept to be shown
            self.broken.append(error)
            return httpx.Response(500, content=b"the simulator is broken")
        return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)

    # --- for people

    def transcript(self) -> str:
        """One line for each call: what was asked, under which key, and what came of it. Without secrets."""
        return "\n".join(self._line(at) for at in self.exchanges)

    def _line(self, exchange: Exchange) -> str:
        came = "no answer" if exchange.status is None else f"answered {exchange.status}"
        effect = "arrived" if exchange.arrived else "never arrived"
        cut = f", cut: {exchange.phase.value}" if exchange.phase is not None else ""
        key = f" key {exchange.key}" if exchange.key else ""
        text = f"{exchange.number:3} {exchange.at:%H:%M:%S} {exchange.method} {redacted(exchange.url)}{key}: "
        return self.without_secrets(f"{text}{effect}, {came}{cut}")

    def without_secrets(self, text: str) -> str:
        return without_secrets(text, self._secrets)


def _host(address: str) -> str:
    """Scheme, host and port: what a connection is made to."""
    found = urlsplit(address)
    return f"{found.scheme}://{found.netloc.rpartition('@')[2]}".lower()
