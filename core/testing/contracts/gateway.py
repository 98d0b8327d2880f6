"""What every payment gateway keeps: one effect per key, nothing beyond what is declared, held or captured."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest

from tillhook.core.domain.money import Money
from tillhook.core.domain.payment import (
    ActionRequired,
    Authorised,
    Cancelled,
    Captured,
    Declined,
    NotSent,
    Outcome,
    Pending,
    Refunded,
    Unknown,
)
from tillhook.core.roles.gateway import Capabilities, PaymentGateway, PaymentRequest, SessionRequest
from tillhook.core.roles.outside import NoAnswer, Outside
from tillhook.core.testing.outside import RecordingOutside
from tillhook.core.testing.subject import PLANTED, build
from tillhook.hookspecs import Plugin

_OUTCOMES: Final = (
    Authorised, Captured, ActionRequired, Declined, Pending, Refunded, Cancelled, NotSent, Unknown,
)  # fmt: skip
AT_ONCE: Final = 8


class PaymentGatewayContract:
    """Inherit it, name the plugin and the details that approve, decline and lose an answer, and say what was taken::

    class TestAcmePay(PaymentGatewayContract):
        plugin = AcmePay
        settings = {"secret_key": "env:ACME_KEY"}
        approve, decline = {"token": "ok"}, {"token": "no"}

        def captured(self, gateway, merchant_reference): ...
    """

    plugin: ClassVar[type[Plugin]]
    settings: ClassVar[Mapping[str, Any]] = {}
    gateway_name: ClassVar[str] = ""
    """Which gateway, for a plugin that offers several."""
    currency: ClassVar[str] = "EUR"
    approve: ClassVar[Mapping[str, Any]]
    """``details`` of a payment that is approved."""
    decline: ClassVar[Mapping[str, Any]]
    """``details`` of a payment that is declined."""
    lost: ClassVar[Mapping[str, Any] | None] = None
    """``details`` of a payment that is approved and whose answer is lost on the way back."""

    def captured(self, gateway: PaymentGateway, merchant_reference: str) -> int:
        """Minor units taken so far, read at the provider and not through the gateway's verbs."""
        raise NotImplementedError(f"{type(self).__name__} must say how to read what the provider took")

    def lend(self) -> Outside:
        """What the gateway may call; override it to put the provider's simulator behind it."""
        return RecordingOutside()

    @pytest.fixture
    def gateway(self, tmp_path: Path) -> PaymentGateway:
        offered = build(self.plugin, self.settings, tmp_path).payment_gateways()
        named = [at for at in offered if self.gateway_name in ("", at.name)]
        assert len(named) == 1, f"gateway_name must pick one of {[at.name for at in offered]}"
        return named[0]

    @pytest.fixture
    def outside(self) -> Outside:
        return self.lend()

    # --- what it declares

    def test_it_is_a_gateway_with_a_name_and_at_least_one_method(self, gateway: PaymentGateway) -> None:
        assert isinstance(gateway, PaymentGateway)
        assert gateway.name
        assert isinstance(gateway.capabilities, Capabilities)
        assert gateway.capabilities.methods

    def test_a_session_offers_only_declared_methods(self, gateway: PaymentGateway, outside: Outside) -> None:
        request = SessionRequest(
            payment_id="pay_1", order_id="ord_1", amount=self.money(1999), store_id="S1", platform="ios"
        )
        session = gateway.create_session(request, outside)
        assert session.client_secret
        assert set(session.payment_methods) <= set(gateway.capabilities.methods)

    def test_an_approved_payment_is_held_or_taken_as_declared(self, gateway: PaymentGateway, outside: Outside) -> None:
        outcome = gateway.authorise(self.request("a1", details=self.approve), outside)
        separate = gateway.capabilities.separate_capture
        assert isinstance(outcome, Authorised if separate else Captured), outcome
        assert outcome.amount == self.money(1999)
        assert outcome.psp_reference
        assert self.captured(gateway, "pay_1") == (0 if separate else 1999)

    def test_a_declined_payment_takes_nothing_and_says_why(self, gateway: PaymentGateway, outside: Outside) -> None:
        outcome = gateway.authorise(self.request("a1", details=self.decline), outside)
        assert isinstance(outcome, Declined), outcome
        assert outcome.code
        assert self.captured(gateway, "pay_1") == 0

    def test_capture_takes_exactly_what_was_held_if_declared(self, gateway: PaymentGateway, outside: Outside) -> None:
        reference = self.approved(gateway, outside)
        outcome = _refusable(gateway.capture, self.request("c1", psp_reference=reference), outside)
        if gateway.capabilities.separate_capture:
            assert isinstance(outcome, Captured | Pending), outcome
        else:
            assert _refused(outcome), outcome
        assert self.captured(gateway, "pay_1") == 1999

    def test_a_partial_capture_is_refused_unless_declared(self, gateway: PaymentGateway, outside: Outside) -> None:
        if not gateway.capabilities.separate_capture:
            pytest.skip("captures are not separate")
        reference = self.approved(gateway, outside)
        outcome = _refusable(gateway.capture, self.request("c1", minor=1000, psp_reference=reference), outside)
        allowed = gateway.capabilities.partial_capture
        assert _refused(outcome) != allowed, outcome
        assert self.captured(gateway, "pay_1") == (1000 if allowed else 0)

    def test_no_more_is_captured_than_was_held(self, gateway: PaymentGateway, outside: Outside) -> None:
        reference = self.approved(gateway, outside)
        assert _refused(_refusable(gateway.capture, self.request("c1", minor=2000, psp_reference=reference), outside))
        assert self.captured(gateway, "pay_1") in (0, 1999)

    def test_what_was_held_can_be_released(self, gateway: PaymentGateway, outside: Outside) -> None:
        if not gateway.capabilities.separate_capture:
            pytest.skip("nothing is ever only held")
        reference = self.approved(gateway, outside)
        assert isinstance(gateway.cancel(self.request("x1", psp_reference=reference), outside), Cancelled | Pending)
        _refusable(gateway.capture, self.request("c1", psp_reference=reference), outside)
        assert self.captured(gateway, "pay_1") == 0

    # --- refunds

    def test_no_more_is_refunded_than_was_captured(self, gateway: PaymentGateway, outside: Outside) -> None:
        reference = self.taken(gateway, outside)
        too_much = self.request("r1", minor=2000, psp_reference=reference)
        assert _refused(_refusable(gateway.refund, too_much, outside))

    def test_refunds_together_stay_within_what_was_captured(self, gateway: PaymentGateway, outside: Outside) -> None:
        reference = self.taken(gateway, outside)
        whole = _refusable(gateway.refund, self.request("r1", psp_reference=reference), outside)
        if not gateway.capabilities.refunds:
            assert _refused(whole), f"refunds are not declared, yet it answered {whole}"
            return
        assert isinstance(whole, Refunded | Pending), whole
        assert _refused(_refusable(gateway.refund, self.request("r2", minor=1, psp_reference=reference), outside))

    def test_a_partial_refund_is_refused_unless_declared(self, gateway: PaymentGateway, outside: Outside) -> None:
        reference = self.taken(gateway, outside)
        outcome = _refusable(gateway.refund, self.request("r1", minor=500, psp_reference=reference), outside)
        declared = gateway.capabilities.refunds and gateway.capabilities.partial_refunds
        assert _refused(outcome) != declared, outcome

    # --- one key, one effect

    def test_the_same_key_twice_is_one_effect_and_one_answer(self, gateway: PaymentGateway, outside: Outside) -> None:
        if not gateway.capabilities.idempotency_keys:
            pytest.skip("the provider knows no idempotency keys: the core inquires before it tries again")
        first = gateway.authorise(self.request("a1", details=self.approve), outside)
        assert gateway.authorise(self.request("a1", details=self.approve), outside) == first
        assert self.captured(gateway, "pay_1") == (0 if gateway.capabilities.separate_capture else 1999)

    def test_the_same_key_from_many_threads_is_one_effect(self, gateway: PaymentGateway, outside: Outside) -> None:
        if not gateway.capabilities.idempotency_keys:
            pytest.skip("the provider knows no idempotency keys: the core inquires before it tries again")
        requests = [self.request("a1", details=self.approve) for _ in range(AT_ONCE)]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            outcomes = list(threads.map(lambda request: gateway.authorise(request, outside), requests))
        settled = [at for at in outcomes if not isinstance(at, Pending | Unknown)]
        assert settled, outcomes
        assert settled == settled[:1] * len(settled)
        assert self.captured(gateway, "pay_1") == (0 if gateway.capabilities.separate_capture else 1999)

    def test_a_refund_with_the_same_key_is_made_once(self, gateway: PaymentGateway, outside: Outside) -> None:
        able = gateway.capabilities
        if not (able.refunds and able.partial_refunds and able.idempotency_keys):
            pytest.skip("partial refunds under idempotency keys are not declared")
        reference = self.taken(gateway, outside)
        first = gateway.refund(self.request("r1", minor=1500, psp_reference=reference), outside)
        assert gateway.refund(self.request("r1", minor=1500, psp_reference=reference), outside) == first
        rest = gateway.refund(self.request("r2", minor=499, psp_reference=reference), outside)
        assert not _refused(rest), f"the repeated refund was made twice: {rest}"

    # --- what is not understood is neither failed nor done

    def test_a_lost_answer_is_never_a_decline_nor_never_sent(self, gateway: PaymentGateway, outside: Outside) -> None:
        if self.lost is None:
            pytest.skip("no details lose an answer")
        try:
            outcome = gateway.authorise(self.request("a1", details=self.lost), outside)
        except NoAnswer:
            return
        assert isinstance(outcome, Unknown | Pending), outcome

    def test_an_inquiry_settles_what_was_lost(self, gateway: PaymentGateway, outside: Outside) -> None:
        if self.lost is None:
            pytest.skip("no details lose an answer")
        request = self.request("a1", details=self.lost)
        with suppress(NoAnswer):
            gateway.authorise(request, outside)
        outcome = gateway.inquire(self.request("a1"), outside)
        separate = gateway.capabilities.separate_capture
        assert isinstance(outcome, Authorised if separate else Captured), outcome
        assert outcome.amount == self.money(1999)
        assert self.captured(gateway, "pay_1") == (0 if separate else 1999)

    def test_an_inquiry_repeats_what_is_settled(self, gateway: PaymentGateway, outside: Outside) -> None:
        approved = gateway.authorise(self.request("a1", details=self.approve), outside)
        declined = gateway.authorise(self.request("a2", details=self.decline, reference="pay_2"), outside)
        assert type(gateway.inquire(self.request("a1"), outside)) is type(approved)
        assert type(gateway.inquire(self.request("a2", reference="pay_2"), outside)) is type(declined)

    def test_an_operation_that_never_was_has_no_outcome(self, gateway: PaymentGateway, outside: Outside) -> None:
        outcome = gateway.inquire(self.request("never"), outside)
        assert isinstance(outcome, NotSent | Unknown | Pending), outcome

    # --- webhooks and secrets

    @pytest.mark.parametrize("body", [b"", b"{}", b'{"amount": 1999}', b"\xff\xfe"])
    def test_a_webhook_that_is_not_signed_is_refused(self, gateway: PaymentGateway, body: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            gateway.read_webhook({"Content-Type": "application/json"}, body)

    def test_no_answer_shows_a_secret(self, gateway: PaymentGateway, outside: Outside) -> None:
        outcomes: list[Outcome] = [
            gateway.authorise(self.request("a1", details=self.approve), outside),
            gateway.authorise(self.request("a2", details=self.decline, reference="pay_2"), outside),
            gateway.inquire(self.request("never"), outside),
        ]
        assert all(isinstance(outcome, _OUTCOMES) for outcome in outcomes)
        assert PLANTED not in repr((outcomes, gateway.capabilities, vars(gateway)))

    # --- words of this suite

    def money(self, minor: int) -> Money:
        return Money(minor, self.currency)

    def request(
        self,
        key: str,
        *,
        minor: int = 1999,
        psp_reference: str = "",
        details: Mapping[str, Any] | None = None,
        reference: str = "pay_1",
    ) -> PaymentRequest:
        return PaymentRequest(
            operation_id=f"op_{key}",
            merchant_reference=reference,
            idempotency_key=f"{reference}-{key}",
            amount=self.money(minor),
            psp_reference=psp_reference,
            details=details or {},
        )

    def approved(self, gateway: PaymentGateway, outside: Outside) -> str:
        """Authorise 1999 for ``pay_1``; the provider's reference."""
        outcome = gateway.authorise(self.request("a1", details=self.approve), outside)
        assert isinstance(outcome, Authorised | Captured), outcome
        return outcome.psp_reference

    def taken(self, gateway: PaymentGateway, outside: Outside) -> str:
        """Authorise and capture 1999 for ``pay_1``; the provider's reference."""
        reference = self.approved(gateway, outside)
        if gateway.capabilities.separate_capture:
            outcome = gateway.capture(self.request("c1", psp_reference=reference), outside)
            assert isinstance(outcome, Captured), outcome
        return reference


def _refusable(verb: Any, request: PaymentRequest, outside: Outside) -> Outcome | NotImplementedError:
    try:
        outcome: Outcome = verb(request, outside)
    except NotImplementedError as refusal:
        return refusal
    return outcome


def _refused(outcome: Outcome | NotImplementedError) -> bool:
    """A clear no, in any of its forms; ``Unknown`` is none."""
    return isinstance(outcome, Declined | NotSent | NotImplementedError)
