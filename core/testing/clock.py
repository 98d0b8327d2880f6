"""Time that stands still until the test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

OPENING: Final = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)


class Clock:
    """Call it for the time; ``advance`` is the only thing that moves it."""

    def __init__(self, now: datetime = OPENING) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
