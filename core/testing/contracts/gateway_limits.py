"""What is not declared, and what cannot be paid, is refused before any call; what is paid is exact on the wire."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tillhook.core.domain.money import MAX_MINOR, Money, exponent
from tillhook.core.domain.payment import Authorised, Captured, Outcome
from tillhook.core.roles.gateway import PaymentRequest
from tillhook.core.roles.outside import Outside
from tillhook.core.testing.contracts.gateway_subject import (
    AMOUNT,
    OPEN,
    GatewaySubject,
    Stage,
    refusable,
    refused,
)

NO_METHOD: Final = "no_such_method"
CURRENCIES: Final = ("JPY", "EUR", "KWD")
"""Without decimals, with two, with three."""
SMALLEST: Final = 1


class LimitPromises(GatewaySubject):
    """A gateway that refuses keeps its hands still: the world sees no request."""

    def test_a_payment_method_that_is_not_declared_is_refused_before_any_call(self, stage: Stage) -> None:
        request = self.request("a1", details=self.approve, payment_method=NO_METHOD)
        self.must_refuse_unasked(stage, stage.gateway.authorise, request)

    def test_every_declared_payment_method_is_taken_up(self, tmp_path: Path) -> None:
        for method in self.staged(tmp_path).gateway.capabilities.methods:
            stage = self.staged(tmp_path)
            request = self.request("a1", details=self.approve, payment_method=method, reference=f"pay_{method}")
            outcome = stage.gateway.authorise(request, stage.outside)
            assert not refused(outcome), f"{method} is declared, and {outcome}"

    def test_a_refund_that_is_not_declared_is_refused_before_any_call(self, stage: Stage) -> None:
        if stage.gateway.capabilities.refunds:
            pytest.skip("refunds are declared")
        reference = self.taken(stage.gateway, stage.outside)
        self.must_refuse_unasked(stage, stage.gateway.refund, self.request("r1", psp_reference=reference))

    def test_a_capture_that_is_not_declared_is_refused_before_any_call(self, stage: Stage) -> None:
        if stage.gateway.capabilities.separate_capture:
            pytest.skip("captures are separate")
        reference = self.approved(stage.gateway, stage.outside)
        self.must_refuse_unasked(stage, stage.gateway.capture, self.request("c1", psp_reference=reference))

    @pytest.mark.parametrize("minor", [0, -1, -AMOUNT, MAX_MINOR + 1])
    def test_an_amount_that_cannot_be_paid_is_refused_before_any_call(self, minor: int, stage: Stage) -> None:
        self.must_refuse_unasked(stage, stage.gateway.authorise, self.request("a1", minor=minor, details=self.approve))

    @pytest.mark.parametrize("minor", [SMALLEST, MAX_MINOR])
    def test_the_smallest_and_the_largest_amount_are_exact_or_refused(self, minor: int, stage: Stage) -> None:
        whole = minor * 10 ** max(0, exponent(self.currency) - self.digits(stage.gateway, self.currency))
        self.must_be_exact(stage, Money(min(whole, MAX_MINOR), self.currency))

    def test_a_currency_that_does_not_exist_is_refused_before_any_call(self, stage: Stage) -> None:
        self.must_refuse_unasked(
            stage, stage.gateway.authorise, self.request("a1", currency="ZZZ", details=self.approve)
        )

    @pytest.mark.parametrize("currency", CURRENCIES)
    def test_an_amount_is_the_same_on_the_wire_whatever_decimals_its_currency_has(
        self, currency: str, stage: Stage
    ) -> None:
        self.must_be_exact(stage, Money(AMOUNT * 10, currency))

    def test_currencies_that_the_provider_counts_otherwise_are_exact_on_the_wire(self, tmp_path: Path) -> None:
        counted_otherwise = self.staged(tmp_path).gateway.capabilities.exponents
        for currency, digits in counted_otherwise.items():
            shift = 10 ** max(0, exponent(currency) - digits)
            self.must_be_exact(self.staged(tmp_path), Money(AMOUNT * shift, currency))

    def test_an_amount_that_the_provider_cannot_count_is_refused_and_never_rounded(self, tmp_path: Path) -> None:
        counted_otherwise = self.staged(tmp_path).gateway.capabilities.exponents
        coarser = [currency for currency, digits in counted_otherwise.items() if digits < exponent(currency)]
        if not coarser:
            pytest.skip("no currency has fewer decimals at the provider")
        for currency in coarser:
            stage = self.staged(tmp_path)
            request = self.request("a1", minor=AMOUNT, currency=currency, details=self.approve)
            self.must_refuse_unasked(stage, stage.gateway.authorise, request)

    # --- words

    def must_refuse_unasked(
        self, stage: Stage, verb: Callable[[PaymentRequest, Outside], Outcome], request: PaymentRequest
    ) -> None:
        before, calls = self.books(stage, request.merchant_reference), stage.asked()
        try:
            outcome = refusable(verb, request, stage.outside)
        except ValueError as refusal:
            outcome = NotImplementedError(str(refusal))
        assert refused(outcome), f"{request.amount.minor} {request.amount.currency} was answered {outcome}"
        assert stage.asked() == calls, "it was refused only after the provider was called"
        assert self.books(stage, request.merchant_reference) == before

    def must_be_exact(self, stage: Stage, amount: Money) -> None:
        """Paid as it is, or refused whole: an amount of another size at the provider is a broken promise."""
        request = self.request("a1", minor=amount.minor, currency=amount.currency, details=self.approve)
        outcome = stage.gateway.authorise(request, stage.outside)
        separate = stage.gateway.capabilities.separate_capture
        books = self.books(stage)
        if refused(outcome):
            assert (books.held or 0, books.taken) == (0, 0), f"{amount} was refused, yet the provider has {books}"
            return
        assert isinstance(outcome, Authorised if separate else Captured), outcome
        assert not isinstance(outcome, OPEN)
        assert outcome.amount == amount
        if stage.simulator is not None:
            counted = self.counted(amount, stage.gateway)
            assert (books.held if separate else books.taken) == counted, (
                f"{amount} is {counted} at the provider, which got {books}"
            )
