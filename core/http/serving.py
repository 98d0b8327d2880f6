"""How uvicorn runs the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import uvicorn

from tillhook.core.config.system import System
from tillhook.core.http.server import Server

KEEP_ALIVE_SECONDS: Final = 75
"""Longer than the usual 60 s of a proxy in front, so that the proxy closes first."""
DRAIN_SECONDS: Final = 30
"""How long requests under way may take once the server was told to stop."""
MOST_CONNECTIONS: Final = 2_000
"""Beyond that a connection is answered with 503 at once."""


def uvicorn_config(app: Server | Callable[[], Server], system: System, *, workers: int = 1) -> uvicorn.Config:
    """uvicorn's settings: our own logs, no ``Server`` header, bounded connections, a graceful stop.

    For several ``workers``, ``app`` makes the server in each of them.

    uvicorn has no limit for the time in which a request must arrive; a server that faces the internet needs a proxy
    in front. Addresses of clients are taken from a proxy's ``X-Forwarded-For`` only where ``FORWARDED_ALLOW_IPS``
    names that proxy (default: this machine).
    """
    return uvicorn.Config(
        app,
        factory=not isinstance(app, Server),
        workers=workers,
        host=system.server.host,
        port=system.server.port,
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        h11_max_incomplete_event_size=32_768,
    )
