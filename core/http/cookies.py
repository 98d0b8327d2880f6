"""The cookie of somebody who signed in with a browser. It holds the bearer token and counts for reading pages only."""

from __future__ import annotations

from typing import Final

from litestar.types import HTTPScope, Scope

PAGES: Final = "/pages/"
"""Where pages are; the cookie is looked at below this address, and only for GET."""
LONGEST: Final = 3_800
"""Bytes of a token that a browser keeps: it drops a cookie above 4096 with name and attributes, saying nothing."""

_SECURE: Final = "__Host-tillhook-pages"
"""The prefix has the browser refuse it from any other host, and from this one without TLS (RFC 6265bis §4.1.3.2)."""
_PLAIN: Final = "tillhook-pages"


def in_pages(scope: Scope) -> bool:
    """Whether a request is for the pages, so that a person reads the answer."""
    path = scope["path"]
    return path.startswith(PAGES) or path == PAGES.rstrip("/")


def token_of(scope: HTTPScope) -> bytes | None:
    """The token in the cookie of a request for a page; None for any other request.

    Over TLS only the cookie counts that was set over TLS.
    """
    if scope["method"] != "GET" or not in_pages(scope):
        return None
    wanted = (_SECURE if scope["scheme"] == "https" else _PLAIN).encode()
    for name, value in scope["headers"]:
        if name == b"cookie":
            for pair in value.split(b";"):
                key, _, token = pair.strip().partition(b"=")
                if key == wanted and token:
                    return token
    return None


def signed_in(scope: Scope, token: str, seconds: int) -> str:
    """The header ``Set-Cookie`` that keeps a token for ``seconds``."""
    if scope["scheme"] == "https":
        return f"{_SECURE}={token}; Max-Age={seconds}; Path=/; Secure; HttpOnly; SameSite=Strict"
    return f"{_PLAIN}={token}; Max-Age={seconds}; Path={PAGES.rstrip('/')}; HttpOnly; SameSite=Strict"


def signed_out(scope: Scope) -> str:
    """The header ``Set-Cookie`` that has the browser forget the token."""
    return signed_in(scope, "", 0)
