"""Payments of two calls, a challenge and its confirmation, a hold and its capture: what if one of them is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from tests.journey.test_hardening_answers import captures, not_reached, operations
from tillhook.core.domain.payment import (
    Authorised,
    Captured,
    Declined,
    NotSent,
    OperationStatus,
    Outcome,
    Unknown,
    Verb,
)
from tillhook.core.domain.problems import Problem
from tillhook.core.services import settling
from tillhook.core.testing.shop import Till, TillShop
from tillhook_sandbox.ledger import Ledger

BANANAS = "9521234001010"
SEPARATE = '\n["demo/DK".sandbox]\nseparate_capture = true\n'


@pytest.fixture
def till(shop: TillShop) -> Till:
    return shop("demo/DK").scan(BANANAS)


# --- 3-D Secure


def test_a_confirmation_that_does_not_reach_the_provider_leaves_the_challenge_open(
    shop: TillShop, till: Till, ledger: Ledger, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many providers take the money as soon as the shopper has passed, whether or not we come back."""
    asked = till.paid(token="tok_3ds")
    provider(shop, authorise=not_reached)
    with pytest.raises(Problem, match="gateway_unavailable"):
        till.confirmed(result="ok")
    monkeypatch.undo()
    order = till.order()
    assert order.payment.status == "ACTION_REQUIRED"
    assert order.payment.action == asked.action
    with pytest.raises(Problem, match="payment_in_progress"):
        till.paid(token="tok_approve")
    assert till.confirmed(result="ok").order_complete
    assert captures(ledger) == 1


def test_without_reopening_the_challenge_the_shopper_is_asked_to_pay_a_second_time(
    shop: TillShop, till: Till, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "reopen_challenge", lambda *_: False)
    till.paid(token="tok_3ds")
    provider(shop, authorise=not_reached)
    with pytest.raises(Problem, match="gateway_unavailable"):
        till.confirmed(result="ok")
    assert till.order().payment.status == "ERROR"


def test_a_challenge_whose_confirmation_was_lost_is_still_asked_about(
    shop: TillShop, till: Till, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    till.paid(token="tok_3ds")
    provider(shop, authorise=not_reached)
    with pytest.raises(Problem, match="gateway_unavailable"):
        till.confirmed(result="ok")
    challenge = next(entry for entry in operations(till) if entry.operation.status is OperationStatus.ACTION_REQUIRED)
    told: list[str] = []

    def captured_meanwhile(request: Any, outside: Any) -> Outcome:
        told.append(request.operation_id)
        return Captured("psp", request.amount)

    provider(shop, inquire=captured_meanwhile)
    shop.clock.advance(10)
    assert shop.dispatcher.keep_house() == 1
    assert told == [challenge.operation.operation_id]
    assert till.order().order_status == "COMPLETED"


def test_a_server_that_dies_before_it_sends_a_confirmation_leaves_the_challenge_open(
    shop: TillShop, till: Till, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    till.paid(token="tok_3ds")

    def die(step: str) -> None:
        if step == "gateway.authorise.before":
            raise KeyboardInterrupt

    monkeypatch.setattr(shop.platform, "checkpoint", die)
    with pytest.raises(KeyboardInterrupt):
        till.confirmed(result="ok")
    shop.crash_and_restart()
    shop.clock.advance(3600)
    shop.dispatcher.keep_house()
    assert till.order().payment.status == "ACTION_REQUIRED"
    assert till.confirmed(result="ok").order_complete
    assert captures(ledger) == 1


# --- authorised first, captured later


def test_a_hold_that_is_told_again_when_the_capture_is_asked_about_is_captured(
    open_shop: Callable[..., TillShop], ledger: Ledger, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = open_shop(SEPARATE)
    till = shop("demo/DK").scan(BANANAS)
    till.session()
    provider(shop, capture=not_reached)
    assert till.paid(token="tok_approve").status == "PSP_CAPTURE_WAITING"
    monkeypatch.undo()
    provider(shop, inquire=lambda request, _: Authorised("psp", request.amount))
    shop.clock.advance(10)
    assert till.order().order_status == "COMPLETED"
    assert captures(ledger) == 1


def test_the_capture_is_sent_under_its_own_key_even_when_the_clock_goes_backwards(
    open_shop: Callable[..., TillShop], ledger: Ledger, provider: Any
) -> None:
    shop = open_shop(SEPARATE)
    till = shop("demo/DK").scan(BANANAS)
    till.session()
    real = shop.platform.host.shop(till.store).gateway.authorise

    def and_the_clock_is_set_back(request: Any, outside: Any) -> Outcome:
        shop.clock.advance(-3600)
        answer: Outcome = real(request, outside)
        return answer

    provider(shop, authorise=and_the_clock_is_set_back)
    assert till.paid(token="tok_approve").order_complete
    verbs = {entry.operation.verb: entry.operation.status for entry in operations(till)}
    assert verbs == {Verb.AUTHORISE: OperationStatus.SUCCEEDED, Verb.CAPTURE: OperationStatus.SUCCEEDED}
    assert captures(ledger) == 1


def test_a_capture_sent_again_without_keys_is_not_called_declined_for_being_the_second(
    open_shop: Callable[..., TillShop], provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one took the money unseen; «already captured» is then no news about the money."""
    shop = open_shop(SEPARATE)
    till = shop("demo/DK").scan(BANANAS)
    till.session()
    gateway = shop.platform.host.shop(till.store).gateway
    monkeypatch.setattr(gateway, "capabilities", replace(gateway.capabilities, idempotency_keys=False))
    provider(shop, capture=lambda *_: Unknown("read timeout"))
    assert till.paid(token="tok_approve").status == "PSP_CAPTURE_WAITING"
    provider(shop, capture=lambda *_: Declined("already_captured"), inquire=lambda *_: NotSent("not seen yet"))
    shop.clock.advance(10)
    assert till.order().payment.status == "PSP_CAPTURE_WAITING"
    with pytest.raises(Problem, match="payment_in_progress"):
        till.paid(token="tok_approve")


def test_a_gateway_that_tries_to_end_the_process_leaves_the_payment_open(
    shop: TillShop, till: Till, provider: Any
) -> None:
    def leave(*_: Any) -> Outcome:
        raise SystemExit(3)

    provider(shop, authorise=leave)
    assert till.paid(token="tok_approve").status == "PENDING"
