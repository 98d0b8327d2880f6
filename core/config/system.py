"""The settings of the system itself: the table ``[tillhook]`` and the variables that override it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class Server(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The HTTP server."""

    host: str = "127.0.0.1"
    """The address to listen on; `0.0.0.0`: every one of this machine."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8000
    """0: any free one."""
    threads: Count = 16
    """Requests worked on at the same time in one process."""
    base_url: str = ""
    """What others call this server; empty: made of host and port."""
    work: bool = True
    """Duties are done inside the server; else ``tillhook work`` must run beside it."""
    docs: bool = True
    """Serve the documentation of the API at `/docs`."""


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one caller may ask of the server."""

    body_bytes: Count = 262144
    """The largest body of a request."""
    requests_per_minute: Count = 60_000
    """In the long run; beyond that the answer is 429."""
    burst: Count = 5_000
    """Requests at once, before that limit counts."""


class Payments(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Time limits of payment calls, and when unknown outcomes are asked about."""

    call_seconds: Seconds = 60.0
    """After so long a call to a provider has ended one way or the other: what it then does not know, it never got.
    At least ``outside.timeout_seconds`` times 3 + ``outside.retries`` (a try has several phases), and 1 more."""
    """How long a call of a provider may take."""
    inquire_seconds: tuple[Count, ...] = (5, 15, 60, 300, 900, 3600, 21600, 86400)
    """Pauses before each inquiry about an outcome that is not known; the last one repeats."""


class Work(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How duties are worked off."""

    threads: Count = 2
    """Duties done at the same time in one process."""
    poll_seconds: Seconds = 1.0
    """How often to look for duties that other processes left."""
    lease_seconds: Count = 60
    """A worker that says nothing for so long is taken for dead, and its duty is done by another."""
    max_attempts: Count = 12
    """After so many a duty is a dead letter."""
    backoff_seconds: Seconds = 1.0
    """The pause before the second attempt; it doubles with each further one …"""
    backoff_cap_seconds: Seconds = 3600.0
    """… up to this."""


class OutsideLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of plugins' calls to the outside world."""

    timeout_seconds: Seconds = 10.0
    """How long one call may take, unless the plugin says otherwise."""
    retries: Annotated[int, Meta(ge=0)] = 2
    """How often a call that certainly had no effect is repeated."""
    max_answer_bytes: Count = 5_000_000
    """The largest answer that is read."""
    breaker_failures: Count = 5
    """Failed calls in a row after which a plugin's calls are refused for ``breaker_seconds``."""
    breaker_seconds: Seconds = 30.0
    """How long they are refused."""


class Log(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is logged, and how it is written."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is written."""
    format: Literal["json", "console"] = "json"
    """One JSON object a line, or coloured text."""


class Idempotency(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long answers are kept for repeated requests."""

    hours: Count = 24
    """For so long a repeated `Idempotency-Key` gets the first answer."""


class System(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table ``[tillhook]``."""

    database: str = "sqlite:///tillhook.db"
    """Its URL: `sqlite:///file.db`, or `postgresql+psycopg://user@host/name`."""
    server: Server = Server()
    limits: Limits = Limits()
    payments: Payments = Payments()
    work: Work = Work()
    outside: OutsideLimits = OutsideLimits()
    log: Log = Log()
    idempotency: Idempotency = Idempotency()


VARIABLES = {
    "TILLHOOK_DATABASE_URL": ("database",),
    "TILLHOOK_HOST": ("server", "host"),
    "TILLHOOK_PORT": ("server", "port"),
}
"""Environment variables and the settings that they override."""
