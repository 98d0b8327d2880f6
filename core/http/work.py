"""Where units of work run: in threads of our own number, never on the event loop."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """A fixed number of threads, there between ``open`` and ``close``."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None

    def open(self) -> ThreadPoolExecutor:
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="tillhook")
        return self._pool

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``function`` in a thread that sees the context (request id, span) of the caller."""
        if self._pool is None:
            raise RuntimeError("the server is not started")
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: context.run(function, *args, **kwargs)
        )

    def close(self) -> None:
        """Wait for what is being worked on, then end the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None
