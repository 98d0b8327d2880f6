"""How often one caller may ask."""

from hypothesis import given
from hypothesis import strategies as st

from tillhook.core.http.limits import RateLimit


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_allowed_and_what_comes_after_it_is_told_how_long_to_wait() -> None:
    limit = RateLimit(60, burst=3, now=Seconds())
    assert [limit.take("anna") for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]


def test_waiting_as_told_is_enough() -> None:
    clock = Seconds()
    limit = RateLimit(60, burst=2, now=clock)
    limit.take("anna")
    limit.take("anna")
    clock.now += limit.take("anna")
    assert limit.take("anna") == 0.0


def test_one_caller_does_not_use_up_the_allowance_of_another() -> None:
    limit = RateLimit(60, burst=1, now=Seconds())
    assert limit.take("anna") == 0.0
    assert limit.take("anna") > 0
    assert limit.take("bert") == 0.0


def test_callers_are_forgotten_in_the_order_in_which_they_were_last_seen() -> None:
    limit = RateLimit(60, burst=1, now=Seconds(), callers=2)
    for caller in ("anna", "bert", "anna", "carl"):
        limit.take(caller)
    assert len(limit) == 2
    assert limit.take("anna") > 0, "seen a moment ago, so still remembered"
    assert limit.take("bert") == 0.0, "the oldest left when carl came"


@given(
    per_minute=st.integers(1, 6000),
    burst=st.integers(1, 50),
    pauses=st.lists(st.floats(0, 5, allow_nan=False), max_size=200),
)
def test_no_span_of_time_holds_more_than_the_burst_and_the_rate_allow(
    per_minute: int, burst: int, pauses: list[float]
) -> None:
    clock = Seconds()
    limit = RateLimit(per_minute, burst, now=clock)
    allowed: list[float] = []
    for pause in pauses:
        clock.now += pause
        if limit.take("anna") == 0.0:
            allowed.append(clock.now)
    for first, start in enumerate(allowed):
        for last in range(first, len(allowed)):
            most = burst + (allowed[last] - start) * per_minute / 60
            assert last - first + 1 <= most + 1e-6
