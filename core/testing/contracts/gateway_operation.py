"""One operation as the core carries it out: asked, read, inquired about and sent again until it is settled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from tillhook.core.config.system import Payments
from tillhook.core.domain.payment import (
    Authorised,
    Cancelled,
    Captured,
    NotSent,
    Operation,
    OperationStatus,
    Outcome,
    Refunded,
    Unknown,
    Verb,
)
from tillhook.core.roles.gateway import PaymentRequest
from tillhook.core.roles.outside import NotReached
from tillhook.core.services.answers import understood
from tillhook.core.testing.contracts.gateway_subject import AMOUNT, OPEN, Books, GatewaySubject, Stage
from tillhook.core.testing.world import Exchange

ROUNDS: Final = 6
"""Inquiries until an operation must be settled; the lines are whole by then."""
PART: Final = 500
_CALL_SECONDS: Final = Payments().call_seconds
_MEANS: Final[dict[Verb, type[Outcome]]] = {
    Verb.CAPTURE: Captured,
    Verb.CANCEL: Cancelled,
    Verb.REFUND: Refunded,
}
_BEFORE: Final[dict[Verb, type[Outcome]]] = {
    Verb.CAPTURE: Authorised,
    Verb.CANCEL: Authorised,
    Verb.REFUND: Captured,
}
"""What an inquiry answers that tells of the payment while the operation has not happened."""


class Carried:
    """One verb's operation on a stage that has come far enough for it, and what was said of it last."""

    def __init__(self, suite: GatewaySubject, stage: Stage, verb: Verb) -> None:
        self.stage = stage
        self.verb = verb
        self._suite = suite
        self.able = stage.gateway.capabilities
        self.said: Outcome = Unknown("not asked yet")
        self.request = self._prepared()
        self._calls_before = len(stage.asked())
        self.before = suite.books(stage)

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """Every call that was made for this operation, arrived or not."""
        return self.stage.asked()[self._calls_before :]

    # --- as the core does it

    def ask(self) -> Outcome:
        return self.ask_with(self.request.details)

    def ask_with(self, details: Mapping[str, Any]) -> Outcome:
        """The same operation, with other details of the shopper's."""
        self.said = self.heard(self.verb.value.lower(), replace(self.request, details=details))
        return self.said

    def inquire(self) -> Outcome:
        self.said = self.heard("inquire", replace(self.request, details={}))
        return self.said

    def settle(self) -> Outcome:
        """Inquire until it is settled; what the provider never got is sent again under the same key."""
        for _ in range(ROUNDS):
            if self.right(self.said):
                break
            self.wait()
            if self.absent(self.said):
                self.ask()
            else:
                self.inquire()
        return self.said

    def wait(self) -> None:
        """Until the call must be over, and the provider's read lag, too."""
        if self.stage.world is not None:
            self.stage.world.advance(_CALL_SECONDS + self.able.read_lag.total_seconds())

    def heard(self, verb: str, request: PaymentRequest) -> Outcome:
        """What the core makes of a call: an outcome, or of whatever was raised certainly not sent, or not known."""
        try:
            answer: Any = self._suite.call(self.stage, verb, request)
        except NotReached as error:
            return NotSent(str(error)) if verb != "inquire" else Unknown(str(error))
        except Exception as error:  # noqa: BLE001 - as the core reads it
            return Unknown(f"{verb} ended in {type(error).__name__}")
        outcome = understood(answer, self._operation)
        # That a capture was not sent the core keeps open; here it is still to be judged whether that was so.
        return answer if isinstance(answer, NotSent | Authorised) and self.verb is not Verb.AUTHORISE else outcome

    # --- reading what was said

    def open(self, outcome: Outcome) -> bool:
        return isinstance(outcome, OPEN)

    def absent(self, outcome: Outcome) -> bool:
        """The provider never got it: it says so, or shows the payment as it was before."""
        before = _BEFORE.get(self.verb)
        return isinstance(outcome, NotSent) or (before is not None and isinstance(outcome, before))

    def right(self, outcome: Outcome) -> bool:
        """What is said of an operation that happened."""
        meant = _MEANS.get(self.verb, Authorised if self.able.separate_capture else Captured)
        if not isinstance(outcome, meant) or not getattr(outcome, "psp_reference", ""):
            return False
        return getattr(outcome, "amount", self.request.amount) == self.request.amount

    # --- what really happened

    @property
    def happened(self) -> bool:
        """Exactly once."""
        return self._suite.books(self.stage).agree_with(self.after)

    @property
    def untouched(self) -> bool:
        """Nothing has happened yet."""
        return self._suite.books(self.stage).agree_with(self.before)

    @property
    def after(self) -> Books:
        """The provider's books when it happened exactly once."""
        held, taken, refunded = self.before.held, self.before.taken, self.before.refunded
        count = self._suite.counted(self.request.amount, self.stage.gateway)
        match self.verb:
            case Verb.AUTHORISE if self.able.separate_capture:
                return Books(None if held is None else count, 0, refunded)
            case Verb.AUTHORISE | Verb.CAPTURE:
                return Books(None if held is None else 0, count, refunded)
            case Verb.CANCEL:
                return Books(None if held is None else 0, 0, refunded)
            case Verb.REFUND:
                return Books(held, taken, None if refunded is None else count)

    def within_bounds(self) -> bool:
        """Never more taken than was authorised, never more given back than was taken."""
        books = self._suite.books(self.stage)
        authorised = self._suite.counted(self._suite.money(AMOUNT), self.stage.gateway)
        return (books.held or 0) + books.taken <= authorised and (books.refunded or 0) <= books.taken

    def told(self) -> str:
        """For a failed promise: what was said, what happened, and every call."""
        lines = self.stage.world.transcript() if self.stage.world is not None else ""
        books = self._suite.books(self.stage)
        return f"it said {self.said}; the provider has {books}, and once would be {self.after}\n{lines}"

    def _prepared(self) -> PaymentRequest:
        suite, stage = self._suite, self.stage
        match self.verb:
            case Verb.AUTHORISE:
                return suite.request("a1", details=suite.approve)
            case Verb.CAPTURE:
                return suite.request("c1", psp_reference=suite.approved(stage.gateway, stage.outside))
            case Verb.CANCEL:
                return suite.request("x1", psp_reference=suite.approved(stage.gateway, stage.outside))
            case Verb.REFUND:
                part = PART if self.able.partial_refunds else AMOUNT
                return suite.request("r1", minor=part, psp_reference=suite.taken(stage.gateway, stage.outside))

    @property
    def _operation(self) -> Operation:
        request = self.request
        return Operation(
            request.operation_id,
            request.merchant_reference,
            self.verb,
            request.amount,
            request.idempotency_key,
            OperationStatus.UNKNOWN,
            request.psp_reference,
        )
