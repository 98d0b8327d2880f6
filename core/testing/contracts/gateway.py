"""What every payment gateway keeps: one effect per key, nothing beyond what is declared, held or captured.

The fault matrix, the limits, the webhooks and the secrets are promises of their own files; all are inherited here.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

import pytest

from tillhook.core.domain.payment import (
    Authorised,
    Cancelled,
    Captured,
    Declined,
    NotSent,
    Pending,
    Refunded,
    Unknown,
)
from tillhook.core.roles.gateway import Capabilities, PaymentGateway
from tillhook.core.roles.outside import NoAnswer, Outside
from tillhook.core.testing.contracts.gateway_faults import FaultPromises
from tillhook.core.testing.contracts.gateway_limits import LimitPromises
from tillhook.core.testing.contracts.gateway_secrets import SecretPromises
from tillhook.core.testing.contracts.gateway_subject import refusable, refused
from tillhook.core.testing.contracts.gateway_webhooks import WebhookPromises

AT_ONCE: Final = 8


class PaymentGatewayContract(FaultPromises, LimitPromises, WebhookPromises, SecretPromises):
    """Inherit it, name the plugin and the provider's simulator, and the details that approve and decline::

        class TestAcmePay(PaymentGatewayContract):
            plugin = AcmePay
            settings = {"api_key": "env:ACMEPAY_API_KEY"}
            simulator = AcmePaySimulator
            approve, decline = {"token": "ok"}, {"token": "no"}

    A provider without a simulator says what it took (``captured``), and which details break a call (``lost``,
    ``faults``); lines that nobody can cut are skipped, and the report says so.
    """

    # --- what it declares

    def test_it_is_a_gateway_with_a_name_and_at_least_one_method(self, gateway: PaymentGateway) -> None:
        assert isinstance(gateway, PaymentGateway)
        assert gateway.name
        assert isinstance(gateway.capabilities, Capabilities)
        assert gateway.capabilities.methods

    def test_a_session_offers_only_declared_methods(self, gateway: PaymentGateway, outside: Outside) -> None:
        session = gateway.create_session(self.session_request(), outside)
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
        outcome = refusable(gateway.capture, self.request("c1", psp_reference=reference), outside)
        if gateway.capabilities.separate_capture:
            assert isinstance(outcome, Captured | Pending), outcome
        else:
            assert refused(outcome), outcome
        assert self.captured(gateway, "pay_1") == 1999

    def test_a_partial_capture_is_refused_unless_declared(self, gateway: PaymentGateway, outside: Outside) -> None:
        if not gateway.capabilities.separate_capture:
            pytest.skip("captures are not separate")
        reference = self.approved(gateway, outside)
        outcome = refusable(gateway.capture, self.request("c1", minor=1000, psp_reference=reference), outside)
        allowed = gateway.capabilities.partial_capture
        assert refused(outcome) != allowed, outcome
        assert self.captured(gateway, "pay_1") == (1000 if allowed else 0)

    def test_no_more_is_captured_than_was_held(self, gateway: PaymentGateway, outside: Outside) -> None:
        reference = self.approved(gateway, outside)
        assert refused(refusable(gateway.capture, self.request("c1", minor=2000, psp_reference=reference), outside))
        assert self.captured(gateway, "pay_1") in (0, 1999)

    def test_what_was_held_can_be_released(self, gateway: PaymentGateway, outside: Outside) -> None:
        if not gateway.capabilities.separate_capture:
            pytest.skip("nothing is ever only held")
        reference = self.approved(gateway, outside)
        assert isinstance(gateway.cancel(self.request("x1", psp_reference=reference), outside), Cancelled | Pending)
        refusable(gateway.capture, self.request("c1", psp_reference=reference), outside)
        assert self.captured(gateway, "pay_1") == 0

    # --- refunds

    def test_no_more_is_refunded_than_was_captured(self, gateway: PaymentGateway, outside: Outside) -> None:
        reference = self.taken(gateway, outside)
        too_much = self.request("r1", minor=2000, psp_reference=reference)
        assert refused(refusable(gateway.refund, too_much, outside))

    def test_refunds_together_stay_within_what_was_captured(self, gateway: PaymentGateway, outside: Outside) -> None:
        reference = self.taken(gateway, outside)
        whole = refusable(gateway.refund, self.request("r1", psp_reference=reference), outside)
        if not gateway.capabilities.refunds:
            assert refused(whole), f"refunds are not declared, yet it answered {whole}"
            return
        assert isinstance(whole, Refunded | Pending), whole
        assert refused(refusable(gateway.refund, self.request("r2", minor=1, psp_reference=reference), outside))

    def test_a_partial_refund_is_refused_unless_declared(self, gateway: PaymentGateway, outside: Outside) -> None:
        reference = self.taken(gateway, outside)
        outcome = refusable(gateway.refund, self.request("r1", minor=500, psp_reference=reference), outside)
        declared = gateway.capabilities.refunds and gateway.capabilities.partial_refunds
        assert refused(outcome) != declared, outcome

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
        assert not refused(rest), f"the repeated refund was made twice: {rest}"

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
