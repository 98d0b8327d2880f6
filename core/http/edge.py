"""The outermost layer, one for everything that each request needs: its id, the rate limit, who is calling if that is
known already, security headers, metrics, a span, and one line in the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from tillhook.core.domain.problems import Problem, malformed_request, not_found, too_many_requests
from tillhook.core.http.auth import Verifier
from tillhook.core.http.cookies import token_of
from tillhook.core.http.limits import RateLimit
from tillhook.core.http.look import PAGE_POLICY
from tillhook.core.http.problems import PROBLEM_JSON, encode, headers_of
from tillhook.core.http.request_ids import REQUEST_ID, acceptable_request_id
from tillhook.core.telemetry import logs, metrics, tracing

UNMATCHED: Final = "unmatched"
"""The route in logs and metrics of a request that met none."""
QUIET: Final = frozenset({"/health", "/ready", "/metrics"})
"""Probes: logged on level debug only."""

_REQUEST_ID_HEADER: Final = REQUEST_ID.encode()
_PAGE_POLICY: Final = PAGE_POLICY.encode()


class Edge:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp, *, verifier: Verifier, rate: RateLimit, new_id: Callable[[str], str]) -> None:
        self._app = app
        self._verifier = verifier
        self._rate = rate
        self._new_id = new_id
        self._log: structlog.typing.FilteringBoundLogger = structlog.get_logger("tillhook.http").bind()

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        state: dict[str, Any] = scope.setdefault("state", {})
        request_id = self._read_headers(scope, state)
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _complete(list(message["headers"]), request_id)
            await send(message)

        with logs.work(request_id=request_id):
            try:
                if refusal := self._refusal(scope, state):
                    await _send(refusal, scope, request_id, answer)
                elif tracing.on():
                    await self._traced(scope, receive, answer)
                else:
                    await self._app(scope, receive, answer)
            finally:
                self._tell(scope, state, status, time.perf_counter() - started)

    def _read_headers(self, scope: HTTPScope, state: dict[str, Any]) -> str:
        """Put the request id, the bearer token (for a page also out of its cookie) and a caller already known into
        ``state``."""
        request_id = None
        for name, value in scope["headers"]:
            if name == b"authorization":
                if value[:7].lower() == b"bearer ":
                    state["bearer"] = value[7:].strip()
            elif name == _REQUEST_ID_HEADER:
                request_id = acceptable_request_id(value)
        token = state.get("bearer") or token_of(scope)
        if token:
            state["bearer"] = token
            if caller := self._verifier.known(token):
                state["who"] = caller
        state["request_id"] = request_id or self._new_id("req")
        return str(state["request_id"])

    def _refusal(self, scope: HTTPScope, state: dict[str, Any]) -> Problem | None:
        """Too many requests, counted per subject once its token was verified, else per address; or unusable text."""
        who = state.get("who")
        client = scope.get("client")
        wait = self._rate.take(f"{who.issuer} {who.subject}" if who else client[0] if client else "")
        if wait:
            return too_many_requests(f"Too many requests; wait {wait:.1f} s before the next.", retry_after=wait)
        if "\0" in scope["path"]:
            return not_found("An address with a NUL character names nothing.")
        if b"%00" in scope["query_string"]:
            return malformed_request("A parameter contains a NUL character, which no text here may have.")
        return None

    async def _traced(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        parent = {
            name.decode(): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in {b"traceparent", b"tracestate"}
        }
        method = scope["method"]
        status = 0

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with tracing.span(method, parent=parent, **{"http.request.method": method}) as span:
            await self._app(scope, receive, observed)
            route = _route(scope)
            span.update_name(f"{method} {route}")
            span.set_attributes({"http.route": route, "http.response.status_code": status})

    def _tell(self, scope: HTTPScope, state: dict[str, Any], status: int, seconds: float) -> None:
        """Metrics and the log line: the route's template and no more of the address; no headers, no body."""
        route, method = _route(scope), scope["method"]
        metrics.http_request(method, route, status, seconds)
        who = state.get("who")
        tell = self._log.debug if route in QUIET else self._log.info
        tell(
            "request",
            method=method if method in metrics.METHODS else "other",
            route=route,
            status=status,
            ms=round(seconds * 1000, 2),
            subject=who.subject if who else None,
        )


def _route(scope: Scope) -> str:
    return str(scope.get("path_template") or UNMATCHED)


def _complete(headers: list[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    """Add what every answer must carry, unless the handler said otherwise."""
    given = dict(headers)
    headers.append((b"x-content-type-options", b"nosniff"))
    if _REQUEST_ID_HEADER not in given:
        headers.append((_REQUEST_ID_HEADER, request_id.encode()))
    if b"cache-control" not in given:
        headers.append((b"cache-control", b"no-store"))
    if given.get(b"content-type", b"").startswith(b"text/html"):
        if b"referrer-policy" not in given:
            headers.append((b"referrer-policy", b"no-referrer"))
        if b"content-security-policy" not in given:
            headers.append((b"content-security-policy", _PAGE_POLICY))
    return headers


async def _send(problem: Problem, scope: HTTPScope, request_id: str, send: Send) -> None:
    """An error answer of the edge itself."""
    body = encode(problem, instance=scope["path"], request_id=request_id)
    headers = {"content-type": PROBLEM_JSON, "content-length": str(len(body)), **headers_of(problem)}
    await send(
        {
            "type": "http.response.start",
            "status": problem.kind.status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})
