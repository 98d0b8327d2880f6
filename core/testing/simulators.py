"""What a simulator is: the other side of a plugin, in memory, with the provider's public shape and real state.

A simulator imports nothing of this package; it only has these attributes. It is made from the plugin's settings and a
clock (``Simulator(settings, clock)``), so that both sides know the same keys. Requests reach it one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol, runtime_checkable

from tillhook.core.roles.outside import Answer


@runtime_checkable
class Simulator(Protocol):
    """Whoever answers at one address."""

    @property
    def address(self) -> str:
        """Scheme and host, such as ``https://api.acmepay.example``; nothing else of it counts."""
        ...

    def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer one request. ``path`` has the query, names of ``headers`` are in lower case."""
        ...


@runtime_checkable
class PaymentSimulator(Simulator, Protocol):
    """A payment provider: what really happened, in the provider's own smallest units of the payment's currency.

    Each is the sum over everything that the provider ever did under one merchant reference.
    """

    def taken(self, merchant_reference: str) -> int:
        """Captured so far; refunds are not deducted."""
        ...

    def held(self, merchant_reference: str) -> int:
        """Authorised, and neither captured nor released."""
        ...

    def refunded(self, merchant_reference: str) -> int: ...


@runtime_checkable
class WebhookSimulator(Protocol):
    """A provider that tells what happened by webhooks."""

    @property
    def webhooks(self) -> Sequence[tuple[Mapping[str, str], bytes]]:
        """Headers and body of everything posted so far, oldest first."""
        ...

    @property
    def webhook_tolerance(self) -> timedelta | None:
        """How far the signed time may be from now; None when the provider signs no time."""
        ...

    def sign(self, body: bytes, *, secret: str | None = None, at: float | None = None) -> Mapping[str, str]:
        """Headers for a body, with the provider's own secret and now, or another secret or time (seconds, UTC)."""
        ...
