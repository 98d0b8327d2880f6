"""Gateways that break a promise each: the model gateway of ``tillhook new gateway`` with one thing changed.

``breaks`` are all the promises of the suite that fail then; ``test_gateway_contract`` runs the suite on each of them.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from tests.testing import gateway_promises as p
from tests.testing.model_gateway import AcmepayGateway, model
from tillhook import (
    Answer,
    Authorised,
    Cancelled,
    Captured,
    Declined,
    Money,
    NoAnswer,
    NotSent,
    Outcome,
    Outside,
    PaymentRequest,
    PaymentSession,
    Refunded,
    SessionRequest,
    Unknown,
)

numbers = itertools.count()


class CallsATimeoutDeclined(AcmepayGateway):
    breaks = frozenset({p.NEVER_FAILED})

    def _ask(self, *given: Any) -> Outcome:
        try:
            return super()._ask(*given)
        except NoAnswer:
            return Declined("timeout")


class CallsATimeoutNotSent(AcmepayGateway):
    breaks = frozenset({p.NEVER_FAILED})

    def _ask(self, *given: Any) -> Outcome:
        try:
            return super()._ask(*given)
        except NoAnswer as error:
            return NotSent(str(error))


class BelievesEveryStatus200(AcmepayGateway):
    breaks = frozenset({p.NEVER_FAILED, p.SETTLED})

    def authorise(self, request: PaymentRequest, outside: Outside) -> Outcome:
        outcome = super().authorise(request, outside)
        return Authorised("acp_1", request.amount) if _is_unread(outcome, 200) else outcome


class DeclinesByEveryStatus404(AcmepayGateway):
    breaks = frozenset({p.NEVER_FAILED})

    def _ask(self, *given: Any) -> Outcome:
        outcome = super()._ask(*given)
        return Declined("no_such_payment") if _is_unread(outcome, 404) else outcome


class NewKeyOnEveryTry(AcmepayGateway):
    breaks = frozenset({p.SETTLED, p.TWICE_CUT, p.SAME_KEY, p.ONE_ANSWER, p.MANY_THREADS, p.ONE_REFUND, p.INQUIRY})

    def _post(self, path: str, asked: Mapping[str, Any], key: str, outside: Outside) -> Answer:
        return super()._post(path, asked, f"{key}.{next(numbers)}", outside)


class KeyOfTheThread(AcmepayGateway):
    breaks = frozenset({p.MANY_THREADS})

    def _post(self, path: str, asked: Mapping[str, Any], key: str, outside: Outside) -> Answer:
        if threading.current_thread() is not threading.main_thread():
            key = f"{key}.{next(numbers)}"
        return super()._post(path, asked, key, outside)


class NewKeyForARefund(AcmepayGateway):
    breaks = frozenset({p.ONE_REFUND, p.SETTLED, p.TWICE_CUT, p.SAME_KEY})

    def refund(self, request: PaymentRequest, outside: Outside) -> Outcome:
        return super().refund(replace(request, idempotency_key=f"r{next(numbers)}"), outside)


class NeverAnswersAnInquiry(AcmepayGateway):
    breaks = frozenset({p.SETTLED, p.TWICE_CUT, p.INQUIRY})

    def inquire(self, request: PaymentRequest, outside: Outside) -> Outcome:
        super().inquire(request, outside)
        return Unknown("somebody must look")


class InquiresNobody(AcmepayGateway):
    breaks = frozenset({p.SETTLED, p.TWICE_CUT, p.INQUIRY, p.INQUIRY_CUT})

    def inquire(self, request: PaymentRequest, outside: Outside) -> Outcome:
        return Unknown("not asked")


class NeverHeardOfItByEveryStatus404(AcmepayGateway):
    breaks = frozenset({p.INQUIRY_CUT, p.TWICE_CUT})

    def inquire(self, request: PaymentRequest, outside: Outside) -> Outcome:
        outcome = super().inquire(request, outside)
        return NotSent("404") if _is_unread(outcome, 404) else outcome


class DeclinesWhatItNeverSaw(AcmepayGateway):
    breaks = frozenset({p.NEVER_WAS, p.SETTLED})

    def inquire(self, request: PaymentRequest, outside: Outside) -> Outcome:
        outcome = super().inquire(request, outside)
        return Declined("unknown") if isinstance(outcome, NotSent) else outcome


class OpensASessionOfNothing(AcmepayGateway):
    breaks = frozenset({p.SESSION_CUT})

    def create_session(self, request: SessionRequest, outside: Outside) -> PaymentSession:
        with suppress(NoAnswer):
            return super().create_session(request, outside)
        return PaymentSession(client_secret="", payment_methods=self.capabilities.methods)


class OffersMethodsOfItsOwn(AcmepayGateway):
    breaks = frozenset({p.SESSION_METHODS})

    def create_session(self, request: SessionRequest, outside: Outside) -> PaymentSession:
        return replace(super().create_session(request, outside), payment_methods=("cash",))


class HasNoName(AcmepayGateway):
    breaks = frozenset({p.A_GATEWAY})
    name = ""


class TakesWhatItOnlyHolds(AcmepayGateway):
    breaks = frozenset({p.AS_DECLARED, p.SAME_KEY, p.INQUIRY, p.EDGES, p.DECIMALS, p.COUNTED})

    def authorise(self, request: PaymentRequest, outside: Outside) -> Outcome:
        outcome = super().authorise(request, outside)
        return Captured(outcome.psp_reference, outcome.amount) if isinstance(outcome, Authorised) else outcome


class DeclinesWithoutSayingWhy(AcmepayGateway):
    breaks = frozenset({p.SAYS_WHY})

    def authorise(self, request: PaymentRequest, outside: Outside) -> Outcome:
        outcome = super().authorise(request, outside)
        return Declined("") if isinstance(outcome, Declined) else outcome


class SaysCapturedOfWhatIsHeld(AcmepayGateway):
    breaks = frozenset(
        {p.WHAT_WAS_HELD, p.IN_PART, p.MORE_CAPTURED, p.SETTLED, p.TWICE_CUT, p.SAME_KEY, p.NEVER_FAILED}
        | {p.REFUNDS_TOGETHER, p.PARTIAL_REFUND, p.ONE_REFUND}
    )

    def capture(self, request: PaymentRequest, outside: Outside) -> Outcome:
        self.inquire(request, outside)
        return Captured(request.psp_reference, request.amount)


class CapturesBeyond(AcmepayGateway):
    breaks = frozenset({p.MORE_CAPTURED})

    def capture(self, request: PaymentRequest, outside: Outside) -> Outcome:
        outcome = super().capture(request, outside)
        return Captured(request.psp_reference, request.amount) if isinstance(outcome, Declined) else outcome


class CapturesInPartUndeclared(AcmepayGateway):
    breaks = frozenset({p.IN_PART})

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.capabilities = replace(self.capabilities, partial_capture=False)


class ReleasesNothing(AcmepayGateway):
    breaks = frozenset({p.RELEASED, p.NEVER_FAILED, p.SETTLED, p.TWICE_CUT, p.SAME_KEY})

    def cancel(self, request: PaymentRequest, outside: Outside) -> Outcome:
        return Cancelled(request.psp_reference)


class RefundsBeyond(AcmepayGateway):
    breaks = frozenset({p.MORE_REFUNDED, p.REFUNDS_TOGETHER})

    def refund(self, request: PaymentRequest, outside: Outside) -> Outcome:
        outcome = super().refund(request, outside)
        return Refunded(request.psp_reference, request.amount) if isinstance(outcome, Declined) else outcome


class RefundsInPartUndeclared(AcmepayGateway):
    breaks = frozenset({p.PARTIAL_REFUND})

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.capabilities = replace(self.capabilities, partial_refunds=False)


class RefundsUndeclared(AcmepayGateway):
    breaks = frozenset({p.NO_REFUND, p.REFUNDS_TOGETHER, p.PARTIAL_REFUND})

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.capabilities = replace(self.capabilities, refunds=False, partial_refunds=False)


class TakesAnyMethod(AcmepayGateway):
    breaks = frozenset({p.NO_METHOD})

    def _ask(self, path: str, request: PaymentRequest, *given: Any) -> Outcome:
        return super()._ask(path, replace(request, payment_method=""), *given)


class DeclaresAMethodThatItRefuses(AcmepayGateway):
    breaks = frozenset({p.EVERY_METHOD})

    def authorise(self, request: PaymentRequest, outside: Outside) -> Outcome:
        if request.payment_method == "credit_card":
            return Declined("not_yet")
        return super().authorise(request, outside)


class CountsCarelessly(AcmepayGateway):
    """``count`` says how; the other direction fits, so that the gateway agrees with itself."""

    def count(self, amount: Money) -> dict[str, Any]:
        raise NotImplementedError

    def read(self, outcome: Outcome, amount: Money) -> Outcome:
        return replace(outcome, amount=amount) if isinstance(outcome, Authorised | Captured | Refunded) else outcome

    def _ask(
        self, path: str, request: PaymentRequest, outside: Outside, more: Mapping[str, Any] | None = None
    ) -> Outcome:
        if request.payment_method not in {"", *self.capabilities.methods}:
            return Declined("unsupported_method")
        try:
            asked = {**self.count(request.amount), **(more or {})}
        except ValueError as error:
            return Declined("unsupported_amount", str(error))
        outcome = model.read_answer(self._post(path, asked, request.idempotency_key, outside))
        return self.read(outcome, request.amount)

    def inquire(self, request: PaymentRequest, outside: Outside) -> Outcome:
        return self.read(super().inquire(request, outside), request.amount)


class TakesNothingAndLess(CountsCarelessly):
    breaks = frozenset({p.BAD_AMOUNT})

    def count(self, amount: Money) -> dict[str, Any]:
        return {**model.wire(Money(10**6, amount.currency)), **_counted(amount)}


class RefusesWhatItShouldOnlyAfterACall(AcmepayGateway):
    breaks = frozenset({p.BAD_AMOUNT, p.BAD_CURRENCY, p.NO_METHOD, p.UNCOUNTABLE})

    def authorise(self, request: PaymentRequest, outside: Outside) -> Outcome:
        outcome = super().authorise(request, outside)
        if isinstance(outcome, Declined) and outcome.code.startswith("unsupported"):
            self.inquire(request, outside)
        return outcome


class TakesEveryCurrency(CountsCarelessly):
    breaks = frozenset({p.BAD_CURRENCY})

    def count(self, amount: Money) -> dict[str, Any]:
        return {"amount": amount.minor, "currency": "ZZZ"} if amount.currency == "ZZZ" else model.wire(amount)

    def read(self, outcome: Outcome, amount: Money) -> Outcome:
        return Authorised("acp_1", amount) if amount.currency == "ZZZ" else outcome


class TwoDecimalsForAll(CountsCarelessly):
    breaks = frozenset({p.DECIMALS})

    def count(self, amount: Money) -> dict[str, Any]:
        if amount.currency not in {"JPY", "KWD"}:
            return model.wire(amount)
        return {"amount": int(amount.decimal * 100), "currency": amount.currency}


class CountsAsIso4217Does(CountsCarelessly):
    breaks = frozenset({p.COUNTED, p.UNCOUNTABLE})

    def count(self, amount: Money) -> dict[str, Any]:
        model.wire(Money(10**6, amount.currency))
        return {"amount": model.wire(Money(amount.minor, "EUR"))["amount"], "currency": amount.currency}


class Rounds(CountsCarelessly):
    breaks = frozenset({p.UNCOUNTABLE})

    def count(self, amount: Money) -> dict[str, Any]:
        whole = amount.minor // 100 * 100 if amount.currency == "HUF" else amount.minor
        return model.wire(replace(amount, minor=whole))


class LosesTheSmallest(CountsCarelessly):
    """Through a float: the largest amount is off by a few."""

    breaks = frozenset({p.EDGES})

    def count(self, amount: Money) -> dict[str, Any]:
        found = model.wire(amount)
        return {**found, "amount": found["amount"] - (found["amount"] == 10**15)}


def _is_unread(outcome: Outcome, status: int) -> bool:
    """An answer of this status that was none of the provider's."""
    return isinstance(outcome, Unknown) and outcome.reason.endswith(f"{status} cannot be read")


def _counted(amount: Money) -> dict[str, Any]:
    """As it is, if it is beyond what can be paid; else as AcmePay counts it."""
    try:
        return model.wire(amount)
    except ValueError:
        if 0 < amount.minor <= model.MOST_MINOR:
            raise
        return {"amount": amount.minor}
