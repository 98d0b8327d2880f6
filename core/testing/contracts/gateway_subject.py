"""The gateway under test, the provider behind it, and the words in which its promises are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest
from msgspec import Struct

from tillhook.core.domain.money import Money, exponent
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
    Verb,
)
from tillhook.core.roles.gateway import Notification, PaymentGateway, PaymentRequest, SessionRequest
from tillhook.core.roles.outside import Outside
from tillhook.core.testing.cassettes import Cassettes
from tillhook.core.testing.clock import Clock
from tillhook.core.testing.contracts.plugin import PluginContract
from tillhook.core.testing.planted import PLANTED
from tillhook.core.testing.reasons import NO_LINES
from tillhook.core.testing.recorder import RECORDER
from tillhook.core.testing.simulators import PaymentSimulator
from tillhook.core.testing.subject import build
from tillhook.core.testing.world import Exchange, World
from tillhook.core.testing.world_phases import Phase

OUTCOMES: Final = (
    Authorised, Captured, ActionRequired, Declined, Pending, Refunded, Cancelled, NotSent, Unknown,
)  # fmt: skip
OPEN: Final = (Unknown, Pending)
"""Neither failed nor done: it is inquired about until it is settled."""
AMOUNT: Final = 1999
"""Minor units of every payment here, unless a promise is about amounts."""


class Books(Struct, frozen=True):
    """What really happened at the provider under one merchant reference, in its smallest units; None: cannot tell."""

    held: int | None
    taken: int
    refunded: int | None

    def agree_with(self, other: Books) -> bool:
        """The same, as far as both can tell."""
        pairs = ((self.held, other.held), (self.taken, other.taken), (self.refunded, other.refunded))
        return all(mine is None or yours is None or mine == yours for mine, yours in pairs)


class Stage(Struct, frozen=True, eq=False):
    """A gateway, what it is lent, and the provider behind it: a simulator in a world, if the author has one."""

    gateway: PaymentGateway
    outside: Outside
    world: World | None = None
    simulator: PaymentSimulator | None = None

    def asked(self) -> tuple[Exchange, ...]:
        """Every call that the gateway made so far, arrived or not."""
        return () if self.world is None else tuple(self.world.exchanges)


class GatewaySubject(PluginContract, Cassettes):
    """What the author says of the gateway, and what the promises are told with."""

    proves: ClassVar[tuple[str, ...]] = ("payment_gateways",)
    examples: ClassVar[int] = 5
    gateway_name: ClassVar[str] = ""
    """Which gateway, for a plugin that offers several."""
    currency: ClassVar[str] = "EUR"
    simulator: ClassVar[type[PaymentSimulator] | None] = None
    """The provider in memory (see ``tillhook.core.testing.simulators``); it is made from the settings and a clock."""
    approve: ClassVar[Mapping[str, Any]]
    """``details`` of a payment that is approved."""
    decline: ClassVar[Mapping[str, Any]]
    """``details`` of a payment that is declined."""
    lost: ClassVar[Mapping[str, Any] | None] = None
    """``details`` of a payment that is approved and whose answer is lost on the way back."""
    faults: ClassVar[Mapping[Phase, Mapping[str, Any]]] = {}
    """For a provider without a simulator: the ``details`` that break a call at a phase, as far as there are any."""

    def captured(self, gateway: PaymentGateway, merchant_reference: str) -> int:
        """Minor units taken so far, read at the provider and not through the gateway's verbs."""
        simulator = self._simulator_behind(gateway)
        if simulator is None:
            raise NotImplementedError(
                f"{type(self).__name__} must name a simulator, or say how to read what the provider took"
            )
        return self.minor(simulator.taken(merchant_reference), gateway)

    def key_of(self, exchange: Exchange) -> str:
        """The idempotency key of a call; override it for a provider that wants it elsewhere than in the header."""
        return exchange.key

    # --- the matrix

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        super().pytest_generate_tests(metafunc)
        names = [name for name in ("verb", "phase") if name in metafunc.fixturenames]
        if "phase" in names:
            metafunc.parametrize(names, self.matrix(with_verbs="verb" in names))

    def matrix(self, *, with_verbs: bool) -> Sequence[Any]:
        """Every phase at which a call can be cut here, for each verb or for all of them together."""
        phases = [phase for phase in Phase if self.simulator is not None or phase in self.faults]
        if not phases:
            none = pytest.mark.skip(reason=NO_LINES)
            return [pytest.param(*[None] * (1 + with_verbs), marks=none, id="none")]
        if not with_verbs:
            return [pytest.param(phase, id=phase.value) for phase in phases]
        return [
            pytest.param(verb, phase, id=f"{verb.value.lower()}-{phase.value}") for verb in Verb for phase in phases
        ]

    # --- the stage

    def staged(self, folder: Path) -> Stage:
        """The gateway anew, with a provider that has seen nothing yet. The world's time begins now: gateways that
        check the time of a webhook look at the real clock.
        """
        made = build(self.plugin, self.settings, folder)
        offered = made.payment_gateways()
        named = [at for at in offered if self.gateway_name in {"", at.name}]
        assert len(named) == 1, f"gateway_name must pick one of {[at.name for at in offered]}"
        RECORDER.picks("payment_gateways", named[0].name, [at.name for at in offered], named[0].capabilities)
        stage = Stage(named[0], self.lend())
        if self.simulator is not None:
            clock = Clock(datetime.now(UTC))
            simulator = self.simulator(made.settings, clock)  # type: ignore[call-arg] # a protocol has no constructor
            world = World(simulator, clock=clock, secrets=(PLANTED,))
            outside = world.lend(self.plugin.__name__.lower())
            stage = Stage(named[0], outside, world, simulator)
        self._stages = [*getattr(self, "_stages", []), stage]
        return stage

    @pytest.fixture
    def stage(self, tmp_path: Path) -> Stage:
        return self.staged(tmp_path)

    @pytest.fixture
    def gateway(self, stage: Stage) -> PaymentGateway:
        return stage.gateway

    @pytest.fixture
    def outside(self, stage: Stage) -> Outside:
        return stage.outside

    @pytest.fixture(autouse=True)
    def a_simulator_that_works(self) -> Any:
        yield
        for stage in getattr(self, "_stages", []):
            broken = stage.world.broken if stage.world else []
            assert not broken, f"the simulator is at fault, not the gateway: it raised {broken[0]!r}"

    def books(self, stage: Stage, reference: str = "pay_1") -> Books:
        """What the provider really did."""
        if stage.simulator is None:
            return Books(None, self.captured(stage.gateway, reference), None)
        simulator = stage.simulator
        return Books(simulator.held(reference), simulator.taken(reference), simulator.refunded(reference))

    def _simulator_behind(self, gateway: PaymentGateway) -> PaymentSimulator | None:
        stages: list[Stage] = getattr(self, "_stages", [])
        return next((stage.simulator for stage in stages if stage.gateway is gateway), None)

    # --- words

    def call(self, stage: Stage, verb: str, request: PaymentRequest | SessionRequest) -> Any:
        """One call of a verb, taken down for the report. Raises what it raises."""
        with RECORDER.call(f"payment_gateways.{verb}"):
            return getattr(stage.gateway, verb)(request, stage.outside)

    def read(self, stage: Stage, headers: Mapping[str, str], body: bytes) -> Notification:
        """One webhook, read by the gateway. Raises what it raises."""
        with RECORDER.call("payment_gateways.read_webhook"):
            return stage.gateway.read_webhook(headers, body)

    def money(self, minor: int) -> Money:
        return Money(minor, self.currency)

    def digits(self, gateway: PaymentGateway, currency: str) -> int:
        """Decimals of a currency as the provider counts it."""
        return gateway.capabilities.exponents.get(currency, exponent(currency))

    def counted(self, amount: Money, gateway: PaymentGateway) -> int:
        """An amount in the provider's smallest units; it must be a whole number of them."""
        shift = self.digits(gateway, amount.currency) - exponent(amount.currency)
        whole, rest = divmod(amount.minor * _ten_to(shift), _ten_to(-shift))
        assert not rest, f"{amount} is no whole number of the provider's units"
        return whole

    def minor(self, counted: int, gateway: PaymentGateway) -> int:
        """The provider's count of the suite's currency in minor units of ISO 4217."""
        shift = self.digits(gateway, self.currency) - exponent(self.currency)
        return counted * _ten_to(-shift) // _ten_to(shift)

    def request(
        self,
        key: str,
        *,
        minor: int = AMOUNT,
        psp_reference: str = "",
        details: Mapping[str, Any] | None = None,
        reference: str = "pay_1",
        currency: str = "",
        payment_method: str = "",
    ) -> PaymentRequest:
        return PaymentRequest(
            operation_id=f"op_{key}",
            merchant_reference=reference,
            idempotency_key=f"{reference}-{key}",
            amount=Money(minor, currency or self.currency),
            payment_method=payment_method,
            psp_reference=psp_reference,
            details=details or {},
        )

    def session_request(self, minor: int = AMOUNT, currency: str = "") -> SessionRequest:
        amount = Money(minor, currency or self.currency)
        return SessionRequest(payment_id="pay_1", order_id="ord_1", amount=amount, store_id="S1", platform="ios")

    def approved(self, gateway: PaymentGateway, outside: Outside) -> str:
        """Authorise for ``pay_1``; the provider's reference."""
        with RECORDER.call("payment_gateways.authorise"):
            outcome = gateway.authorise(self.request("a1", details=self.approve), outside)
        assert isinstance(outcome, Authorised | Captured), outcome
        return outcome.psp_reference

    def taken(self, gateway: PaymentGateway, outside: Outside) -> str:
        """Authorise and capture for ``pay_1``; the provider's reference."""
        reference = self.approved(gateway, outside)
        if gateway.capabilities.separate_capture:
            outcome = gateway.capture(self.request("c1", psp_reference=reference), outside)
            assert isinstance(outcome, Captured), outcome
        return reference


def refusable(verb: Callable[..., Outcome], request: PaymentRequest, outside: Outside) -> Outcome | NotImplementedError:
    """What a verb answers, or its refusal."""
    try:
        return verb(request, outside)
    except NotImplementedError as refusal:
        return refusal


def refused(outcome: Outcome | NotImplementedError) -> bool:
    """A clear no, in any of its forms; ``Unknown`` is none."""
    return isinstance(outcome, Declined | NotSent | NotImplementedError)


def _ten_to(power: int) -> int:
    """1 for a power below zero."""
    return int(10 ** max(power, 0))
