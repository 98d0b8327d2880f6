"""What a shop needs besides the plugin under test: somebody to vouch for shoppers, to tax, and to take the money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from tillhook.core.domain.money import Rounding
from tillhook.core.domain.payment import Cancelled, Captured, Declined, Outcome, PaymentEvent, Refunded
from tillhook.core.domain.store import Store
from tillhook.core.domain.tax import Taxable, TaxRate, TaxResult, tax_lines
from tillhook.core.roles.gateway import (
    Capabilities,
    Notification,
    PaymentGateway,
    PaymentRequest,
    PaymentSession,
    SessionRequest,
)
from tillhook.core.roles.grammar import hookimpl
from tillhook.core.roles.offers import IdentityProvider, Principal, TaxCalculator
from tillhook.core.roles.outside import Outside
from tillhook.hookspecs import Plugin

RATES: Final = {"standard": TaxRate("standard", Decimal(25)), "food": TaxRate("food", Decimal(12))}


class Furniture(Plugin):
    """Switched on in the shops of ``till_shop``."""

    @hookimpl
    def identity_providers(self) -> Sequence[IdentityProvider]:
        return (Doorman(),)

    @hookimpl
    def tax_calculators(self) -> Sequence[TaxCalculator]:
        return (Taxes(),)

    @hookimpl
    def payment_gateways(self) -> Sequence[PaymentGateway]:
        return (Drawer(),)


class Doorman:
    """Vouches for whoever the test makes; there are no tokens of its issuer."""

    name = "furniture"
    issuer = "https://doorman.example"
    algorithms: tuple[str, ...] = ("EdDSA",)

    def keys(self, outside: Outside) -> Mapping[str, Any]:
        return {"keys": []}

    def accepts(self, claims: Mapping[str, Any]) -> bool:
        return False

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        raise ValueError(f"{self.issuer} makes no tokens")


class Taxes:
    """Prices include the tax: 25 per cent, 12 for food."""

    name = "furniture"

    def evaluate(self, lines: Sequence[Taxable], store: Store) -> TaxResult:
        return tax_lines(lines, RATES, included=True, rounding=Rounding.HALF_UP)


class Drawer:
    """Takes every payment at once; ``pay(decline=True)`` is declined."""

    name = "furniture"
    capabilities = Capabilities(methods=("credit_card",), refunds=True, partial_refunds=True, idempotency_keys=True)

    def create_session(self, request: SessionRequest, outside: Outside) -> PaymentSession:
        return PaymentSession(client_secret=f"drawer {request.payment_id}", payment_methods=self.capabilities.methods)

    def authorise(self, request: PaymentRequest, outside: Outside) -> Outcome:
        if request.details.get("decline"):
            return Declined("declined", "The drawer stays shut.")
        return Captured(f"drawer-{request.merchant_reference}", request.amount, card_brand="visa", card_last4="1111")

    def capture(self, request: PaymentRequest, outside: Outside) -> Outcome:
        return self.authorise(request, outside)

    def cancel(self, request: PaymentRequest, outside: Outside) -> Outcome:
        return Cancelled(request.psp_reference)

    def refund(self, request: PaymentRequest, outside: Outside) -> Outcome:
        return Refunded(request.psp_reference, request.amount)

    def inquire(self, request: PaymentRequest, outside: Outside) -> Outcome:
        return self.authorise(request, outside)

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        raise ValueError(f"the drawer sends no webhooks, so this is none of {', '.join(PaymentEvent)}")
