"""Where a call to the outside can be cut, and what the caller then sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final

import httpx


class Phase(StrEnum):
    """Where a call breaks. In brackets: what the provider did with it."""

    REFUSED = "refused"
    """The connection is refused (nothing)."""
    NAME = "name"
    """The host's name is not resolved (nothing)."""
    BEFORE_SEND = "before_send"
    """Connected, and lost before the request arrived (nothing, but the caller cannot know)."""
    STRAY = "stray"
    """A proxy on the way answers 404 with a page of its own (nothing, but it is not the provider who says so)."""
    PORTAL = "portal"
    """A proxy on the way answers 200 with a page of its own (nothing)."""
    RATE_LIMITED = "rate_limited"
    """429 (nothing)."""
    ERROR_BEFORE = "error_before"
    """503 (nothing, but the caller cannot know)."""
    AFTER_EFFECT = "after_effect"
    """Read timeout (it had its effect)."""
    HALF_ANSWER = "half_answer"
    """Half of the announced bytes, then the connection is lost (effect)."""
    HALF_CHUNKED = "half_chunked"
    """As before, of a chunked answer (effect)."""
    HALF_UNNOTICED = "half_unnoticed"
    """Half of the answer, and the connection is closed as if that were all (effect)."""
    GARBLED = "garbled"
    """200 with the page of a proxy in place of the answer (effect)."""
    FOREIGN = "foreign"
    """200 with somebody else's JSON in place of the answer (effect)."""
    ERROR_AFTER = "error_after"
    """502 (effect)."""
    SLOW = "slow"
    """The answer dribbles in beyond the time limit (effect)."""


ARRIVING: Final = frozenset(
    {
        Phase.AFTER_EFFECT,
        Phase.HALF_ANSWER,
        Phase.HALF_CHUNKED,
        Phase.HALF_UNNOTICED,
        Phase.GARBLED,
        Phase.FOREIGN,
        Phase.ERROR_AFTER,
        Phase.SLOW,
    }
)
"""The request arrives, and has its effect."""
CERTAIN: Final = frozenset({Phase.REFUSED, Phase.NAME, Phase.RATE_LIMITED})
"""The caller can know that nothing was done."""

_PAGE: Final = b"<!doctype html><html><title>Proxy</title><h1>Something is wrong here</h1></html>"
_HTML: Final = {"content-type": "text/html"}
_JSON: Final = {"content-type": "application/json"}
_DRIBBLES: Final = 4

_LOST: Final[dict[Phase, tuple[type[httpx.TransportError], str]]] = {
    Phase.REFUSED: (httpx.ConnectError, "[Errno 111] Connection refused"),
    Phase.NAME: (httpx.ConnectError, "[Errno -2] Name or service not known"),
    Phase.BEFORE_SEND: (httpx.WriteError, "[Errno 32] Broken pipe"),
    Phase.AFTER_EFFECT: (httpx.ReadTimeout, "The read operation timed out"),
}
_INSTEAD: Final[dict[Phase, tuple[int, dict[str, str], bytes]]] = {
    Phase.STRAY: (404, _HTML, _PAGE),
    Phase.PORTAL: (200, _HTML, _PAGE),
    Phase.RATE_LIMITED: (429, {"content-type": "text/plain", "retry-after": "1"}, b"Too many requests"),
    Phase.ERROR_BEFORE: (503, _HTML, _PAGE),
    Phase.GARBLED: (200, _HTML, _PAGE),
    Phase.FOREIGN: (200, _JSON, b'{"status": "ok"}'),
    Phase.ERROR_AFTER: (502, _HTML, _PAGE),
}


class _Stream(httpx.SyncByteStream):
    """A body in parts; something happens between them."""

    def __init__(self, parts: Callable[[], Iterator[bytes]]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        return self._parts()


def seen_by_caller(
    phase: Phase, answer: httpx.Response | None, request: httpx.Request, advance: Callable[[float], None]
) -> httpx.Response:
    """What comes back over a line that is cut; ``answer`` is the provider's, if the request arrived.

    Raises what httpx raises where nothing comes back. ``advance`` moves the clock by the seconds that it took.
    """
    seconds = request.extensions["timeout"]["read"] or 0.0
    if phase is Phase.AFTER_EFFECT:
        advance(seconds)
    if phase in _LOST:
        kind, text = _LOST[phase]
        raise kind(text, request=request)
    if phase in _INSTEAD:
        status, headers, body = _INSTEAD[phase]
        return httpx.Response(status, headers=headers, content=body)
    assert answer is not None, f"{phase} is a fault of the answer, so the request arrived"
    if phase is Phase.SLOW:
        return _with_body(answer, lambda: _dribbling(answer.content, seconds, advance), length=len(answer.content))
    half = answer.content[: len(answer.content) // 2]
    if phase is Phase.HALF_UNNOTICED:
        return _with_body(answer, lambda: iter((half,)), length=None)
    length = len(answer.content) if phase is Phase.HALF_ANSWER else None
    return _with_body(answer, lambda: _breaking(half, length), length=length)


def _with_body(answer: httpx.Response, parts: Callable[[], Iterator[bytes]], length: int | None) -> httpx.Response:
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    if length is not None:
        headers["content-length"] = str(length)
    return httpx.Response(answer.status_code, headers=headers, stream=_Stream(parts))


def _breaking(half: bytes, length: int | None) -> Iterator[bytes]:
    yield half
    if length is None:
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body (chunked)")
    raise httpx.RemoteProtocolError(
        f"peer closed connection without sending complete message body (received {len(half)} bytes, expected {length})"
    )


def _dribbling(body: bytes, seconds: float, advance: Callable[[float], None]) -> Iterator[bytes]:
    """Each part comes just before the client would give up waiting for it; all together last too long."""
    size = max(1, -(-len(body) // _DRIBBLES))
    for start in range(0, len(body), size):
        advance(seconds * 0.9)
        yield body[start : start + size]
