"""A sale through a provider whose lines are cut: paid exactly once or not at all, and never called failed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.journey.conftest import CONFIGURATION, SYSTEM, furnish
from tests.testing.model_gateway import APPROVE, AcmepayGateway, AcmepaySettings, AcmepaySimulator, announced
from tillhook import Declined, NoAnswer, Outcome, Secret
from tillhook.core.domain.order import OrderStatus
from tillhook.core.domain.payment import Payment, PaymentStatus
from tillhook.core.domain.problems import Problem, gateway_unavailable
from tillhook.core.storage.payments import payment_of_order
from tillhook.core.testing.clock import Clock
from tillhook.core.testing.shop import Till, TillShop
from tillhook.core.testing.world import World
from tillhook.core.testing.world_phases import ARRIVING, Phase

BANANAS = "9521234001010"
KEYS = {"ACMEPAY_API_KEY": "key-of-the-test", "ACMEPAY_SECRET": "secret-of-the-test"}
CALLS = {"authorise": "POST /v1/payments", "capture": "POST /v1/payments/*/captures"}
FAILED = {PaymentStatus.REJECTED, PaymentStatus.ERROR, PaymentStatus.ABANDONED}
HOUR = 3600


class Sale(Struct, eq=False):
    """A shop on a simulated world, its provider, and a till with bananas in the basket."""

    shop: TillShop
    world: World
    provider: AcmepaySimulator
    till: Till

    @property
    def payment(self) -> Payment:
        """As it is stored: reading the order would ask the provider."""
        found = self.shop.platform.db.read(lambda tx: payment_of_order(tx, self.till.order_id))
        assert found is not None
        return found

    @property
    def taken(self) -> int:
        return self.provider.taken(self.payment.payment_id)

    def pay(self) -> None:
        """As the shopper does it, who is told when the provider certainly was not reached."""
        self.till.session()
        try:
            self.till.paid(token=APPROVE)
        except Problem as problem:
            if problem.kind is not gateway_unavailable:
                raise

    def must_not_be_called_failed(self) -> None:
        """While the provider holds or took money for it, or the core cannot know yet."""
        moving = self.taken or self.provider.held(self.payment.payment_id)
        assert not (moving and self.payment.status in FAILED), f"{self.payment.status}\n{self.world.transcript()}"

    def wait_for_the_resolver(self) -> None:
        for _ in range(12):
            self.shop.clock.advance(HOUR)
            self.shop.dispatcher.keep_house()
            self.must_not_be_called_failed()

    def must_be_paid_once_or_not_at_all(self) -> None:
        order, payment = self.till.order(), self.payment
        told = f"{payment}\n{self.world.transcript()}"
        assert self.provider.held(payment.payment_id) == 0, told
        if order.order_status == OrderStatus.COMPLETED:
            assert self.taken == payment.captured == payment.amount.minor, told
        else:
            assert (self.taken, payment.captured) == (0, 0), told
            assert payment.status in FAILED, told


@pytest.fixture
def sale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sale]:
    monkeypatch.syspath_prepend(str(announced(tmp_path / "installed")))
    text = CONFIGURATION.format(folder=tmp_path, database=f"sqlite:///{tmp_path}/tillhook.db", system=SYSTEM)
    text = text.replace('"sandbox"', '"acmepay"').replace(
        f'sandbox.ledger = "{tmp_path}/sandbox.db"',
        'acmepay.api_key = "env:ACMEPAY_API_KEY"\nacmepay.webhook_secret = "env:ACMEPAY_SECRET"',
    )
    file = tmp_path / "tillhook.toml"
    file.write_text(text)
    clock = Clock()
    settings = AcmepaySettings(
        api_key=Secret("ACMEPAY_API_KEY", KEYS["ACMEPAY_API_KEY"]),
        webhook_secret=Secret("ACMEPAY_SECRET", KEYS["ACMEPAY_SECRET"]),
    )
    provider = AcmepaySimulator(settings, clock)
    world = World(provider, clock=clock, secrets=KEYS.values())
    shop = TillShop(file, furnish=furnish, environ=KEYS, world=world)
    yield Sale(shop, world, provider, shop("demo/DK").scan(BANANAS))
    assert not world.broken
    shop.close()


def test_over_whole_lines_it_is_held_then_taken(sale: Sale) -> None:
    sale.pay()
    assert sale.payment.status is PaymentStatus.CAPTURED
    sale.must_be_paid_once_or_not_at_all()
    assert sale.taken == sale.payment.amount.minor > 0


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("verb", CALLS)
def test_whatever_is_cut_the_order_is_paid_once_or_not_at_all(verb: str, phase: Phase, sale: Sale) -> None:
    sale.world.cut(phase, matching=CALLS[verb])
    sale.pay()
    sale.must_not_be_called_failed()
    sale.world.mend()
    sale.wait_for_the_resolver()
    sale.must_be_paid_once_or_not_at_all()
    money_moved = verb == "capture" or phase in ARRIVING
    assert bool(sale.taken) is money_moved, "what the provider got is not lost, what it never got is not taken"


@pytest.mark.parametrize("verb", CALLS)
def test_a_second_cut_on_the_first_inquiry_changes_nothing(verb: str, sale: Sale) -> None:
    sale.world.cut(Phase.AFTER_EFFECT, matching=CALLS[verb], times=1)
    sale.world.cut(Phase.STRAY, matching="GET *", times=1)
    sale.pay()
    sale.wait_for_the_resolver()
    assert sale.taken == sale.payment.amount.minor
    sale.must_be_paid_once_or_not_at_all()


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in ARRIVING])
def test_what_never_arrived_can_be_paid_again_and_is_paid_once(phase: Phase, sale: Sale) -> None:
    sale.world.cut(phase, matching=CALLS["authorise"])
    sale.pay()
    sale.world.mend()
    sale.wait_for_the_resolver()
    sale.till.paid(token=APPROVE)
    assert sale.taken == sale.payment.amount.minor
    sale.must_be_paid_once_or_not_at_all()


def test_the_keys_of_the_provider_are_in_no_log_and_no_transcript(
    sale: Sale, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for phase in Phase:
        sale.world.cut(phase, matching="POST /v1/payments*", times=1)
        sale.world.cut(phase, matching="GET *", times=1)
    sale.pay()
    sale.wait_for_the_resolver()
    said = f"{capsys.readouterr()}{caplog.text}{sale.world.transcript()}{sale.world.journal}"
    assert sale.world.exchanges
    assert not [name for name, key in KEYS.items() if key in said]


def test_the_story_notices_a_gateway_that_calls_a_timeout_declined(sale: Sale, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = AcmepayGateway._ask

    def broken(self: AcmepayGateway, *given: Any) -> Outcome:
        try:
            return ask(self, *given)
        except NoAnswer:
            return Declined("timeout")

    monkeypatch.setattr(AcmepayGateway, "_ask", broken)
    sale.world.cut(Phase.AFTER_EFFECT, matching=CALLS["authorise"])
    sale.pay()
    with pytest.raises(AssertionError, match="REJECTED"):
        sale.must_not_be_called_failed()
    with pytest.raises(AssertionError):
        sale.must_be_paid_once_or_not_at_all()
