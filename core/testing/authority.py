"""A fiscal authority in memory: it registers each sale once, under a mark of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tillhook.core.roles.outside import Answer
from tillhook.core.testing.outside import RecordingOutside


class Authority(RecordingOutside):
    """Gives the same mark for the same idempotency key, and a new one for each call without a key."""

    def __init__(self, registered: Callable[[str], Answer]) -> None:
        """``registered`` makes the answer that bears a mark."""
        super().__init__()
        self._registered = registered
        self._marks: dict[str, str] = {}

    def request(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, **call: Any) -> Answer:
        super().request(method, url, headers=headers, **call)
        key = call.get("idempotency_key") or f"call {len(self.calls)}"
        return self._registered(self._marks.setdefault(key, f"MARK-{len(self._marks) + 1}"))
