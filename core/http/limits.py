"""How often one caller may ask."""

from __future__ import annotations

import time
from collections.abc import Callable


class RateLimit:
    """At most ``per_minute`` requests a minute in the long run and ``burst`` at once, per caller and process.

    Keeps one number per caller: the moment at which all that the caller asked would be paid off at the allowed rate.
    A request is refused while that moment lies further ahead than the burst is worth. The callers are a bounded dict,
    the one not seen for longest leaves first. Only used on the event loop, so there is no lock.
    """

    def __init__(
        self,
        per_minute: int,
        burst: int,
        *,
        now: Callable[[], float] = time.monotonic,
        callers: int = 20_000,
    ) -> None:
        self._interval = 60.0 / per_minute
        self._slack = self._interval * (burst - 1)
        self._now = now
        self._most = callers
        self._paid_off: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._paid_off)

    def take(self, caller: str) -> float:
        """Count one request; 0.0 when it is allowed, else the seconds after which it would be."""
        now = self._now()
        paid_off = max(self._paid_off.pop(caller, now), now)
        wait = paid_off - self._slack - now
        if wait > 1e-9:  # a refusal costs nothing, so that waiting as told is enough
            self._paid_off[caller] = paid_off
            return wait
        self._paid_off[caller] = paid_off + self._interval
        if len(self._paid_off) > self._most:
            del self._paid_off[next(iter(self._paid_off))]
        return 0.0
