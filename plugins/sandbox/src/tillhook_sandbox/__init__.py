"""The sandbox payment provider: pays, declines and fails on request, without any money.

The magic values are in ``tokens`` and in the README.
"""

from __future__ import annotations

from collections.abc import Sequence

from tillhook import Config, Demonstration, PaymentGateway, Plugin, Secret, hookimpl

from .gateway import SIGNATURE_HEADER, SandboxGateway
from .ledger import Charge, Ledger
from .tokens import SHOWN

__all__ = ["SIGNATURE_HEADER", "Charge", "Ledger", "Sandbox", "SandboxGateway", "SandboxSettings"]


class SandboxSettings(Config, frozen=True):
    """How the provider is set up."""

    ledger: str = "sandbox-ledger.sqlite3"
    """The file of its books; a relative path starts at the working directory."""
    methods: tuple[str, ...] = ("credit_card", "card_terminal")
    """Payment methods by their platform names."""
    currencies: tuple[str, ...] = ()
    """ISO 4217 codes that are taken; none: all."""
    separate_capture: bool = False
    """``authorise`` only holds, ``capture`` takes; else both at once."""
    challenge_url: str = "https://sandbox.invalid/3ds"
    """Where a 3-D Secure challenge sends the shopper."""
    webhook_secret: Secret | None = None
    """Signs and checks webhooks; without it there are none."""


class Sandbox(Plugin):
    """A payment provider for development and tests: the gateway ``sandbox``."""

    hookspec_version = 2
    Settings = SandboxSettings
    settings: SandboxSettings

    @hookimpl
    def payment_gateways(self) -> Sequence[PaymentGateway]:
        settings = self.settings
        gateway = SandboxGateway(
            Ledger(settings.ledger),
            methods=settings.methods,
            currencies=settings.currencies,
            separate_capture=settings.separate_capture,
            challenge_url=settings.challenge_url,
            webhook_secret=settings.webhook_secret,
        )
        return (gateway,)

    @hookimpl
    def demonstrations(self) -> Sequence[Demonstration]:
        method = self.settings.methods[0]
        payments = {
            name: {"payment_method": method, "payment_details": {"token": token}} for name, token in SHOWN.items()
        }
        return (Demonstration(payments=payments),)
