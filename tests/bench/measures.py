"""What is measured and handed from process to process: windows of time, and what happened in each."""

from collections.abc import Sequence
from operator import attrgetter
from statistics import median
from typing import Final

import msgspec
from msgspec import Struct

SCANS: Final = 10
"""Items in a journey."""
REQUESTS: Final = SCANS + 3
"""Requests of a journey: the scans, the order, the payment session, the payment."""


class Plan(Struct, frozen=True):
    """How long to run: warm up, then so many windows of equal length, one right after the other."""

    warm_up_seconds: float
    window_seconds: float
    windows: int


class Percentiles(Struct, frozen=True):
    """Milliseconds."""

    p50: float
    p95: float
    p99: float


class Window(Struct, frozen=True):
    """One window: its length, the journeys that ended in it, and the CPU that the measured process used."""

    seconds: float
    journeys: int
    cpu_seconds: float
    scan: Percentiles | None = None
    complete: Percentiles | None = None

    @property
    def rate(self) -> float:
        """Journeys per second."""
        return self.journeys / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds per journey."""
        return self.cpu_seconds * 1000 / max(self.journeys, 1)


class Counted(Struct, frozen=True):
    """SQL statements (without BEGIN and COMMIT) of a scan and of a journey, and the journey's transactions."""

    scan: int
    journey: int
    transactions: int


read_windows: Final = msgspec.json.Decoder(list[Window]).decode


def percentiles(seconds: Sequence[float]) -> Percentiles | None:
    """By the nearest rank, so that each is a duration that was seen; None when there was none."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    return Percentiles(*(ordered[min(len(ordered) * p // 100, len(ordered) - 1)] * 1000 for p in (50, 95, 99)))


def middle(windows: Sequence[Window], part: str) -> float:
    """The median over the windows of one of their numbers, such as ``rate`` or ``scan.p95``."""
    return float(median(map(attrgetter(part), windows)))
