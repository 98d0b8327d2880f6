"""A line to the world that can be cut: what goes over it is kept, and from one call on everything goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from tillhook.core.outside.lender import redacted
from tillhook.core.roles.outside import Answer, NoAnswer, NotReached, Outside, OwnTables, own_work
from tillhook.core.testing.outside import Call, Message

_HARMLESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Trouble(StrEnum):
    """What can become of a call. In brackets: whether the other side did what it was asked."""

    NOT_REACHED = "not_reached"
    """Nobody was there (no)."""
    TOO_SLOW = "too_slow"
    """The time was over (no, but nobody can know)."""
    SERVER_ERROR = "server_error"
    """It answered 503 (no, but nobody can know)."""
    ANSWER_LOST = "answer_lost"
    """The line broke before the answer (yes)."""
    HALF_AN_ANSWER = "half_an_answer"
    """The answer broke off, and nobody noticed (yes)."""


WITHOUT_ANSWER: Final = tuple(at for at in Trouble if at is not Trouble.HALF_AN_ANSWER)


class Line:
    """An Outside in front of another one."""

    def __init__(self, outside: Outside, tables: Callable[[], OwnTables] | None = None) -> None:
        """``tables`` makes the plugin's own tables when they are asked for; None: they are those of ``outside``."""
        self.calls: list[Call] = []
        """Everything that was tried, whether it arrived or not."""
        self.messages: list[Message] = []
        self.effects: list[tuple[str, ...]] = []
        """What the other side can tell apart, in order: calls that change something, and messages."""
        self.cut: Call | None = None
        """The first call that went wrong."""
        self._outside = outside
        self._make_tables = tables
        self._tables: OwnTables | None = None
        self._trouble: Trouble | int | None = None
        self._from = 0

    @property
    def tables(self) -> OwnTables:
        if self._make_tables is None:
            return self._outside.tables
        if self._tables is None:
            self._tables = self._make_tables()
        return self._tables

    def trouble(self, trouble: Trouble | int, after: int = 0) -> Line:
        """From now on all calls but the next ``after`` go wrong; a number is the status of a refusal."""
        self._trouble, self._from, self.cut = trouble, len(self.calls) + after, None
        return self

    def mend(self) -> Line:
        self._trouble = None
        return self

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
        body = content if content is not None else b"" if json is None else msgspec.json.encode(json)
        call = Call(method.upper(), url, dict(headers or {}), body, idempotency_key)
        trouble = self._trouble if len(self.calls) >= self._from else None
        self.calls.append(call)
        if call.method not in _HARMLESS:
            self.effects.append(_effect(call))
        if trouble is not None and self.cut is None:
            self.cut = call
        self._before(trouble, f"{call.method} {redacted(url)}")
        if isinstance(trouble, int):
            return Answer(trouble, {"content-type": "text/html"}, b"<html><title>Refused</title></html>")
        answer = self._outside.request(
            method, url, headers=headers, json=json, content=content, idempotency_key=idempotency_key, timeout=timeout
        )
        if trouble is Trouble.ANSWER_LOST:
            raise NoAnswer(f"{call.method} {redacted(url)}: the connection was lost before the answer")
        if trouble is Trouble.HALF_AN_ANSWER:
            return Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2])
        return answer

    def publish(self, topic: str, *, key: str, value: Any) -> None:
        message = Message(topic, key, msgspec.json.encode(value))
        unit = own_work("outside.publish")

        def keep() -> None:
            self.messages.append(message)
            self.effects.append(("message", topic, key, message.value.decode()))

        if unit is None:
            keep()
        else:
            unit.committed.append(keep)
        self._outside.publish(topic, key=key, value=value)

    @property
    def changing(self) -> list[Call]:
        """The calls that change something at the other side."""
        return [at for at in self.calls if at.method not in _HARMLESS]

    @property
    def said(self) -> list[str]:
        """The text of each call (address and body) and of each message (key and value)."""
        return [*map(wording, self.calls), *(f"{at.key} {at.value.decode()}" for at in self.messages)]

    def told(self) -> str:
        """What others get to read of it: the journal's addresses, the keys, the messages on the bus."""
        calls = [f"{redacted(at.url)} {at.idempotency_key}" for at in self.calls]
        return " ".join((*calls, *(f"{at.topic} {at.key} {at.value.decode()}" for at in self.messages)))

    def repeats(self, call: Call, since: int) -> bool:
        """Whether ``call`` was made again after the first ``since`` calls, or the other side was asked about it."""
        return any(at.method in _HARMLESS or _effect(at) == _effect(call) for at in self.calls[since:])

    def _before(self, trouble: Trouble | int | None, shown: str) -> None:
        match trouble:
            case Trouble.NOT_REACHED:
                raise NotReached(f"{shown}: connection refused")
            case Trouble.TOO_SLOW:
                raise NoAnswer(f"{shown}: it was not answered within the time limit")
            case Trouble.SERVER_ERROR:
                raise NoAnswer(f"{shown}: answered 503")


def wording(call: Call) -> str:
    """The address and the body of a call."""
    return f"{call.url} {call.body.decode(errors='replace')}"


def _effect(call: Call) -> tuple[str, ...]:
    return (call.method, call.url, call.idempotency_key or "", call.body.decode(errors="replace"))
