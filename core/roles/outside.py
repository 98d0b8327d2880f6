"""The outside world as the core lends it to duties and gateways: bounded in time, retried, journaled, redacted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from msgspec import Struct


class NotReached(Exception):
    """The other side was certainly not reached (name not resolved, connection refused). Safe to try again."""


class NoAnswer(Exception):
    """The call may have had its effect: read timeout, connection lost, 5xx, half an answer."""


class Answer(Struct, frozen=True):
    """An HTTP answer below 500. ``body`` is bounded by the setting ``outside.max_answer_bytes``."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises NoAnswer when it is none: half an answer is no answer."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError as error:
            raise NoAnswer(f"answer {self.status} is not JSON: {error}") from error


class Outside(Protocol):
    """Lent per (plugin, store type). Every call is journaled with plugin, hook and milliseconds."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """One HTTP call. Raises NotReached or NoAnswer; an answer below 500 is returned whatever its status.

        A call with an ``idempotency_key`` (sent as the header ``Idempotency-Key``) and any GET is tried again after
        NotReached; nothing is tried again after NoAnswer.
        """
        ...

    def publish(self, topic: str, *, key: str, value: Any) -> None:
        """Put a message on the bus. It is stored before this returns and sent at least once."""
        ...
