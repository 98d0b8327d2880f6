"""A payment gateway: seven verbs, stateless, declaring what it can do, answering with one closed type."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from tillhook.core.domain.money import Money
from tillhook.core.domain.payment import Outcome, PaymentEvent
from tillhook.core.roles.outside import Outside


class Capabilities(Struct, frozen=True, kw_only=True):
    """What a gateway can do. What is not declared is refused before any call."""

    methods: tuple[str, ...]
    """Payment methods by their platform names (``credit_card``, ``card_terminal``, …)."""
    separate_capture: bool = False
    """``authorise`` only holds the money; ``capture`` takes it."""
    partial_capture: bool = False
    refunds: bool = False
    partial_refunds: bool = False
    idempotency_keys: bool = False
    """The provider itself refuses a second effect under the same key."""
    read_lag: timedelta = timedelta(0)
    """How long after a call ``inquire`` may not yet see its effect."""
    exponents: Mapping[str, int] = {}
    """Currencies whose minor digits differ from ISO 4217 at this provider."""


class SessionRequest(Struct, frozen=True, kw_only=True):
    """A shopper is about to pay ``amount`` for ``order_id``."""

    payment_id: str
    order_id: str
    amount: Money
    store_id: str
    platform: str


class PaymentSession(Struct, frozen=True, kw_only=True):
    """What the app needs to collect the payment; ``client_secret`` goes to the shopper's device only."""

    client_secret: str
    payment_methods: tuple[str, ...]
    psp_reference: str = ""

    def __repr__(self) -> str:
        """Without ``client_secret``."""
        return f"PaymentSession({self.psp_reference}, {', '.join(self.payment_methods)})"


class PaymentRequest(Struct, frozen=True, kw_only=True):
    """One operation. ``merchant_reference`` is our payment id; ``idempotency_key`` is the same on every retry."""

    operation_id: str
    merchant_reference: str
    idempotency_key: str
    amount: Money
    payment_method: str = ""
    psp_reference: str = ""
    details: Mapping[str, Any] = {}
    """What the shopper's device sent (tokens, 3-D Secure results); never stored, never logged."""
    return_url: str = ""

    def __repr__(self) -> str:
        """Without ``details``: whoever logs a request must not log a card."""
        return f"PaymentRequest({self.operation_id}, {self.merchant_reference}, {self.amount})"


class Notification(Struct, frozen=True, kw_only=True):
    """A webhook that was understood: which payment, what happened, the provider's own id of the notification."""

    notification_id: str
    merchant_reference: str
    event: PaymentEvent
    outcome: Outcome


@runtime_checkable
class PaymentGateway(Protocol):
    """Implemented by payment plugins. Verbs return an ``Outcome`` and let NotReached/NoAnswer pass.

    The core turns NotReached into ``NotSent`` and any other exception into ``Unknown``.
    """

    name: str
    capabilities: Capabilities

    def create_session(self, request: SessionRequest, outside: Outside) -> PaymentSession: ...

    def authorise(self, request: PaymentRequest, outside: Outside) -> Outcome: ...

    def capture(self, request: PaymentRequest, outside: Outside) -> Outcome: ...

    def cancel(self, request: PaymentRequest, outside: Outside) -> Outcome: ...

    def refund(self, request: PaymentRequest, outside: Outside) -> Outcome: ...

    def inquire(self, request: PaymentRequest, outside: Outside) -> Outcome:
        """What became of the operation with this ``idempotency_key``; ``NotSent`` only on the provider's own word."""
        ...

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        """Check the signature over the raw bytes, then read. Raises ValueError for anything not genuine."""
        ...
