"""The outside world as the core lends it to duties and gateways: bounded in time, retried, journaled, redacted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, Protocol, TypeVar

import msgspec
from msgspec import Struct

T = TypeVar("T")

DEADLINE: Final[ContextVar[float | None]] = ContextVar("tillhook_deadline", default=None)
"""When (``time.monotonic``) the hook that is being called is cut: no call to the world may outlast it."""


def seconds_left() -> float | None:
    """Until the running hook is cut; zero or less: it has been. None: nobody set a limit."""
    deadline = DEADLINE.get()
    return None if deadline is None else deadline - time.monotonic()


HOOK: Final[ContextVar[str]] = ContextVar("tillhook_hook", default="")
"""Which hook of a plugin is running, for the journal: ``fulfil_order``, ``payment_gateways.authorise``; empty: none."""


class OwnWork:
    """One unit of work of a plugin's own tables, while it runs."""

    def __init__(self, tx: Any) -> None:
        self.tx = tx
        """The connection that it writes with; None: it only reads."""
        self.published: list[tuple[str, str]] = []
        """(topic, key) of each message that is part of it."""
        self.committed: list[Callable[[], None]] = []
        """What is to be done once it is committed, in this order."""


OWN_WORK: Final[ContextVar[OwnWork | None]] = ContextVar("tillhook_own_work", default=None)


def refuse_in_own_tables(what: str) -> None:
    """No call to the world inside a unit of work: it would hold the database for as long as the world likes.

    Raises RuntimeError.
    """
    if OWN_WORK.get() is not None:
        raise RuntimeError(f"{what} inside outside.tables.read or .write: make the call before it or after it")


def own_work(what: str) -> OwnWork | None:
    """The unit of work that what is written now is to be part of. Raises RuntimeError inside one that only reads."""
    unit = OWN_WORK.get()
    if unit is not None and unit.tx is None:
        raise RuntimeError(f"{what} inside outside.tables.read, which writes nothing: use outside.tables.write")
    return unit


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


class OwnTables(Protocol):
    """The plugin's own tables. ``work`` is given a SQLAlchemy connection; it must not talk to anything else.

    Its statements end with the hook that it is made for: one that takes longer raises what the database raises.
    """

    def write(self, work: Callable[[Any], T]) -> T:
        """Run ``work`` in one transaction and commit it. It may run again after a deadlock.

        What it publishes is committed with it, or not at all: ``outside.publish`` is the one thing besides the
        database that it may use.
        """
        ...

    def read(self, work: Callable[[Any], T]) -> T:
        """Run ``work``, which can only read; each statement sees what is committed."""
        ...


class Outside(Protocol):
    """Lent per (plugin, store type). Every call is journaled with plugin, store type, hook and milliseconds."""

    @property
    def tables(self) -> OwnTables:
        """The plugin's own tables. Raises LookupError for a plugin that declares none."""
        ...

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
        """Put a message on the bus. It is stored before this returns and sent at least once.

        Inside ``tables.write`` it is stored with what is written there. Raises TypeError for a value that is not JSON
        and ValueError for a message that does not fit: too large, or not of the type that is declared for the topic.
        """
        ...
