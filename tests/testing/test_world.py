"""The simulated world: what reaches the other side at each phase, what the caller then knows, and what is kept."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress

import pytest

from tillhook import Answer, NoAnswer, NotReached
from tillhook.core.config.system import OutsideLimits
from tillhook.core.testing.clock import Clock
from tillhook.core.testing.world import World
from tillhook.core.testing.world_phases import ARRIVING, CERTAIN, Phase
from tillhook.core.testing.world_secrets import card_numbers, without_secrets

URL = "https://api.acmepay.example/v1/payments"
ONCE = OutsideLimits(timeout_seconds=10, retries=0)


class Counter:
    """Another side that counts, and says how often it was asked."""

    address = "https://api.acmepay.example"

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Mapping[str, str], bytes]] = []

    def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.asked.append((method, path, headers, body))
        return Answer(200, {"Content-Type": "application/json"}, b'{"count": %d, "say": "thank you"}' % len(self.asked))


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def world(counter: Counter) -> World:
    return World(counter, secrets=("hunter2",))


def test_a_whole_line_carries_the_request_and_the_answer(world: World, counter: Counter) -> None:
    outside = world.lend()
    answer = outside.request("POST", f"{URL}?a=b", headers={"X-Trace": "7"}, json={"amount": 5}, idempotency_key="k1")
    assert answer.json()["count"] == 1
    method, path, headers, body = counter.asked[0]
    assert (method, path, body) == ("POST", "/v1/payments?a=b", b'{"amount":5}')
    assert (headers["x-trace"], headers["idempotency-key"]) == ("7", "k1")
    (exchange,) = world.exchanges
    assert (exchange.phase, exchange.arrived, exchange.status, exchange.key) == (None, True, 200, "k1")


@pytest.mark.parametrize("phase", Phase)
def test_the_request_arrives_exactly_at_the_phases_that_say_so(phase: Phase, world: World, counter: Counter) -> None:
    world.cut(phase)
    heard = _heard(world)
    assert len(counter.asked) == (phase in ARRIVING)
    assert [at.arrived for at in world.exchanges] == [phase in ARRIVING]
    assert heard != {"count": 1, "say": "thank you"}


WHAT_IS_HEARD = {
    Phase.REFUSED: NotReached,
    Phase.NAME: NotReached,
    Phase.BEFORE_SEND: NoAnswer,
    Phase.ERROR_BEFORE: NoAnswer,
    Phase.AFTER_EFFECT: NoAnswer,
    Phase.HALF_ANSWER: NoAnswer,
    Phase.HALF_CHUNKED: NoAnswer,
    Phase.ERROR_AFTER: NoAnswer,
    Phase.SLOW: NoAnswer,
    Phase.HALF_UNNOTICED: NoAnswer,
    Phase.GARBLED: NoAnswer,
    Phase.STRAY: NoAnswer,
    Phase.PORTAL: NoAnswer,
    Phase.RATE_LIMITED: NoAnswer,
    Phase.FOREIGN: {"status": "ok"},
}


@pytest.mark.parametrize("phase", Phase)
def test_the_caller_hears_what_the_real_outside_makes_of_it(phase: Phase, world: World) -> None:
    world.cut(phase)
    assert _heard(world) == WHAT_IS_HEARD[phase]


def test_nothing_is_certain_that_may_have_arrived() -> None:
    assert not CERTAIN & ARRIVING


def test_only_what_certainly_did_not_arrive_is_tried_again_with_its_key(world: World, counter: Counter) -> None:
    world.cut(Phase.REFUSED, times=2)
    assert world.lend().request("POST", URL, json={}, idempotency_key="k1").json()["count"] == 1
    assert [(at.phase, at.key) for at in world.exchanges] == [
        (Phase.REFUSED, "k1"),
        (Phase.REFUSED, "k1"),
        (None, "k1"),
    ]
    world.cut(Phase.AFTER_EFFECT, times=1)
    with pytest.raises(NoAnswer):
        world.lend().request("POST", URL, json={}, idempotency_key="k2")
    assert len(counter.asked) == 2


def test_time_passes_on_the_worlds_clock_and_nobody_sleeps(world: World) -> None:
    began = world.clock()
    world.cut(Phase.SLOW)
    assert _heard(world) is NoAnswer
    assert (world.clock() - began).total_seconds() > ONCE.timeout_seconds
    assert "time limit" in world.journal[0].error


def test_the_breaker_is_the_real_one(world: World, counter: Counter) -> None:
    world.cut(Phase.ERROR_BEFORE)
    outside = world.lend(limits=OutsideLimits(retries=0, breaker_failures=2, breaker_seconds=30))
    for _ in range(2):
        with pytest.raises(NoAnswer):
            outside.request("GET", URL)
    world.mend()
    with pytest.raises(NotReached, match="not tried"):
        outside.request("GET", URL)
    assert not counter.asked
    world.advance(31)
    assert outside.request("GET", URL).status == 200


# --- the script


def test_the_nth_call_can_be_cut(world: World) -> None:
    world.cut(Phase.GARBLED, skip=1, times=1)
    outside = world.lend()
    assert [outside.request("GET", URL).headers["content-type"] for _ in range(3)] == [
        "application/json",
        "text/html",
        "application/json",
    ]


def test_calls_can_be_cut_by_method_and_path(world: World) -> None:
    world.cut(Phase.RATE_LIMITED, matching="POST /v1/payments*")
    outside = world.lend()
    assert outside.request("GET", URL).status == 200
    assert outside.request("POST", f"{URL}/1/captures").status == 429


def test_an_unknown_host_refuses_the_connection(world: World) -> None:
    with pytest.raises(NotReached, match="refused"):
        world.lend(limits=ONCE).request("GET", "https://elsewhere.example/")
    with pytest.raises(NotReached, match="refused"):
        world.lend(limits=ONCE).request("GET", "http://api.acmepay.example/v1/payments")


def test_a_simulator_that_raises_is_kept_as_broken_and_answers_500(world: World, counter: Counter) -> None:
    counter.handle = lambda *_: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    with pytest.raises(NoAnswer, match="500"):
        world.lend().request("GET", URL)
    assert [type(at) for at in world.broken] == [ZeroDivisionError]


@pytest.mark.parametrize("guarded", [True, False])
def test_a_simulator_gets_one_request_at_a_time(guarded: bool, world: World, counter: Counter) -> None:
    """Without the world's lock, the second request is inside while the first still waits."""
    both, met = threading.Barrier(2), []

    def handle(*_: object) -> Answer:
        with suppress(threading.BrokenBarrierError):
            both.wait(timeout=0.2)
            met.append(True)
        return Answer(200, {}, b"{}")

    counter.handle = handle  # type: ignore[method-assign]
    if not guarded:
        world._lock = nullcontext()  # type: ignore[assignment]
    outside = world.lend()
    with ThreadPoolExecutor(2) as threads:
        assert [at.status for at in threads.map(lambda _: outside.request("GET", URL), range(2))] == [200, 200]
    assert met == ([] if guarded else [True, True])


# --- what is shown


def test_the_transcript_is_one_line_for_each_call_without_secrets(world: World) -> None:
    outside = world.lend(limits=ONCE)
    outside.request("POST", f"{URL}/hunter2?token=hunter2", headers={"Authorization": "Bearer hunter2"}, json={})
    world.cut(Phase.AFTER_EFFECT)
    with pytest.raises(NoAnswer):
        outside.request("GET", f"{URL}/4111111111111111", idempotency_key="k2")
    one, two = world.transcript().splitlines()
    assert one.endswith("POST https://api.acmepay.example/v1/payments/***: arrived, answered 200")
    assert two.endswith("GET https://api.acmepay.example/v1/payments/*** key k2: arrived, no answer, cut: after_effect")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("card 4111111111111111 end", ["4111111111111111"]),
        ("4111 1111 1111 1111", ["4111 1111 1111 1111"]),
        ("4111-1111-1111-1111,", ["4111-1111-1111-1111"]),
        ("4111111111111112", []),
        ("order 1234567890123", []),
        ("a4111111111111111", []),
        ("0.4111111111111111", []),
    ],
)
def test_a_card_number_is_told_from_other_numbers_by_its_check(text: str, found: list[str]) -> None:
    assert list(card_numbers(text)) == found
    assert all(number not in without_secrets(text, ()) for number in found)


def test_a_world_can_go_by_a_clock_that_others_go_by_too() -> None:
    clock = Clock()
    world = World(clock=clock)
    world.advance(5)
    assert world.clock() is clock.now


def _heard(world: World) -> object:
    """What comes back as JSON, or the exception's type."""
    try:
        return world.lend(limits=ONCE).request("POST", URL, json={}).json()
    except (NotReached, NoAnswer) as error:
        return type(error)
