"""A limit for what hangs: the test fails with the name of the hook, instead of never ending.

It interrupts the main thread by a signal, so a lock, a sleep or an endless loop is left where it stands. In another
thread, and on systems without such a signal, there is no limit.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Hangs(BaseException):
    """Not an Exception: a plugin that catches everything must not catch this."""


@contextmanager
def watchdog(what: str, seconds: float) -> Iterator[None]:
    """Whatever runs inside must end within ``seconds``. Raises AssertionError that names ``what``.

    It is meant for what hangs, not for what is slow: be generous.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def bark(_: int, __: FrameType | None) -> None:
        raise Hangs(what)

    handler = signal.signal(signal.SIGALRM, bark)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    except Hangs:
        raise AssertionError(f"{what} hangs: it did not end within {seconds:g} s") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, interval)
        signal.signal(signal.SIGALRM, handler)
