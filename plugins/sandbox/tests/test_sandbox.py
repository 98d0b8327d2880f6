"""The sandbox: what each magic value does, and that its books survive."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tillhook import (
    ActionRequired,
    Authorised,
    Cancelled,
    Captured,
    Declined,
    Money,
    NoAnswer,
    NotReached,
    NotSent,
    PaymentEvent,
    PaymentRequest,
    Pending,
    Refunded,
    SessionRequest,
    Unknown,
)
from tillhook.core.testing.outside import RecordingOutside
from tillhook.core.testing.subject import build
from tillhook_sandbox import SIGNATURE_HEADER, Sandbox, SandboxGateway

OUTSIDE = RecordingOutside()


def gateway_in(folder: Path, **settings: Any) -> SandboxGateway:
    plugin = build(Sandbox, {"ledger": "{tmp}/books/ledger.sqlite3", **settings}, folder)
    (gateway,) = plugin.payment_gateways()
    assert isinstance(gateway, SandboxGateway)
    return gateway


@pytest.fixture
def gateway(tmp_path: Path) -> SandboxGateway:
    return gateway_in(tmp_path, webhook_secret="env:SANDBOX_SECRET")


def request(key: str = "k1", token: str = "tok_approve", **changes: Any) -> PaymentRequest:
    details: Mapping[str, Any] = {"token": token} if token else {}
    given: dict[str, Any] = {
        "operation_id": f"op_{key}",
        "merchant_reference": "pay_1",
        "idempotency_key": key,
        "amount": Money(1999, "EUR"),
        "details": details,
    }
    return PaymentRequest(**(given | changes))


def captures(gateway: SandboxGateway) -> list[int]:
    return [charge.captures for charge in gateway.charges()]


# --- the magic values


def test_an_approving_token_captures_the_amount_once(gateway: SandboxGateway) -> None:
    outcome = gateway.authorise(request(), OUTSIDE)
    assert isinstance(outcome, Captured)
    assert outcome.amount == Money(1999, "EUR")
    assert (outcome.card_brand, len(outcome.card_last4)) == ("visa", 4)
    (charge,) = gateway.charges()
    assert (charge.merchant_reference, charge.captures, charge.captured) == ("pay_1", 1, Money(1999, "EUR"))


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("tok_decline", "card_declined"),
        ("tok_decline_insufficient_funds", "insufficient_funds"),
        ("tok_decline_expired_card", "expired_card"),
        ("tok_decline_incorrect_cvc", "incorrect_cvc"),
        ("tok_decline_lost_card", "lost_card"),
        ("tok_decline_limit_exceeded", "limit_exceeded"),
        ("tok_decline_no_such_code", "invalid_token"),
        ("tok_invented", "invalid_token"),
        ("", "invalid_token"),
    ],
)
def test_a_declining_or_unknown_token_is_declined_with_its_code(gateway: SandboxGateway, token: str, code: str) -> None:
    outcome = gateway.authorise(request(token=token), OUTSIDE)
    assert isinstance(outcome, Declined)
    assert outcome.code == code
    assert gateway.inquire(request(), OUTSIDE) == outcome
    assert gateway.charges() == []


def test_a_token_that_is_no_text_is_declined(gateway: SandboxGateway) -> None:
    outcome = gateway.authorise(request(details={"token": ["tok_approve"]}), OUTSIDE)
    assert isinstance(outcome, Declined)
    assert outcome.code == "invalid_token"


def test_a_challenge_that_succeeds_captures_once_however_often_it_is_confirmed(gateway: SandboxGateway) -> None:
    challenge = gateway.authorise(request(token="tok_3ds", return_url="https://shop.example/back?a=1&b=2"), OUTSIDE)
    assert isinstance(challenge, ActionRequired)
    assert challenge.redirect_url == (
        f"https://sandbox.invalid/3ds?psp_reference={challenge.psp_reference}"
        "&return_url=https%3A%2F%2Fshop.example%2Fback%3Fa%3D1%26b%3D2"
    )
    assert gateway.charges() == []
    for key in ("k2", "k3"):
        confirmed = gateway.authorise(
            request(key, psp_reference=challenge.psp_reference, details={"result": "ok"}), OUTSIDE
        )
        assert isinstance(confirmed, Captured)
    assert captures(gateway) == [1]
    assert isinstance(gateway.inquire(request("k1"), OUTSIDE), Captured)


def test_a_challenge_that_fails_is_declined_for_good(gateway: SandboxGateway) -> None:
    challenge = gateway.authorise(request(token="tok_3ds"), OUTSIDE)
    assert isinstance(challenge, ActionRequired)
    for key, result in (("k2", "failed"), ("k3", "ok")):
        outcome = gateway.authorise(
            request(key, psp_reference=challenge.psp_reference, details={"result": result}), OUTSIDE
        )
        assert isinstance(outcome, Declined)
        assert outcome.code == "authentication_failed"
    assert gateway.charges() == []


def test_a_challenge_without_a_result_is_still_to_be_met(gateway: SandboxGateway) -> None:
    challenge = gateway.authorise(request(token="tok_3ds"), OUTSIDE)
    assert isinstance(challenge, ActionRequired)
    again = gateway.authorise(request("k2", psp_reference=challenge.psp_reference, details={}), OUTSIDE)
    assert again == challenge
    assert gateway.inquire(request(), OUTSIDE) == challenge


def test_a_challenge_is_settled_only_for_its_own_payment_and_amount(gateway: SandboxGateway) -> None:
    challenge = gateway.authorise(request(token="tok_3ds"), OUTSIDE)
    assert isinstance(challenge, ActionRequired)
    confirm: dict[str, Any] = {"psp_reference": challenge.psp_reference, "details": {"result": "ok"}}
    other = gateway.authorise(request("k2", merchant_reference="pay_2", **confirm), OUTSIDE)
    amount = gateway.authorise(request("k3", amount=Money(1, "EUR"), **confirm), OUTSIDE)
    assert isinstance(other, Declined)
    assert isinstance(amount, Declined)
    assert (other.code, amount.code) == ("unknown_payment", "amount_mismatch")
    assert gateway.charges() == []


def test_a_pending_payment_is_captured_when_it_is_asked_for_the_second_time(gateway: SandboxGateway) -> None:
    pending = gateway.authorise(request(token="tok_pending"), OUTSIDE)
    assert isinstance(pending, Pending)
    assert gateway.inquire(request(), OUTSIDE) == pending
    assert gateway.charges() == []
    for _ in range(3):
        assert isinstance(gateway.inquire(request(), OUTSIDE), Captured)
    assert captures(gateway) == [1]


@pytest.mark.parametrize("token", ["tok_timeout", "tok_garbled"])
def test_a_lost_answer_has_had_its_effect(gateway: SandboxGateway, token: str) -> None:
    with pytest.raises(NoAnswer):
        gateway.authorise(request(token=token), OUTSIDE)
    assert captures(gateway) == [1]
    assert isinstance(gateway.inquire(request(), OUTSIDE), Captured)
    assert isinstance(gateway.authorise(request(token=token), OUTSIDE), Captured)
    assert captures(gateway) == [1]


@pytest.mark.parametrize(("token", "failure"), [("tok_timeout_before", NoAnswer), ("tok_unreachable", NotReached)])
def test_a_call_that_never_arrives_has_no_effect(gateway: SandboxGateway, token: str, failure: type[Exception]) -> None:
    for _ in range(2):
        with pytest.raises(failure):
            gateway.authorise(request(token=token), OUTSIDE)
    assert isinstance(gateway.inquire(request(), OUTSIDE), NotSent)
    assert gateway.charges() == []


def test_a_refund_can_lose_its_answer_too(gateway: SandboxGateway) -> None:
    gateway.authorise(request(), OUTSIDE)
    with pytest.raises(NoAnswer):
        gateway.refund(request("r1", token="tok_timeout"), OUTSIDE)
    assert isinstance(gateway.inquire(request("r1"), OUTSIDE), Refunded)
    assert [charge.refunds for charge in gateway.charges()] == [1]


# --- refusals


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        (Money(0, "EUR"), "invalid_amount"),
        (Money(-1, "EUR"), "invalid_amount"),
        (Money(10**15 + 1, "EUR"), "invalid_amount"),
        (Money(10**30, "EUR"), "invalid_amount"),
        (Money(100, "SEK"), "unsupported_currency"),
        (Money(100, "ZZZ"), "unsupported_currency"),
        (Money(100, ""), "unsupported_currency"),
    ],
)
def test_an_impossible_amount_or_currency_is_declined(tmp_path: Path, amount: Money, code: str) -> None:
    gateway = gateway_in(tmp_path, currencies=["EUR", "ZZZ"])
    outcome = gateway.authorise(request(amount=amount), OUTSIDE)
    assert isinstance(outcome, Declined)
    assert outcome.code == code
    assert isinstance(gateway.inquire(request(), OUTSIDE), NotSent)
    session = SessionRequest(payment_id="pay_1", order_id="ord_1", amount=amount, store_id="S1", platform="ios")
    with pytest.raises(ValueError, match=code):
        gateway.create_session(session, OUTSIDE)


def test_a_payment_method_that_is_not_offered_is_declined(gateway: SandboxGateway) -> None:
    outcome = gateway.authorise(request(payment_method="cheque"), OUTSIDE)
    assert isinstance(outcome, Declined)
    assert outcome.code == "unsupported_method"


def test_an_operation_without_a_key_is_declined_each_time(gateway: SandboxGateway) -> None:
    for _ in range(2):
        outcome = gateway.authorise(request(""), OUTSIDE)
        assert isinstance(outcome, Declined)
        assert outcome.code == "missing_idempotency_key"
    assert gateway.charges() == []


@pytest.mark.parametrize(
    "changes", [{"amount": Money(1, "EUR")}, {"amount": Money(1999, "SEK")}, {"merchant_reference": "pay_2"}]
)
def test_a_key_used_for_something_else_is_neither_done_nor_declined(
    gateway: SandboxGateway, changes: dict[str, Any]
) -> None:
    gateway.authorise(request(), OUTSIDE)
    assert isinstance(gateway.authorise(request(**changes), OUTSIDE), Unknown)
    assert isinstance(gateway.refund(request(), OUTSIDE), Unknown)
    assert captures(gateway) == [1]


def test_nothing_can_be_done_to_a_payment_that_never_was(gateway: SandboxGateway) -> None:
    for verb, key in ((gateway.refund, "r"), (gateway.cancel, "x"), (gateway.authorise, "a")):
        outcome = verb(request(key, psp_reference="sbx_none"), OUTSIDE)
        assert isinstance(outcome, Declined)
        assert outcome.code == "unknown_payment"


def test_another_payments_reference_moves_no_money(gateway: SandboxGateway) -> None:
    paid = gateway.authorise(request(), OUTSIDE)
    assert isinstance(paid, Captured)
    stolen = request("r1", merchant_reference="pay_2", psp_reference=paid.psp_reference)
    outcome = gateway.refund(stolen, OUTSIDE)
    assert isinstance(outcome, Declined)
    assert [charge.refunds for charge in gateway.charges()] == [0]


def test_a_refund_in_another_currency_is_declined(gateway: SandboxGateway) -> None:
    gateway.authorise(request(), OUTSIDE)
    outcome = gateway.refund(request("r1", amount=Money(5, "SEK")), OUTSIDE)
    assert isinstance(outcome, Declined)
    assert outcome.code == "refund_exceeds_captured"


# --- holding first


def test_a_payment_is_held_then_captured_in_parts_up_to_what_was_held(tmp_path: Path) -> None:
    gateway = gateway_in(tmp_path, separate_capture=True)
    held = gateway.authorise(request(), OUTSIDE)
    assert isinstance(held, Authorised)
    assert gateway.charges() == []
    assert isinstance(gateway.capture(request("c1", amount=Money(1500, "EUR")), OUTSIDE), Captured)
    too_much = gateway.capture(request("c2", amount=Money(500, "EUR")), OUTSIDE)
    assert isinstance(too_much, Declined)
    assert too_much.code == "capture_exceeds_authorised"
    assert isinstance(gateway.capture(request("c3", amount=Money(499, "EUR")), OUTSIDE), Captured)
    assert isinstance(gateway.inquire(request("k1"), OUTSIDE), Authorised)
    (charge,) = gateway.charges()
    assert (charge.captures, charge.captured) == (2, Money(1999, "EUR"))


def test_a_payment_can_be_cancelled_until_it_is_captured(tmp_path: Path) -> None:
    gateway = gateway_in(tmp_path, separate_capture=True)
    gateway.authorise(request(), OUTSIDE)
    assert isinstance(gateway.cancel(request("x1"), OUTSIDE), Cancelled)
    assert isinstance(gateway.cancel(request("x2"), OUTSIDE), Cancelled)
    assert isinstance(gateway.inquire(request("k1"), OUTSIDE), Cancelled)
    gateway.authorise(request("k2", merchant_reference="pay_2"), OUTSIDE)
    gateway.capture(request("c2", merchant_reference="pay_2"), OUTSIDE)
    outcome = gateway.cancel(request("x3", merchant_reference="pay_2"), OUTSIDE)
    assert isinstance(outcome, Declined)
    assert outcome.code == "not_cancellable"


def test_a_pending_payment_that_was_cancelled_is_never_captured(gateway: SandboxGateway) -> None:
    gateway.authorise(request(token="tok_pending"), OUTSIDE)
    assert isinstance(gateway.cancel(request("x1"), OUTSIDE), Cancelled)
    for _ in range(3):
        assert isinstance(gateway.inquire(request(), OUTSIDE), Cancelled)
    assert gateway.charges() == []


# --- webhooks


def test_a_signed_webhook_tells_what_happened_and_settles_a_pending_payment(gateway: SandboxGateway) -> None:
    gateway.authorise(request(token="tok_pending"), OUTSIDE)
    headers, body = gateway.webhook_for("pay_1")
    told = gateway.read_webhook({name.lower(): value for name, value in headers.items()}, body)
    assert (told.merchant_reference, told.event) == ("pay_1", PaymentEvent.CAPTURED)
    assert told.outcome == gateway.inquire(request(), OUTSIDE)
    assert gateway.webhook_for("pay_1") == (headers, body)
    assert captures(gateway) == [1]


def test_a_webhook_changed_by_one_byte_is_refused(gateway: SandboxGateway) -> None:
    gateway.authorise(request(), OUTSIDE)
    headers, body = gateway.webhook_for("pay_1")
    for forged in (body.replace(b"1999", b"1998"), body + b" ", b""):
        with pytest.raises(ValueError, match="signature"):
            gateway.read_webhook(headers, forged)
    with pytest.raises(ValueError, match="signature"):
        gateway.read_webhook({**headers, SIGNATURE_HEADER: "sha256=é"}, body)


def test_a_webhook_signed_with_another_secret_is_refused(gateway: SandboxGateway, tmp_path: Path) -> None:
    gateway.authorise(request(), OUTSIDE)
    headers, body = gateway.webhook_for("pay_1")
    with pytest.raises(ValueError, match="webhook_secret"):
        gateway_in(tmp_path).read_webhook(headers, body)


def test_a_webhook_about_nothing_known_is_not_made(gateway: SandboxGateway) -> None:
    with pytest.raises(LookupError, match="pay_9"):
        gateway.webhook_for("pay_9")


# --- sessions


def test_a_session_is_the_same_for_the_same_payment(gateway: SandboxGateway) -> None:
    session = SessionRequest(
        payment_id="pay_1", order_id="ord_1", amount=Money(5, "EUR"), store_id="S1", platform="ios"
    )
    first = gateway.create_session(session, OUTSIDE)
    assert first == gateway.create_session(session, OUTSIDE)
    assert first.payment_methods == gateway.capabilities.methods


# --- settings


def test_a_misspelt_setting_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="separate_captures: there is no such setting"):
        gateway_in(tmp_path, separate_captures=True)


def test_a_secret_written_into_the_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"webhook_secret: a secret is never written"):
        gateway_in(tmp_path, webhook_secret="hunter2")
