"""Calling plugins so that none of them can hold the others up.

A call that outlasts its limit is cut: the caller goes on at once, and the log says who it was and in which line. Only
so many calls of one plugin are inside of it at a time (a bulkhead for each plugin of each store type), and one whose
calls were cut several times in a row is not asked for a while.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import structlog
from msgspec import Struct

from tillhook.core.plugins.crew import CREW, Crew, LetGo, Worker, whereabouts
from tillhook.core.roles.breaker import Breaker
from tillhook.core.roles.duties import RetryLater
from tillhook.core.roles.outside import DEADLINE, HOOK

BUSY_SECONDS: Final = 0.1
"""So long a call waits for one of the plugin's others to end."""

_log = structlog.get_logger("tillhook.plugins")


class Limits(Protocol):
    """The part of the system's settings that bounds calls of plugins. Seconds of 0: no limit, called in place."""

    @property
    def question_seconds(self) -> float: ...
    @property
    def news_seconds(self) -> float: ...
    @property
    def duty_seconds(self) -> float: ...
    @property
    def offer_seconds(self) -> float: ...
    @property
    def at_once(self) -> int:
        """0: any number."""
        ...

    @property
    def breaker_cuts(self) -> int: ...
    @property
    def breaker_seconds(self) -> float: ...


class Unlimited(Struct, frozen=True):
    """No limits: for shops outside of a running system."""

    question_seconds: float = 0
    news_seconds: float = 0
    duty_seconds: float = 0
    offer_seconds: float = 0
    at_once: int = 0
    breaker_cuts: int = 1
    breaker_seconds: float = 0


class PluginExit(Exception):
    """A plugin called ``sys.exit`` or let a cancellation out: that ends its call, not the process."""


class HookCut(Exception):
    """A plugin did not answer in time. What it was doing may have had its effect, or may have it yet."""

    def __init__(self, turn: Turn, seconds: float, where: str) -> None:
        self.reason = f"did not answer within {seconds:g} s"
        super().__init__(f"{turn} {self.reason} in {turn.hook}" + (f": it was at {where}" if where else ""))


class HookRefused(RetryLater):
    """A plugin was not called at all, because its calls hang."""

    def __init__(self, turn: Turn, reason: str, seconds: float | None = None) -> None:
        self.reason = reason
        super().__init__(f"{turn} was not asked {turn.hook}: {reason}", seconds=seconds)


class HookBusy(HookRefused):
    """So many calls are inside of the plugin that there is no room for this one."""


def said_of(error: BaseException) -> str:
    """What the guard itself says of a call that was cut or refused; empty for whatever a plugin raised."""
    if isinstance(error, HookCut):
        return error.reason
    return f"was not asked: {error.reason}" if isinstance(error, HookRefused) else ""


class Turn(Struct, frozen=True):
    """One function of one plugin, ready to be called."""

    plugin: str
    version: str
    hook: str
    store_type: str
    modules: tuple[str, ...]
    """Where the plugin's class and its function are: by them its lines are told from those of others."""
    bulkhead: Bulkhead
    function: Callable[..., Any]

    def __str__(self) -> str:
        return f"plugin {self.plugin} {self.version}"


class Outcome(Struct, frozen=True):
    """What became of a turn."""

    turn: Turn
    answer: Any
    error: Exception | None
    seconds: float
    called: bool = True
    """False: it was refused before the plugin was called."""

    @property
    def cut(self) -> bool:
        return isinstance(self.error, HookCut)


Stops = Callable[[Outcome], bool]
"""Whether a round ends with this outcome."""


class Bulkhead:
    """One plugin of one store type: how many are inside, and whether it may be entered at all."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self.breaker = Breaker(limits.breaker_cuts, limits.breaker_seconds, clock)
        self._most = limits.at_once
        self._inside: set[object] = set()
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)

    def enter(self, turn: Turn) -> object:
        """A ticket, to be given back. Raises HookRefused."""
        left = self.breaker.refused_for()
        if left:
            raise HookRefused(turn, f"its last calls did not end in time; refused for {left:.0f} s more", left)
        ticket = object()
        with self._lock:
            if self._most and len(self._inside) >= self._most:
                self._freed.wait_for(lambda: len(self._inside) < self._most, BUSY_SECONDS)
                if len(self._inside) >= self._most:
                    raise HookBusy(turn, f"{self._most} calls are inside of it already, and none of them ends")
            self._inside.add(ticket)
        return ticket

    def leave(self, ticket: object) -> None:
        """Once or more often."""
        with self._lock:
            if ticket in self._inside:
                self._inside.remove(ticket)
                self._freed.notify()


class Guard:
    """Calls plugins. ``clock`` is that of the breakers; ``crew`` is for tests."""

    def __init__(
        self,
        limits: Limits,
        *,
        observe_cut: Callable[[str, str], None] = lambda plugin, hook: None,
        clock: Callable[[], float] = time.monotonic,
        crew: Crew = CREW,
    ) -> None:
        """``observe_cut`` is told ``(plugin, hook)``."""
        self.limits = limits
        self._observe_cut = observe_cut
        self._clock = clock
        self._crew = crew
        self._bulkheads: dict[tuple[str, str], Bulkhead] = {}
        self._lock = threading.Lock()

    def bulkhead(self, plugin: str, store_type: str) -> Bulkhead:
        """The same one for the same pair, in however many places the store type has stores."""
        with self._lock:
            key = (plugin, store_type)
            if key not in self._bulkheads:
                self._bulkheads[key] = Bulkhead(self.limits, self._clock)
            return self._bulkheads[key]

    def play(
        self, turns: Sequence[Turn], seconds: float, stops: Stops, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> list[Outcome]:
        """Call one after the other, each for at most ``seconds``, until one of the outcomes ``stops`` the round.

        All of them in one hop to another thread; after a cut the rest in another one. Raises nothing of a plugin's.
        """
        outcomes: list[Outcome] = []
        while len(outcomes) < len(turns):
            round_ = _Round(turns[len(outcomes) :], seconds, stops, args, kwargs)
            if not seconds:
                round_.context.run(round_.play)
            else:
                self._wait(self._crew.hire(), round_)
            if round_.defect is not None:
                raise round_.defect
            for outcome in round_.outcomes:
                if outcome.called:
                    outcome.turn.bulkhead.breaker.record(answered=True)
            outcomes += round_.outcomes
            if not round_.cut:
                break
            outcomes.append(self._cut(round_))
            if stops(outcomes[-1]):
                break
        return outcomes

    def _wait(self, worker: Worker, round_: _Round) -> None:
        """Until the round is over, or cut."""
        try:
            round_.worker = worker.thread.ident or 0
            worker.begin(round_)
            left = round_.seconds
            while left > 0 and not worker.done.acquire(timeout=left):
                left = round_.remaining()
        except BaseException:  # ours, not the plugin's: somebody interrupts this very thread
            with round_.lock:
                round_.cut = round_.cut or not round_.over
            if round_.cut:
                self._crew.leave_behind(worker, round_)
            raise
        if round_.cut:
            self._crew.leave_behind(worker, round_)
        else:
            self._crew.rest(worker)

    def _cut(self, round_: _Round) -> Outcome:
        turn, seconds = round_.turn, time.monotonic() - round_.since
        turn.bulkhead.breaker.record(answered=False)
        self._observe_cut(turn.plugin, turn.hook)
        _log.error(
            "plugin_cut",
            plugin=turn.plugin,
            version=turn.version,
            hook=turn.hook,
            store_type=turn.store_type,
            milliseconds=round(seconds * 1000),
            where=round_.where,
        )
        return Outcome(turn, None, HookCut(turn, round_.seconds, round_.where), seconds)


class _Round:
    """Turns that are played one after the other in one thread."""

    def __init__(
        self, turns: Sequence[Turn], seconds: float, stops: Stops, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        self.seconds = seconds
        self.context = contextvars.copy_context()
        self.lock = threading.Lock()
        self.outcomes: list[Outcome] = []
        self.turn = turns[0]
        self.since = 0.0
        """When the plugin was called (``time.monotonic``); 0: none is being called."""
        self.over = False
        self.cut = False
        self.where = ""
        self.defect: BaseException | None = None
        self.worker = 0
        self._turns = turns
        self._stops = stops
        self._args = args
        self._kwargs = kwargs
        self._ticket: object = None

    def play(self) -> None:
        """Every turn until one stops the round, or is cut. Raises LetGo, or what interrupts the caller's own thread."""
        try:
            self._play()
        except LetGo:
            raise
        except BaseException as error:  # noqa: BLE001 - a defect of ours: whoever waits raises it
            with self.lock:
                self.defect, self.over = error, True

    def remaining(self) -> float:
        """For how long to wait on; 0: the turn is cut by this very call, unless it has been answered meanwhile."""
        with self.lock:
            if self.over or not self.since:
                return self.seconds
            left = self.since + self.seconds - time.monotonic()
            if left <= 0:
                self.cut = True
                self.where = whereabouts(self.worker, self.turn.modules)
            return max(left, 0.0)

    def modules(self) -> tuple[str, ...]:
        return self.turn.modules

    def left(self) -> None:
        self.turn.bulkhead.leave(self._ticket)

    def _play(self) -> None:
        outer = DEADLINE.get()
        for turn in self._turns:
            self.turn = turn
            try:
                self._ticket = turn.bulkhead.enter(turn)
            except HookRefused as error:
                outcome = Outcome(turn, None, error, 0.0, called=False)
            else:
                outcome = self._call(turn, outer)
            with self.lock:  # either this turn is cut, or it has its outcome
                if self.cut:
                    return
                self.since = 0.0
                self.outcomes.append(outcome)
                if turn is self._turns[-1] or self._stops(outcome):
                    self.over = True
                    return

    def _call(self, turn: Turn, outer: float | None) -> Outcome:
        HOOK.set(turn.hook)
        now = time.monotonic()
        if self.seconds:
            own = now + self.seconds
            DEADLINE.set(own if outer is None else min(own, outer))
        answer, error = None, None
        began = time.perf_counter()
        self.since = now
        try:
            answer = turn.function(*self._args, **self._kwargs)
        except Exception as raised:  # noqa: BLE001 - whoever waits decides
            error = raised
        except KeyboardInterrupt:
            if not self.seconds:
                raise  # somebody at the keyboard
            error = PluginExit("it raised KeyboardInterrupt")
        except SystemExit as raised:
            error = PluginExit(f"it called sys.exit({raised.code!r})")
            error.__cause__ = raised
        except LetGo:
            raise
        except BaseException as raised:  # noqa: BLE001 - as above
            error = PluginExit(f"it raised {type(raised).__name__}")
            error.__cause__ = raised
        finally:
            turn.bulkhead.leave(self._ticket)
        return Outcome(turn, answer, error, time.perf_counter() - began)
