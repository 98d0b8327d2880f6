"""Worker threads: the caller gets what the function gives or raises, and the function sees the caller's context."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import NoReturn

import pytest

from tillhook.core.http.work import Workers

REQUEST: ContextVar[str] = ContextVar("request", default="none")


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers(2)
    made.open()
    yield made
    made.close()


def test_the_answer_comes_back_from_another_thread(workers: Workers) -> None:
    assert asyncio.run(workers.run(threading.get_ident)) != threading.get_ident()
    assert asyncio.run(workers.run(divmod, 7, 2)) == (3, 1)


def test_the_function_sees_the_context_of_the_caller_and_leaves_it_alone(workers: Workers) -> None:
    def change() -> str:
        before = REQUEST.get()
        REQUEST.set("changed")
        return before

    async def call() -> tuple[str, str]:
        REQUEST.set("req_1")
        return await workers.run(change), REQUEST.get()

    assert asyncio.run(call()) == ("req_1", "req_1")


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1)], ids=["an error", "an exit"])
def test_what_the_function_raises_is_raised_to_the_caller(workers: Workers, error: BaseException) -> None:
    def fail() -> NoReturn:
        raise error

    async def call() -> BaseException:
        try:
            await workers.run(fail)
        except BaseException as raised:  # noqa: BLE001 - an exit too
            return raised
        raise AssertionError("nothing was raised")

    assert asyncio.run(call()) is error


def test_a_stray_stop_iteration_does_not_leave_the_caller_waiting(workers: Workers) -> None:
    nothing: Iterator[int] = iter(())
    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(workers.run(next, nothing))


def test_a_caller_that_gave_up_is_not_answered_and_the_thread_goes_on(workers: Workers) -> None:
    go_on, done = threading.Event(), threading.Event()

    def work() -> None:
        go_on.wait()
        done.set()

    async def call() -> int:
        waiting = asyncio.create_task(workers.run(work))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go_on.set()
        await workers.run(done.wait)
        return await workers.run(lambda: 7)

    assert asyncio.run(call()) == 7


def test_nothing_runs_before_the_start_or_after_the_end() -> None:
    workers = Workers(1)
    with pytest.raises(RuntimeError, match="not started"):
        asyncio.run(workers.run(int))
    workers.open()
    workers.close()
    with pytest.raises(RuntimeError, match="not started"):
        asyncio.run(workers.run(int))
