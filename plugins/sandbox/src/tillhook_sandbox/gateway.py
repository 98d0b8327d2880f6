"""The gateway: what a payment provider does with each verb, kept in the ledger and nowhere else."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final
from urllib.parse import urlencode

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tillhook import (
    ActionRequired,
    Authorised,
    Cancelled,
    Capabilities,
    Captured,
    Declined,
    Money,
    Notification,
    NotSent,
    Outcome,
    Outside,
    PaymentEvent,
    PaymentRequest,
    PaymentSession,
    Pending,
    Refunded,
    Secret,
    SessionRequest,
    Unknown,
    Verb,
)

from .ledger import AtProvider, Book, Charge, Ledger, Movement, Operation, State
from .tokens import AFTER_EFFECT, BEFORE_EFFECT, DECLINES, DECLINING, SCRIPTS, Script, fail_if_asked, token_of

SIGNATURE_HEADER: Final = "Sandbox-Signature"
MOST_MINOR: Final = 10**15
CARD_BRAND: Final = "visa"
CARD_LAST4: Final = "0005"

_EVENTS: Final[dict[type[Outcome], PaymentEvent]] = {
    Authorised: PaymentEvent.AUTHORISED,
    Captured: PaymentEvent.CAPTURED,
    ActionRequired: PaymentEvent.ACTION_REQUIRED,
    Declined: PaymentEvent.DECLINED,
    Pending: PaymentEvent.PENDING,
    Cancelled: PaymentEvent.CANCELLED,
}


class Webhook(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a notification."""

    id: str
    merchant_reference: str
    outcome: Outcome


class SandboxGateway:
    """A provider for development and tests: real behaviour, play money. Holds settings; state is in the ledger."""

    name = "sandbox"

    def __init__(
        self,
        ledger: Ledger,
        *,
        methods: tuple[str, ...],
        currencies: tuple[str, ...],
        separate_capture: bool,
        challenge_url: str,
        webhook_secret: Secret | None,
    ) -> None:
        self._ledger = ledger
        self._currencies = currencies
        self._challenge_url = challenge_url
        self._webhook_secret = webhook_secret
        self._settled = State.HELD if separate_capture else State.TAKEN
        self.capabilities = Capabilities(
            methods=methods,
            separate_capture=separate_capture,
            partial_capture=separate_capture,
            refunds=True,
            partial_refunds=True,
            idempotency_keys=True,
        )

    def charges(self) -> list[Charge]:
        """What was captured and refunded so far, by merchant reference."""
        return self._ledger.charges()

    # --- the verbs

    def create_session(self, request: SessionRequest, outside: Outside) -> PaymentSession:
        """The same payment gets the same session; its secret opens nothing. Raises ValueError for a bad amount."""
        if refusal := self._refused_amount(request.amount):
            raise ValueError(f"the sandbox makes no session for {request.amount.minor}: {refusal.code}")
        reference = f"ses_{_digest(request.payment_id)}"
        return PaymentSession(
            client_secret=f"{reference}_secret_{_digest(reference)}",
            payment_methods=self.capabilities.methods,
            psp_reference=reference,
        )

    def authorise(self, request: PaymentRequest, outside: Outside) -> Outcome:
        """By the token; with a ``psp_reference``, settle a 3-D Secure challenge by ``details["result"]``."""
        return self._once(Verb.AUTHORISE, request, self._resume if request.psp_reference else self._begin)

    def capture(self, request: PaymentRequest, outside: Outside) -> Outcome:
        return self._once(Verb.CAPTURE, request, self._take)

    def cancel(self, request: PaymentRequest, outside: Outside) -> Outcome:
        return self._once(Verb.CANCEL, request, self._release)

    def refund(self, request: PaymentRequest, outside: Outside) -> Outcome:
        return self._once(Verb.REFUND, request, self._give_back)

    def inquire(self, request: PaymentRequest, outside: Outside) -> Outcome:
        """What became of the operation; the second question about a pending payment finds it settled."""
        with self._ledger.writing() as book:
            known = book.operation(request.idempotency_key)
            if known is None:
                return NotSent(f"the sandbox has never seen the key {request.idempotency_key}")
            payment = book.payment(known.psp_reference) if known.psp_reference else None
            if known.verb is not Verb.AUTHORISE or payment is None:
                return known.outcome
            if payment.state is State.PENDING:
                payment = replace(payment, inquiries=payment.inquiries + 1)
                if payment.inquiries < 2:
                    book.update_payment(payment)
                else:
                    payment = self._settle(book, payment)
            return self._outcome(payment)

    # --- webhooks

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        """Check the signature over the raw bytes, then read. Raises ValueError for anything not genuine."""
        given = next((value for name, value in headers.items() if name.lower() == SIGNATURE_HEADER.lower()), "")
        if not hmac.compare_digest(given.encode(), self._signature(raw_body).encode()):
            raise ValueError("the webhook's signature is not the sandbox's")
        try:
            webhook = msgspec.json.decode(raw_body, type=Webhook)
        except msgspec.MsgspecError as error:
            raise ValueError(f"the webhook cannot be read: {error}") from error
        event = _EVENTS.get(type(webhook.outcome))
        if event is None:
            raise ValueError(f"the webhook {webhook.id} tells nothing about a payment")
        return Notification(
            notification_id=webhook.id,
            merchant_reference=webhook.merchant_reference,
            event=event,
            outcome=webhook.outcome,
        )

    def webhook_for(self, merchant_reference: str) -> tuple[dict[str, str], bytes]:
        """Headers and body that the provider would post about a payment now; a pending one is settled first.

        Raises LookupError for a payment that the sandbox does not know.
        """
        with self._ledger.writing() as book:
            payment = book.payment_of(merchant_reference)
            if payment is None:
                raise LookupError(f"the sandbox knows no payment {merchant_reference}")
            if payment.state is State.PENDING:
                payment = self._settle(book, payment)
        webhook_id = f"evt_{_digest(f'{payment.psp_reference}.{payment.state}')}"
        body = msgspec.json.encode(Webhook(webhook_id, merchant_reference, self._outcome(payment)))
        return {"Content-Type": "application/json", SIGNATURE_HEADER: self._signature(body)}, body

    def _signature(self, raw_body: bytes) -> str:
        if self._webhook_secret is None:
            raise ValueError("the sandbox signs no webhooks without the setting webhook_secret")
        return f"sha256={hmac.new(self._webhook_secret.reveal().encode(), raw_body, sha256).hexdigest()}"

    # --- what the provider does

    def _once(self, verb: Verb, request: PaymentRequest, decide: Callable[[Book, PaymentRequest], Outcome]) -> Outcome:
        """Answer a key once: the effect and the answer are one transaction, a repeat gets the answer only."""
        token = token_of(request.details)
        fail_if_asked(token, BEFORE_EFFECT)
        if refusal := self._refused(request):
            return refusal  # it never began, so its key is not used up
        with self._ledger.writing() as book:
            known = book.operation(request.idempotency_key)
            if known is not None:
                return _repeated(known, verb, request)
            outcome = decide(book, request)
            reference = getattr(outcome, "psp_reference", "")
            book.record(
                Operation(request.idempotency_key, verb, request.merchant_reference, request.amount, reference, outcome)
            )
        fail_if_asked(token, AFTER_EFFECT)
        return outcome

    def _refused(self, request: PaymentRequest) -> Declined | None:
        if not request.idempotency_key:
            return Declined("missing_idempotency_key", "An operation needs an idempotency key.")
        if request.payment_method and request.payment_method not in self.capabilities.methods:
            return Declined("unsupported_method", f"The sandbox takes no {request.payment_method}.")
        return self._refused_amount(request.amount)

    def _refused_amount(self, amount: Money) -> Declined | None:
        if not 0 < amount.minor <= MOST_MINOR:
            return Declined("invalid_amount", "An amount must be more than zero and less than a fortune.")
        if not self._takes(amount.currency):
            return Declined("unsupported_currency", f"The sandbox does not take {amount.currency}.")
        return None

    def _takes(self, currency: str) -> bool:
        try:
            str(Money(0, currency))
        except ValueError:  # no such currency
            return False
        return not self._currencies or currency in self._currencies

    def _begin(self, book: Book, request: PaymentRequest) -> Outcome:
        token = token_of(request.details)
        if code := DECLINING.get(token):
            return Declined(code, DECLINES[code])
        script = SCRIPTS.get(token)
        if script is None:
            return Declined("invalid_token", "The token is none of the sandbox's.")
        state = State.PENDING if script is Script.DELAY else State.CHALLENGED
        payment = AtProvider(
            f"sbx_{_digest(request.idempotency_key)}", request.merchant_reference, request.amount, state
        )
        book.add_payment(payment)
        if script is Script.APPROVE:
            payment = self._settle(book, payment)
        return self._outcome(payment, request.return_url)

    def _resume(self, book: Book, request: PaymentRequest) -> Outcome:
        payment = book.payment(request.psp_reference)
        if payment is None or payment.merchant_reference != request.merchant_reference:
            return _no_such_payment(request)
        if payment.amount != request.amount:
            return Declined("amount_mismatch", "The amount differs from the payment's.", payment.psp_reference)
        result = request.details.get("result")
        if payment.state is State.CHALLENGED and result == "ok":
            payment = self._settle(book, payment)
        elif payment.state is State.CHALLENGED and result == "failed":
            payment = replace(payment, state=State.FAILED)
            book.update_payment(payment)
        return self._outcome(payment, request.return_url)

    def _take(self, book: Book, request: PaymentRequest) -> Outcome:
        if not self.capabilities.separate_capture:
            return Declined("not_supported", "Payments are captured as they are authorised.")
        payment = _find(book, request)
        if payment is None:
            return _no_such_payment(request)
        if payment.state is not State.HELD:
            return Declined("not_capturable", f"The payment is {payment.state}.", payment.psp_reference)
        left = payment.amount.minor - book.moved(payment.psp_reference, Movement.CAPTURE)
        if request.amount.currency != payment.amount.currency or request.amount.minor > left:
            return Declined("capture_exceeds_authorised", "More than is held.", payment.psp_reference)
        book.move(payment.psp_reference, Movement.CAPTURE, request.amount.minor)
        return Captured(payment.psp_reference, request.amount, CARD_BRAND, CARD_LAST4)

    def _release(self, book: Book, request: PaymentRequest) -> Outcome:
        payment = _find(book, request)
        if payment is None:
            return _no_such_payment(request)
        if payment.state is State.FAILED or book.moved(payment.psp_reference, Movement.CAPTURE):
            return Declined("not_cancellable", f"The payment is {payment.state}.", payment.psp_reference)
        book.update_payment(replace(payment, state=State.CANCELLED))
        return Cancelled(payment.psp_reference)

    def _give_back(self, book: Book, request: PaymentRequest) -> Outcome:
        payment = _find(book, request)
        if payment is None:
            return _no_such_payment(request)
        captured = book.moved(payment.psp_reference, Movement.CAPTURE)
        left = captured - book.moved(payment.psp_reference, Movement.REFUND)
        if request.amount.currency != payment.amount.currency or request.amount.minor > left:
            return Declined("refund_exceeds_captured", "More than was captured.", payment.psp_reference)
        book.move(payment.psp_reference, Movement.REFUND, request.amount.minor)
        return Refunded(payment.psp_reference, request.amount)

    def _settle(self, book: Book, payment: AtProvider) -> AtProvider:
        """Approve a payment: hold it or take it, as the settings say."""
        payment = replace(payment, state=self._settled)
        book.update_payment(payment)
        if payment.state is State.TAKEN:
            book.move(payment.psp_reference, Movement.CAPTURE, payment.amount.minor)
        return payment

    def _outcome(self, payment: AtProvider, return_url: str = "") -> Outcome:
        reference = payment.psp_reference
        match payment.state:
            case State.TAKEN:
                return Captured(reference, payment.amount, CARD_BRAND, CARD_LAST4)
            case State.HELD:
                return Authorised(reference, payment.amount)
            case State.PENDING:
                return Pending(reference)
            case State.CANCELLED:
                return Cancelled(reference)
            case State.FAILED:
                return Declined("authentication_failed", "The shopper was not authenticated.", reference)
            case State.CHALLENGED:
                query = {"psp_reference": reference} | ({"return_url": return_url} if return_url else {})
                return ActionRequired(reference, f"{self._challenge_url}?{urlencode(query)}")


def _repeated(known: Operation, verb: Verb, request: PaymentRequest) -> Outcome:
    if (known.verb, known.merchant_reference, known.amount) == (verb, request.merchant_reference, request.amount):
        return known.outcome
    # The first operation stands as it is; to call this one declined would be to say something about that one.
    return Unknown(f"the key {request.idempotency_key} belongs to another {known.verb} of {known.merchant_reference}")


def _find(book: Book, request: PaymentRequest) -> AtProvider | None:
    """The payment of a later operation, by the provider's reference where we ever learned it."""
    found = (
        book.payment(request.psp_reference) if request.psp_reference else book.payment_of(request.merchant_reference)
    )
    return found if found is not None and found.merchant_reference == request.merchant_reference else None


def _no_such_payment(request: PaymentRequest) -> Declined:
    return Declined("unknown_payment", f"The sandbox knows no such payment of {request.merchant_reference}.")


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:24]
