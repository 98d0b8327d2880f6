"""No call to the world outlasts the hook that makes it, and the journal says which hook that was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.outside.worlds import URL, World, ok, raising
from tillhook.core.roles.outside import DEADLINE, HOOK, NotReached


@contextmanager
def cut_in(seconds: float) -> Iterator[None]:
    """A hook is running that has so many seconds left."""
    tokens = DEADLINE.set(time.monotonic() + seconds), HOOK.set("fulfil_order")
    try:
        yield
    finally:
        DEADLINE.reset(tokens[0])
        HOOK.reset(tokens[1])


@pytest.mark.parametrize("timeout", [None, 90])
def test_no_call_outlasts_the_hook_that_makes_it_whatever_limit_the_plugin_gives(
    world: Callable[..., World], timeout: float | None
) -> None:
    here = world(ok)
    with cut_in(6):
        here.outside.request("GET", URL, timeout=timeout)
    with cut_in(1000):
        here.outside.request("GET", URL, timeout=timeout)
    first, second = (request.extensions["timeout"]["read"] for request in here.requests)
    assert 0 < first <= 6
    assert second == (timeout or 10)


def test_a_hook_that_was_cut_makes_no_call_any_more(world: Callable[..., World]) -> None:
    here = world(ok)
    with cut_in(-1), pytest.raises(NotReached, match=f"POST {URL}: not sent, the hook fulfil_order was cut"):
        here.outside.request("POST", URL, idempotency_key="k")
    assert (here.requests, here.slept, here.journal) == ([], [], [])
    assert here.outside.request("POST", URL, idempotency_key="k").status == 200, "nobody's breaker counted it"


@pytest.mark.parametrize(("left", "tries"), [(0.1, 1), (0.3, 2), (60, 3)])
def test_nothing_is_tried_again_that_the_hook_would_not_live_to_see(
    world: Callable[..., World], left: float, tries: int
) -> None:
    """The pauses are 0.2 s and 0.4 s; that this test does not really sleep makes no difference to what is left."""
    here = world(raising(httpx.ConnectError))
    with cut_in(left), pytest.raises(NotReached):
        here.outside.request("GET", URL)
    assert len(here.requests) == tries


def test_a_hook_that_is_cut_during_the_pause_makes_no_second_try(world: Callable[..., World]) -> None:
    here = world(raising(httpx.ConnectError))
    with cut_in(60):
        here.lender.sleep = lambda _: DEADLINE.set(time.monotonic() - 1) and None
        with pytest.raises(NotReached, match="was cut"):
            here.outside.request("GET", URL)
    assert len(here.requests) == 1


def test_the_journal_says_which_hook_made_a_call(world: Callable[..., World]) -> None:
    here = world(ok)
    with cut_in(60):
        here.outside.request("POST", URL)
    here.outside.request("POST", URL)
    assert [entry.hook for entry in here.journal] == ["fulfil_order", ""]
