"""A fake of what the core lends to duties and gateways: records every call, answers as it is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from tillhook.core.messaging.bus import encoded
from tillhook.core.roles.outside import Answer, NoAnswer, NotReached, OwnTables, own_work, refuse_in_own_tables


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

    def __init__(self, default: Answer | None = None, *, tables: OwnTables | None = None) -> None:
        """``tables`` are what ``tillhook.core.testing.tables.own_tables`` makes of the plugin's migrations."""
        self.calls: list[Call] = []
        self.messages: list[Message] = []
        self._default = Answer(200, {"Content-Type": "application/json"}, b"{}") if default is None else default
        self._tables = tables
        self._answers: deque[Answer | NotReached | NoAnswer] = deque()

    @property
    def tables(self) -> OwnTables:
        if self._tables is None:
            raise LookupError("this test lends no tables: give RecordingOutside(tables=…) what own_tables makes")
        return self._tables

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
        refuse_in_own_tables("outside.request")
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
        message = Message(topic, key, encoded(topic, key, value))
        unit = own_work("outside.publish")
        if unit is None:
            self.messages.append(message)
        else:
            unit.committed.append(lambda: self.messages.append(message))

    @property
    def effects(self) -> tuple[tuple[Call, ...], tuple[Message, ...]]:
        """Everything that left the plugin so far."""
        return tuple(self.calls), tuple(self.messages)
