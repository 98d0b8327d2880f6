"""Running a plugin's code while the host starts: its import, its making. What hangs is left behind and named."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Collection
from typing import Any, Final, Generic, TypeVar

from tillhook.core.plugins.crew import CREW, Crew, LetGo, whereabouts

T = TypeVar("T")

IMPORT_SECONDS: Final = 30.0
"""The longest that the import of one plugin may take, with whatever it imports."""
MAKE_SECONDS: Final = 10.0
"""The longest that the making of one plugin, its ``__init__``, may take."""


class Hangs(Exception):
    """It did not end in time; the text says where it was."""


def within(seconds: float, work: Callable[[], T], package: str, crew: Crew = CREW) -> T:
    """What ``work`` returns, or raises. Raises Hangs when it has not ended after ``seconds``.

    ``package`` is the plugin's: the line of its own that hangs is named, not one of a library below it.
    """
    worker, start = crew.hire(), _Start(work, package)
    try:
        worker.begin(start)
        if not worker.done.acquire(timeout=seconds) and not start.cut_off():
            worker.done.acquire()
    except BaseException:  # somebody interrupts this very thread
        start.cut_off()
        crew.leave_behind(worker, start)
        raise
    if start.cut:
        where = whereabouts(worker.thread.ident or 0, (package,)) or "a line that cannot be seen"
        crew.leave_behind(worker, start)
        raise Hangs(f"did not end within {seconds:g} s: it hangs at {where}")
    crew.rest(worker)
    return start.result()


class _Start(Generic[T]):
    """One round of a worker."""

    def __init__(self, work: Callable[[], T], package: str) -> None:
        self.lock = threading.Lock()
        self.cut = False
        self.context = contextvars.copy_context()
        self._work = work
        self._package = package
        self._over = False
        self._answer: Any = None
        self._error: BaseException | None = None

    def play(self) -> None:
        try:
            self._answer = self._work()
        except LetGo:
            raise
        except BaseException as error:  # noqa: BLE001 - whoever waits raises it
            self._error = error
        with self.lock:
            self._over = True

    def cut_off(self) -> bool:
        """Wait for it no longer; False when it has just ended."""
        with self.lock:
            self.cut = not self._over
            return self.cut

    def modules(self) -> Collection[str]:
        return (self._package,)

    def left(self) -> None:
        """Nobody has a place that it could give back."""

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        answer: T = self._answer
        return answer
