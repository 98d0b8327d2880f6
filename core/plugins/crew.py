"""Threads that call plugins' functions for those who must not wait for ever.

A worker waits for its next round on a lock and hands the answers over with another: a hop costs two changes of
thread. One that is not waited for any more is never given a round again. An exception is thrown into it until it
ends, which stops an endless loop; what is stuck in C (a sleep, a foreign driver) is left alone until it returns.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Collection
from contextvars import Context
from types import FrameType
from typing import Any, Final, Protocol

from tillhook.core.plugins.whereabouts import shown

CORE: Final = "tillhook"
KEPT: Final = 64
"""Idle threads beyond so many are let go."""
FIRST_PAUSE: Final = 0.01
LAST_PAUSE: Final = 0.5
"""Seconds between two throws; they grow by half."""
PATIENT_THROWS: Final = 10
"""So often the thread is only thrown at when it stands in a line of the plugin's own: a library may hold a lock."""


class LetGo(BaseException):
    """Thrown into a thread that nobody waits for. Not an Exception: a plugin that catches everything would go on."""


class Round(Protocol):
    """What a worker does. ``lock`` guards what becomes of it: whether it is over, or cut."""

    lock: Any
    cut: bool
    context: Context

    def play(self) -> None:
        """Raises nothing, or LetGo once it is cut."""
        ...

    def modules(self) -> Collection[str]:
        """Where the plugin's own functions are that it calls just now."""
        ...

    def left(self) -> None:
        """The thread has come back from a round that was cut. It may be told twice."""
        ...


class Worker:
    """One thread. Whoever hired it waits for ``done``."""

    def __init__(self, number: int) -> None:
        self.done = threading.Lock()
        self.done.acquire()
        self.ended = False
        self._go = threading.Lock()
        self._go.acquire()
        self._round: Round | None = None
        self.thread = threading.Thread(target=self._live, name=f"tillhook-hook-{number}", daemon=True)
        self.thread.start()

    def begin(self, round_: Round | None) -> None:
        """Give it a round; None: there will be none any more."""
        self._round = round_
        self._go.release()

    def _live(self) -> None:
        try:
            self._serve()
        except LetGo:
            pass  # thrown on the round's last lines
        finally:
            self._end()

    def _serve(self) -> None:
        while True:
            self._go.acquire()
            round_ = self._round
            if round_ is None:
                return
            round_.context.run(round_.play)
            if round_.cut:
                return
            self._round = None
            del round_
            self.done.release()

    def _end(self) -> None:
        round_ = self._round
        while True:  # until nothing is thrown any more
            try:
                if round_ is None:
                    self.ended = True
                    return
                with round_.lock:  # whoever throws holds it, and looks whether we have ended
                    self.ended = True
                    _set_exception(threading.get_ident(), None)
                round_.left()
            except LetGo:
                continue
            return


def throw(ident: int) -> None:
    """Have a thread raise LetGo at its next line of Python."""
    _set_exception(ident, LetGo)


def _set_exception(ident: int, kind: type[BaseException] | None) -> None:
    value = None if kind is None else ctypes.py_object(kind)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), value)


class Crew:
    """All workers of a process. ``throw`` is for tests."""

    def __init__(self, throw: Callable[[int], None] = throw) -> None:
        self._throw = throw
        self.forget()

    def forget(self) -> None:
        """Begin anew: in a process that was forked off this one there are no threads."""
        self._idle: list[Worker] = []
        self._made = 0
        self._left_behind: list[_LeftBehind] = []
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._hunting = False

    def hire(self) -> Worker:
        """The worker that was idle for the shortest time, or a new one."""
        try:
            return self._idle.pop()
        except IndexError:
            with self._lock:
                self._made += 1
                return Worker(self._made)

    def rest(self, worker: Worker) -> None:
        """A worker that handed its answers over is free for the next."""
        if len(self._idle) < KEPT:
            self._idle.append(worker)
        else:
            worker.begin(None)

    def leave_behind(self, worker: Worker, round_: Round) -> None:
        """Nobody waits for this worker any more: throw at it until it ends."""
        with self._lock:
            self._left_behind.append(_LeftBehind(worker, round_))
            if not self._hunting:
                self._hunting = True
                threading.Thread(target=self._hunt, name="tillhook-hook-hunter", daemon=True).start()
        self._wanted.set()

    def stuck(self) -> int:
        """How many threads were left behind and have not ended."""
        return sum(not one.worker.ended for one in list(self._left_behind))

    def _hunt(self) -> None:
        while True:
            with self._lock:
                self._left_behind = [one for one in self._left_behind if not one.gone()]
                if not self._left_behind:
                    self._hunting = False
                    return
                hunted = list(self._left_behind)
                self._wanted.clear()
            for one in hunted:
                one.throw(self._throw)
            self._wanted.wait(min(one.pause for one in hunted))


class _LeftBehind:
    """One worker that nobody waits for."""

    def __init__(self, worker: Worker, round_: Round) -> None:
        self.worker = worker
        self.pause = FIRST_PAUSE
        self._round = round_
        self._throws = 0
        self._next = 0.0

    def gone(self) -> bool:
        if self.worker.ended:
            return True
        if self.worker.thread.is_alive():
            return False
        self._round.left()
        return True

    def throw(self, throw: Callable[[int], None]) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        ident = self.worker.thread.ident or 0
        with self._round.lock:  # it cannot end now: its number may soon be another thread's
            if not self.worker.ended and _may_be_thrown_at(ident, self._round.modules(), self._throws < PATIENT_THROWS):
                throw(ident)
        self._throws += 1
        self.pause = min(FIRST_PAUSE * 1.5**self._throws, LAST_PAUSE)
        self._next = now + self.pause


def whereabouts(ident: int, modules: Collection[str]) -> str:
    """``file:line in function``: the innermost line of the plugin's own that a thread stands in, else of any."""
    innermost = frame = sys._current_frames().get(ident)
    while frame is not None and not _is_own(frame, modules):
        frame = frame.f_back
    frame = frame or innermost
    if frame is None:
        return ""
    return f"{shown(frame.f_code.co_filename, frame.f_lineno)} in {frame.f_code.co_qualname}"


def _may_be_thrown_at(ident: int, modules: Collection[str], patient: bool) -> bool:
    """In the plugin's own lines always, in those of a library after some patience, in ours never: they hold locks
    and connections that others need, and what they do is bounded."""
    innermost = frame = sys._current_frames().get(ident)
    while frame is not None and not _is_own(frame, modules):
        if _module(frame).partition(".")[0] == CORE:
            return False
        frame = frame.f_back
    return frame is not None and (frame is innermost or not patient)


def _is_own(frame: FrameType, modules: Collection[str]) -> bool:
    """Whether it is a line of the plugin's package. A plugin inside of tillhook has its module only."""
    name = _module(frame)
    package = name.partition(".")[0]
    if package == CORE:
        return name in modules
    return any(package == module.partition(".")[0] for module in modules)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


CREW: Final = Crew()
"""Of this process."""
os.register_at_fork(after_in_child=CREW.forget)
