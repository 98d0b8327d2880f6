"""The sandbox keeps the contract of a payment gateway, taking at once and holding first."""

import hmac
import itertools
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from tillhook import (
    Captured,
    Declined,
    NoAnswer,
    Notification,
    NotSent,
    Outcome,
    Outside,
    PaymentEvent,
    PaymentGateway,
    PaymentRequest,
    Pending,
    Refunded,
)
from tillhook.core.testing.contracts import PaymentGatewayContract
from tillhook.core.testing.contracts.gateway_subject import Books, Stage
from tillhook.core.testing.outside import RecordingOutside
from tillhook.core.testing.simulators import WebhookSimulator
from tillhook.core.testing.subject import PLANTED, build
from tillhook.core.testing.world_phases import Phase
from tillhook_sandbox import SIGNATURE_HEADER, Ledger, Sandbox, SandboxGateway


class Posting:
    """The sandbox as a provider that posts webhooks; it signs no time."""

    webhook_tolerance = None

    def __init__(self, gateway: SandboxGateway) -> None:
        self._gateway = gateway

    @property
    def webhooks(self) -> Sequence[tuple[Mapping[str, str], bytes]]:
        return [self._gateway.webhook_for("pay_1")]

    def sign(self, body: bytes, *, secret: str | None = None, at: float | None = None) -> Mapping[str, str]:
        signature = hmac.new((secret or PLANTED).encode(), body, sha256).hexdigest()
        return {"Content-Type": "application/json", SIGNATURE_HEADER: f"sha256={signature}"}


class TestTakingAtOnce(PaymentGatewayContract):
    plugin = Sandbox
    settings: ClassVar[Mapping[str, Any]] = {"ledger": "{tmp}/ledger.sqlite3", "webhook_secret": "env:SANDBOX_SECRET"}
    approve: ClassVar[Mapping[str, Any]] = {"token": "tok_approve"}
    decline: ClassVar[Mapping[str, Any]] = {"token": "tok_decline"}
    lost: ClassVar[Mapping[str, Any] | None] = {"token": "tok_timeout"}
    faults: ClassVar[Mapping[Phase, Mapping[str, Any]]] = {
        Phase.REFUSED: {"token": "tok_unreachable"},
        Phase.BEFORE_SEND: {"token": "tok_timeout_before"},
        Phase.AFTER_EFFECT: {"token": "tok_timeout"},
        Phase.HALF_ANSWER: {"token": "tok_garbled"},
    }

    def captured(self, gateway: PaymentGateway, merchant_reference: str) -> int:
        assert isinstance(gateway, SandboxGateway)
        return sum(at.captured.minor for at in gateway.charges() if at.merchant_reference == merchant_reference)

    def books(self, stage: Stage, reference: str = "pay_1") -> Books:
        assert isinstance(stage.gateway, SandboxGateway)
        refunded = sum(at.refunded.minor for at in stage.gateway.charges() if at.merchant_reference == reference)
        return Books(None, self.captured(stage.gateway, reference), refunded)

    def telling(self, stage: Stage) -> WebhookSimulator:
        assert isinstance(stage.gateway, SandboxGateway)
        return Posting(stage.gateway)


class TestHoldingFirst(TestTakingAtOnce):
    settings: ClassVar[Mapping[str, Any]] = {**TestTakingAtOnce.settings, "separate_capture": True}


class TestHalfAnAnswer(TestTakingAtOnce):
    lost: ClassVar[Mapping[str, Any] | None] = {"token": "tok_garbled"}


def test_the_contract_notices_a_gateway_that_charges_twice(tmp_path: Path) -> None:
    """The suite itself can fail: with a new key on each call, the same payment is taken twice."""

    class Forgetful(TestTakingAtOnce):
        keys = itertools.count()

        def request(self, key: str, **rest: Any) -> PaymentRequest:
            return super().request(f"{key}.{next(self.keys)}", **rest)

    (gateway,) = build(Sandbox, {"ledger": "{tmp}/ledger.sqlite3"}, tmp_path).payment_gateways()
    with pytest.raises(AssertionError):
        Forgetful().test_the_same_key_twice_is_one_effect_and_one_answer(gateway, RecordingOutside())


class SaysDeclinedOfWhatItNeverSaw(SandboxGateway):
    def inquire(self, request: PaymentRequest, outside: Outside) -> Outcome:
        found = super().inquire(request, outside)
        return Declined("unknown") if isinstance(found, NotSent) else found


class CallsALostAnswerADecline(SandboxGateway):
    def authorise(self, request: PaymentRequest, outside: Outside) -> Outcome:
        try:
            return super().authorise(request, outside)
        except NoAnswer:
            return Declined("timeout")


class ForgetsWhatWasLost(SandboxGateway):
    def inquire(self, request: PaymentRequest, outside: Outside) -> Outcome:
        return Pending()


class CapturesUndeclared(SandboxGateway):
    def capture(self, request: PaymentRequest, outside: Outside) -> Outcome:
        return Captured(request.psp_reference, request.amount)


class RefundsUndeclared(SandboxGateway):
    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self.capabilities = replace(self.capabilities, refunds=False, partial_refunds=False)


class RefundsWithoutBound(SandboxGateway):
    def refund(self, request: PaymentRequest, outside: Outside) -> Outcome:
        return Refunded(request.psp_reference, request.amount)


class BelievesAnyWebhook(SandboxGateway):
    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        return Notification(
            notification_id="1", merchant_reference="pay_1", event=PaymentEvent.CAPTURED, outcome=Pending()
        )


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (SaysDeclinedOfWhatItNeverSaw, "test_an_operation_that_never_was_has_no_outcome"),
        (CallsALostAnswerADecline, "test_a_lost_answer_is_never_a_decline_nor_never_sent"),
        (ForgetsWhatWasLost, "test_an_inquiry_settles_what_was_lost"),
        (CapturesUndeclared, "test_capture_takes_exactly_what_was_held_if_declared"),
        (RefundsUndeclared, "test_refunds_together_stay_within_what_was_captured"),
        (RefundsUndeclared, "test_a_partial_refund_is_refused_unless_declared"),
        (RefundsWithoutBound, "test_no_more_is_refunded_than_was_captured"),
    ],
)
def test_the_contract_notices_a_broken_promise(broken: type[SandboxGateway], promise: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        getattr(TestTakingAtOnce(), promise)(made(broken, tmp_path), RecordingOutside())


def test_the_contract_notices_a_capture_that_is_not_declared(tmp_path: Path) -> None:
    stage = Stage(made(CapturesUndeclared, tmp_path), RecordingOutside())
    with pytest.raises(AssertionError):
        TestTakingAtOnce().test_a_capture_that_is_not_declared_is_refused_before_any_call(stage)


def test_the_contract_notices_a_gateway_that_believes_any_webhook(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception):
        TestTakingAtOnce().test_a_webhook_that_is_not_signed_is_refused(made(BelievesAnyWebhook, tmp_path), b"{}")


def made(gateway: type[SandboxGateway], folder: Path) -> SandboxGateway:
    return gateway(
        Ledger(folder / "ledger.sqlite3"),
        methods=("credit_card",),
        currencies=(),
        separate_capture=False,
        challenge_url="https://sandbox.invalid/3ds",
        webhook_secret=None,
    )
