"""A circuit breaker: after so many failures in a row, calls are refused for a while; then one is let through to try."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Breaker:
    """Safe to use from any thread. ``clock`` gives seconds that only grow."""

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float]) -> None:
        self._limit = failures
        self._seconds = seconds
        self._clock = clock
        self._failed = 0
        self._closed_again_at = 0.0
        self._lock = threading.Lock()

    def refused_for(self) -> float:
        """Seconds for which calls are still refused; 0: go ahead. One caller at a time is let through to try."""
        with self._lock:
            if self._failed < self._limit:
                return 0.0
            now = self._clock()
            left = self._closed_again_at - now
            if left > 0:
                return left
            self._closed_again_at = now + self._seconds
            return 0.0

    def record(self, answered: bool) -> None:
        """What became of a call."""
        with self._lock:
            if answered:
                self._failed = 0
                return
            self._failed += 1
            if self._failed >= self._limit:
                self._closed_again_at = self._clock() + self._seconds
