"""Lending the outside world to plugins: one HTTP client, bounded in time and size, retried where that is safe, guarded
by a circuit breaker per (plugin, store type), and journaled without what is secret."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, Protocol

import httpx
import msgspec
from msgspec import Struct

from tillhook.core.roles.breaker import Breaker
from tillhook.core.roles.outside import (
    HOOK,
    Answer,
    NoAnswer,
    NotReached,
    Outside,
    OwnTables,
    own_work,
    refuse_in_own_tables,
    seconds_left,
)
from tillhook.core.roles.settings import without_secrets

NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
"""What httpx raises before a byte of the request is on its way. Anything else may have had its effect."""

PAUSE_SECONDS: Final = 0.2
"""Before the first repetition; doubled for each further one."""


class Limits(Protocol):
    """The part of the system's settings that bounds plugins' calls."""

    @property
    def timeout_seconds(self) -> float: ...
    @property
    def retries(self) -> int: ...
    @property
    def max_answer_bytes(self) -> int: ...
    @property
    def breaker_failures(self) -> int: ...
    @property
    def breaker_seconds(self) -> float: ...


class JournalEntry(Struct, frozen=True):
    """One try of one call. ``url`` has neither user, password, query nor fragment; bodies and headers are left out."""

    plugin: str
    store_type: str
    method: str
    url: str
    status: int | None
    """None: no answer."""
    milliseconds: float
    error: str = ""
    hook: str = ""
    """Which hook of the plugin made the call; empty: none that was being called."""


for _noisy in ("httpx", "httpcore"):  # they log whole addresses and headers, with the secrets in them
    logging.getLogger(_noisy).setLevel(logging.WARNING)

Journal = Callable[[JournalEntry], None]
"""Called after every try; must not raise: the call may have had its effect."""
Publish = Callable[[str, str, Any], None]
"""``(topic, key, value)``: stores the message before it returns."""
TablesFactory = Callable[[str], OwnTables]
"""``(plugin)`` → its own tables. Raises LookupError for a plugin that declares none."""


def no_tables(plugin: str) -> OwnTables:
    raise LookupError(f"plugin {plugin!r} declares no tables: its hook `tables` says where its migrations are")


class Lender:
    """Makes what plugins are lent. ``transport``, ``clock`` and ``sleep`` are for tests."""

    def __init__(
        self,
        limits: Limits,
        journal: Journal,
        publish: Publish,
        *,
        tables: TablesFactory = no_tables,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.limits = limits
        self.journal = journal
        self.publish = publish
        self.tables = tables
        self.clock = clock
        self.sleep = sleep
        self._transport = transport
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._lent: dict[tuple[str, str], Outside] = {}

    def lend(self, plugin: str, store_type: str) -> Outside:
        """The same object for the same pair: its circuit breaker remembers."""
        with self._lock:
            key = (plugin, store_type)
            if key not in self._lent:
                breaker = Breaker(self.limits.breaker_failures, self.limits.breaker_seconds, self.clock)
                self._lent[key] = _Lent(self, plugin, store_type, breaker)
            return self._lent[key]

    def client(self) -> httpx.Client:
        """Made when first needed: loading certificate authorities takes its time."""
        with self._lock:
            if self._client is None:
                no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))  # one plugin's would reach another
                self._client = httpx.Client(
                    transport=self._transport, cookies=no_cookies, headers={"user-agent": "tillhook"}
                )
            return self._client

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None


class _Refused(NotReached):
    """By the circuit breaker, or because the hook was cut: trying again at once cannot help."""


class _Lent:
    """``Outside`` for one plugin of one store type."""

    def __init__(self, lender: Lender, plugin: str, store_type: str, breaker: Breaker) -> None:
        self._lender = lender
        self._plugin = plugin
        self._store_type = store_type
        self._breaker = breaker

    @property
    def tables(self) -> OwnTables:
        return self._lender.tables(self._plugin)

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
        sent = httpx.Headers(dict(headers or {}))
        if json is not None:
            content = msgspec.json.encode(json)
            sent.setdefault("content-type", "application/json")
        if idempotency_key is not None:
            sent["idempotency-key"] = idempotency_key
        method = method.upper()
        again = self._lender.limits.retries if idempotency_key is not None or method == "GET" else 0
        seconds = self._lender.limits.timeout_seconds if timeout is None else timeout
        pause = PAUSE_SECONDS
        while True:
            try:
                return self._once(method, url, sent, content, _clamped(seconds, method, url))
            except _Refused:
                raise
            except NotReached:
                left = seconds_left()
                if again == 0 or (left is not None and left <= pause):
                    raise
            again -= 1
            self._lender.sleep(pause)
            pause *= 2

    def publish(self, topic: str, *, key: str, value: Any) -> None:
        own_work("outside.publish")
        self._lender.publish(topic, key, value)

    def _once(self, method: str, url: str, headers: httpx.Headers, content: bytes | None, seconds: float) -> Answer:
        """One try: guarded, bounded, journaled."""
        lender = self._lender
        shown = redacted(url)
        refused = self._breaker.refused_for()
        if refused:
            raise _Refused(f"{method} {shown}: not tried, its last calls failed; refused for {refused:.0f} s more")
        began = lender.clock()
        status: int | None = None
        error = "broken off"
        try:
            answer = self._exchange(
                lender.client().build_request(method, url, headers=headers, content=content, timeout=_phases(seconds)),
                began + seconds,
            )
            status = answer.status
            error = f"answered {status}" if status >= 500 else ""
        except NOT_SENT as failure:
            error = without_secrets(f"{type(failure).__name__}: {failure}")
            raise NotReached(f"{method} {shown}: {error}") from failure
        except httpx.LocalProtocolError:
            # Its own text shows the value of the header: a secret, as often as not, with a line break at its end.
            error = "LocalProtocolError: a header has a character that may not be in it, such as a line break"
            raise NoAnswer(f"{method} {shown}: {error}") from None
        except httpx.HTTPError as failure:
            error = without_secrets(f"{type(failure).__name__}: {failure}")
            raise NoAnswer(f"{method} {shown}: {error}") from failure
        except NoAnswer as failure:
            error = str(failure)
            raise
        finally:
            self._breaker.record(answered=not error)
            milliseconds = round((lender.clock() - began) * 1000, 3)
            lender.journal(
                JournalEntry(self._plugin, self._store_type, method, shown, status, milliseconds, error, HOOK.get())
            )
        if error:
            raise NoAnswer(f"{method} {shown}: {error}")
        return answer

    def _exchange(self, request: httpx.Request, deadline: float) -> Answer:
        response = self._lender.client().send(request, stream=True)
        try:
            return Answer(response.status_code, dict(response.headers), self._body(response, deadline))
        finally:
            response.close()

    def _body(self, response: httpx.Response, deadline: float) -> bytes:
        limit = self._lender.limits.max_answer_bytes
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > limit:
                raise NoAnswer(f"the answer is longer than {limit} bytes")
            if self._lender.clock() > deadline:
                raise NoAnswer("the answer took longer than the time limit")
        return bytes(body)


def _clamped(seconds: float, method: str, url: str) -> float:
    """No call may outlast the hook that makes it: whoever waited for it has gone, and asks the other side himself."""
    left = seconds_left()
    if left is None:
        return seconds
    if left <= 0:
        raise _Refused(f"{method} {redacted(url)}: not sent, the hook {HOOK.get()} was cut")
    return min(seconds, left)


def _phases(seconds: float) -> httpx.Timeout:
    """httpx limits each phase of a call, not the call: so shares of the limit for what is quick where it works."""
    share = seconds / 4
    return httpx.Timeout(seconds, connect=share, pool=share, write=share)


def redacted(url: str) -> str:
    """The address without user, password, query, fragment and known secrets; of one that cannot be read, nothing."""
    try:
        parsed = httpx.URL(without_secrets(url))
    except (httpx.InvalidURL, TypeError):
        return "(not an address)"
    return str(parsed.copy_with(userinfo=b"", query=None, fragment=None))
