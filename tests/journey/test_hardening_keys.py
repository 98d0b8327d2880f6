"""Idempotency keys of payments whose first request ended in an unusual way: the same key always leads on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.journey.together import CALLERS, at_once, codes, meet
from tillhook.core.domain.problems import Problem, plugin_failed
from tillhook.core.plugins.shop import Shop
from tillhook.core.roles.outside import NotReached
from tillhook.core.services import paying
from tillhook.core.services.wire import AddPaymentRequest, PaymentView, Reply
from tillhook.core.storage.idempotency import Once
from tillhook.core.testing.shop import Till, TillShop, decoded
from tillhook_sandbox.ledger import Ledger

BANANAS = "9521234001010"
ONCE = Once("me", "key", "fingerprint")


@pytest.fixture
def till(shop: TillShop) -> Till:
    till = shop("demo/DK").scan(BANANAS)
    till.session()
    return till


def pay(till: Till, token: str = "tok_approve") -> Reply:
    request = AddPaymentRequest(session_id=till.session_id, payment_details={"token": token})
    return paying.add_payment(till.shop.platform, till.who, request, ONCE)


def seen(reply: Reply) -> tuple[int, str, bool]:
    view = decoded(reply, PaymentView)
    return reply.status, view.status, view.order_complete


def die_at(till: Till, step: str, monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]) -> None:
    """The server ends at a step, and another one takes its place."""

    def stop(name: str) -> None:
        if name == step:
            raise KeyboardInterrupt

    monkeypatch.setattr(till.shop.platform, "checkpoint", stop)
    with pytest.raises(KeyboardInterrupt):
        work()
    till.shop.crash_and_restart()


def captures(ledger: Ledger) -> int:
    return sum(charge.captures for charge in ledger.charges())


def test_a_key_whose_server_died_before_the_call_pays_when_it_is_sent_again(
    shop: TillShop, till: Till, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_at(till, "claim.committed", monkeypatch, lambda: pay(till))
    assert seen(pay(till)) == (202, "PENDING", False), "nobody knows yet whether the call was made"
    shop.clock.advance(60)
    shop.dispatcher.keep_house()
    assert seen(pay(till)) == (200, "CAPTURED", True)
    assert captures(ledger) == 1


def test_a_key_whose_server_died_after_the_call_is_answered_with_what_became_of_it(
    shop: TillShop, till: Till, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_at(till, "gateway.authorise.after", monkeypatch, lambda: pay(till))
    shop.clock.advance(60)
    shop.dispatcher.keep_house()
    assert seen(pay(till)) == (200, "CAPTURED", True)
    assert captures(ledger) == 1


def test_a_key_that_was_answered_with_202_is_answered_anew_when_it_is_settled(shop: TillShop, till: Till) -> None:
    assert seen(pay(till, "tok_timeout")) == (202, "PENDING", False)
    assert seen(pay(till, "tok_timeout")) == (202, "PENDING", False)
    shop.clock.advance(10)
    till.order()
    assert seen(pay(till, "tok_timeout")) == (200, "CAPTURED", True)


def test_sixteen_repeats_of_a_key_whose_attempt_was_lost_charge_once(
    shop: TillShop, till: Till, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_at(till, "claim.committed", monkeypatch, lambda: pay(till))
    shop.clock.advance(60)
    shop.dispatcher.keep_house()
    results = at_once(lambda _: pay(till))
    assert codes(results) == {"Reply"}
    assert captures(ledger) == 1


def test_without_the_claim_the_repeats_of_a_lost_key_charge_more_than_once(
    shop: TillShop, till: Till, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_at(till, "claim.committed", monkeypatch, lambda: pay(till))
    shop.clock.advance(60)
    shop.dispatcher.keep_house()
    real = paying.save_payment
    monkeypatch.setattr(paying, "save_payment", lambda *arguments: real(*arguments) or True)
    meet(shop, "claim.before", CALLERS, monkeypatch)
    at_once(lambda _: pay(till))
    assert captures(ledger) > 1


def test_a_twin_of_a_request_at_work_is_never_told_that_nothing_has_begun(till: Till) -> None:
    results = at_once(lambda _: pay(till))
    assert codes(results) == {"Reply"}
    assert {decoded(result, PaymentView).status for result in results} <= {"PENDING", "CAPTURED"}


def test_a_key_of_a_payment_that_completed_later_shows_the_completed_order(
    shop: TillShop, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosted = shop.platform.host.shop(till.store)
    monkeypatch.setattr(hosted, "ask", _refusing(hosted, "poslog_for"))
    assert seen(pay(till)) == (200, "CAPTURED", False)
    monkeypatch.undo()
    shop.do_duties()
    assert seen(pay(till)) == (200, "CAPTURED", True)


def test_a_confirmation_that_was_lost_can_be_sent_again_with_its_key(
    shop: TillShop, till: Till, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    till.paid(token="tok_3ds")
    die_at(till, "claim.committed", monkeypatch, lambda: till.confirmed(once=ONCE, result="ok"))
    shop.clock.advance(60)
    shop.dispatcher.keep_house()
    assert till.confirmed(once=ONCE, result="ok").order_complete
    assert captures(ledger) == 1


def test_a_confirmation_that_did_not_reach_the_provider_can_be_sent_again_with_its_key(
    shop: TillShop, till: Till, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    till.paid(token="tok_3ds")

    def refuse(*_: Any) -> Any:
        raise NotReached("connection refused")

    monkeypatch.setattr(shop.platform.host.shop(till.store).gateway, "authorise", refuse)
    with pytest.raises(Problem, match="gateway_unavailable"):
        till.confirmed(once=ONCE, result="ok")
    monkeypatch.undo()
    assert till.confirmed(once=ONCE, result="ok").order_complete
    assert captures(ledger) == 1


def _refusing(hosted: Shop, hook: str) -> Callable[..., Any]:
    real = hosted.ask

    def ask(asked: str, **arguments: Any) -> Any:
        if asked == hook:
            raise plugin_failed(f"{hook} is out of order")
        return real(asked, **arguments)

    return ask
