"""A fake of what the core lends to duties and gateways: records every call, answers as it is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from tillhook.core.roles.outside import Answer, NoAnswer, NotReached


class Call(Struct, frozen=True):
    """One HTTP call that a plugin made; ``body`` is as it would have gone over the wire."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    idempotency_key: str | None


class Message(Struct, frozen=True):
    """One message that a plugin put on the bus; ``value`` as JSON."""

    topic: str
    key: str
    value: bytes


class RecordingOutside:
    """An Outside without a network: answers from a queue, in the order given, else with ``default``."""

    def __init__(self, default: Answer | None = None) -> None:
        self.calls: list[Call] = []
        self.messages: list[Message] = []
        self._default = Answer(200, {"Content-Type": "application/json"}, b"{}") if default is None else default
        self._answers: deque[Answer | NotReached | NoAnswer] = deque()

    def answer(self, *answers: Answer | NotReached | NoAnswer) -> None:
        """Put answers, or failures to be raised, at the end of the queue."""
        self._answers.extend(answers)

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
        if json is not None and content is not None:
            raise ValueError("a request has either json or content, not both")
        body = content if content is not None else b"" if json is None else msgspec.json.encode(json)
        answer = self._answers.popleft() if self._answers else self._default
        if not isinstance(answer, NotReached):  # what was not reached has seen nothing
            self.calls.append(Call(method, url, dict(headers or {}), body, idempotency_key))
        if isinstance(answer, Answer):
            return answer
        raise answer

    def publish(self, topic: str, *, key: str, value: Any) -> None:
        self.messages.append(Message(topic, key, msgspec.json.encode(value)))

    @property
    def effects(self) -> tuple[tuple[Call, ...], tuple[Message, ...]]:
        """Everything that left the plugin so far."""
        return tuple(self.calls), tuple(self.messages)
