"""The settings of the system itself: the table ``[tillhook]`` and the variables that override it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]
NoneOrSeconds = Annotated[float, Meta(ge=0)]


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
    It is cut then, and what it sends is refused. At least ``outside.timeout_seconds`` times 3 + ``outside.retries``
    (a try has several phases), and 1 more."""
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


class HookLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long plugins may take before they are cut, and what becomes of one that hangs.

    Seconds of 0: no limit. Gateways have `payments.call_seconds`.
    """

    question_seconds: NoneOrSeconds = 2.0
    """For each question to a plugin, tax calculator or promotion engine: a shopper waits."""
    news_seconds: NoneOrSeconds = 5.0
    """For each plugin that is told news."""
    duty_seconds: NoneOrSeconds = 45.0
    """For each attempt at a duty; less than `work.lease_seconds`, so that nobody else begins it meanwhile."""
    route_seconds: NoneOrSeconds = 10.0
    """For each call of a plugin's own route or page."""
    offer_seconds: NoneOrSeconds = 20.0
    """For each offer at start."""
    at_once: Count = 12
    """Calls of one plugin, for one store type, at the same time; less than `server.threads`, so that the others are
    served while all of them hang."""
    breaker_cuts: Count = 3
    """Calls cut in a row after which a plugin is not called for `breaker_seconds`, for this store type."""
    breaker_seconds: Seconds = 30.0
    """How long it is not called; then one call is let through to try."""


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


class Certificates(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which certificates of plugins are believed."""

    folder: str = "certificates"
    """Where they are, and where `tillhook certify` puts them; a relative path starts at the working directory."""
    key_file: str = "var/certificate-key.json"
    """The key that signs here; made when it is first needed."""
    trusted: tuple[str, ...] = ()
    """Thumbprints (RFC 7638) of further keys that are believed."""


class System(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table ``[tillhook]``."""

    database: str = "sqlite:///tillhook.db"
    """Its URL: `sqlite:///file.db`, or `postgresql+psycopg://user@host/name`."""
    server: Server = Server()
    limits: Limits = Limits()
    payments: Payments = Payments()
    work: Work = Work()
    outside: OutsideLimits = OutsideLimits()
    hooks: HookLimits = HookLimits()
    log: Log = Log()
    idempotency: Idempotency = Idempotency()
    certificates: Certificates = Certificates()


VARIABLES = {
    "TILLHOOK_DATABASE_URL": ("database",),
    "TILLHOOK_HOST": ("server", "host"),
    "TILLHOOK_PORT": ("server", "port"),
}
"""Environment variables and the settings that they override."""
