"""Where units of work run: in threads of our own number, never on the event loop."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

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
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        call = partial(contextvars.copy_context().run, function, *args, **kwargs)
        # loop.run_in_executor would watch a second future for this one, for twice the price of the hop.
        self._pool.submit(_answer, loop, answer, call)
        return await answer

    def close(self) -> None:
        """Wait for what is being worked on, then end the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None


def _answer(loop: asyncio.AbstractEventLoop, answer: asyncio.Future[T], call: Callable[[], T]) -> None:
    try:
        result = call()
    except StopIteration as error:
        # A future refuses this one, and the caller would wait for ever.
        refused = RuntimeError("StopIteration")
        refused.__cause__ = error
        loop.call_soon_threadsafe(_settle, answer, None, refused)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the caller gets it
        loop.call_soon_threadsafe(_settle, answer, None, error)
    else:
        loop.call_soon_threadsafe(_settle, answer, result, None)


def _settle(answer: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    """Whoever was cancelled while waiting wants no answer any more."""
    if answer.cancelled():
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
