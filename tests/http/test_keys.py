"""When an issuer is asked for its keys."""

import threading
from collections.abc import Mapping
from typing import Any

import pytest
from joserfc.jwk import OctKey

from tests.http.parts import Clock, Provider, ec_key
from tillhook.core.domain.problems import Problem
from tillhook.core.http.keys import ASK_EVERY, BELIEVED_FOR, KeyRing
from tillhook.core.roles.outside import NotReached, Outside
from tillhook.core.testing.outside import RecordingOutside

ONE, TWO = ec_key("one"), ec_key("two")


def ring(provider: Provider, clock: Clock) -> KeyRing:
    return KeyRing(provider, RecordingOutside(), clock)


def test_a_known_key_is_asked_for_once() -> None:
    provider, clock = Provider(ONE), Clock()
    keys = ring(provider, clock)
    assert all(keys.find("one") for _ in range(5))
    assert provider.asked == 1


def test_a_new_key_is_found_after_a_rotation() -> None:
    provider, clock = Provider(ONE), Clock()
    keys = ring(provider, clock)
    keys.find("one")
    provider.published = [TWO.as_dict(private=False)]
    clock.advance(ASK_EVERY.total_seconds())
    assert keys.find("two")
    assert keys.find("one") is None


def test_unknown_key_ids_do_not_make_us_ask_more_often_than_the_bound() -> None:
    provider, clock = Provider(ONE), Clock()
    keys = ring(provider, clock)
    for _ in range(61):
        assert keys.find("invented") is None
        clock.advance(1)
    assert provider.asked == 1 + 60 // 30


def test_old_keys_are_asked_for_again_so_that_a_withdrawn_one_is_noticed() -> None:
    provider, clock = Provider(ONE), Clock()
    keys = ring(provider, clock)
    assert keys.find("one")
    provider.published = [TWO.as_dict(private=False)]
    clock.advance(BELIEVED_FOR.total_seconds())
    assert keys.find("one") is None


def test_known_keys_hold_while_the_issuer_is_silent() -> None:
    provider, clock = Provider(ONE), Clock()
    keys = ring(provider, clock)
    keys.find("one")
    provider.failing = NotReached("down")
    clock.advance(BELIEVED_FOR.total_seconds())
    assert keys.find("one")
    assert keys.find("two") is None


@pytest.mark.parametrize("failure", [NotReached("down"), ValueError("half an answer"), KeyError("keys")])
def test_a_token_is_neither_good_nor_bad_while_the_issuer_was_never_reached(failure: Exception) -> None:
    provider, clock = Provider(ONE), Clock()
    provider.failing = failure
    keys = ring(provider, clock)
    for _ in range(2):
        with pytest.raises(Problem, match="cannot be reached") as refused:
            keys.find("one")
        assert refused.value.code == "not_ready"
        assert refused.value.facts["retry_after"] == 30
    assert provider.asked == 1
    provider.failing = None
    clock.advance(ASK_EVERY.total_seconds())
    assert keys.find("one")


def test_a_clock_set_back_does_not_stop_the_asking() -> None:
    provider, clock = Provider(ONE), Clock()
    keys = ring(provider, clock)
    keys.find("one")
    clock.advance(-86_400)
    provider.published = [TWO.as_dict(private=False)]
    assert keys.find("two")


def test_keys_that_cannot_be_used_are_left_out_and_the_rest_is_kept() -> None:
    provider, clock = Provider(ONE), Clock()
    secret = OctKey.import_key("0123456789abcdef0123456789abcdef", {"kid": "secret"})
    provider.published += [
        {"kty": "PQ-NEW", "kid": "future"},
        {"kty": "EC", "kid": "broken", "crv": "P-256", "x": "!", "y": "!"},
        {**TWO.as_dict(private=False), "kid": "encrypting", "use": "enc"},
        {name: value for name, value in TWO.as_dict(private=False).items() if name != "kid"},
        secret.as_dict(private=True),
    ]
    keys = ring(provider, clock)
    assert keys.find("one")
    assert [keys.find(kid) for kid in ("future", "broken", "encrypting", "secret")] == [None] * 4


class Slow(Provider):
    """Answers when the test lets it."""

    def __init__(self, *keys: Any) -> None:
        super().__init__(*keys)
        self.entered = threading.Event()
        self.let_go = threading.Event()
        self.let_go.set()

    def keys(self, outside: Outside) -> Mapping[str, Any]:
        self.entered.set()
        assert self.let_go.wait(10)
        return super().keys(outside)


def test_many_who_need_a_key_at_once_lead_to_one_question() -> None:
    provider, clock = Slow(ONE), Clock()
    keys = ring(provider, clock)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(keys.find("one"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert provider.asked == 1
    assert len(found) == 8
    assert all(found)


def test_nobody_waits_for_a_slow_issuer_when_the_key_is_known() -> None:
    provider, clock = Slow(ONE), Clock()
    keys = ring(provider, clock)
    keys.find("one")
    clock.advance(BELIEVED_FOR.total_seconds())
    provider.let_go.clear()
    provider.entered.clear()
    asking = threading.Thread(target=lambda: keys.find("one"))
    asking.start()
    assert provider.entered.wait(10)
    assert keys.find("one"), "answered at once, while the other still asks"
    provider.let_go.set()
    asking.join()
