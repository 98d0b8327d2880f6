"""TILLHOOK_DISABLE switches a plugin off and shops go on: nothing is asked of it, nothing that it owes is lost.

Only a plugin that writes the transaction log closes its places: what it writes belongs to the sale.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tillhook import Problem
from tillhook.core.domain.receipt_render import render_text
from tillhook.core.messaging.dispatcher import PARKED
from tillhook.core.services import reading
from tillhook.core.services.wire import TimelineEntry
from tillhook.core.storage.events import DeliveryState, counts
from tillhook.core.testing.shop import Till, TillShop
from tillhook_sandbox.ledger import Ledger

BANANAS = "9521234001010"
POINTS = "guest.points"
WRITES = "switched off by the variable TILLHOOK_DISABLE, and no sale may go without what it writes"

GUEST = """
from tillhook import Fulfilled, Plugin, Text, hookimpl


class Guest(Plugin):
    @hookimpl
    def receipt_fields_for(self):
        return (Text("Thank you, member."),)

    @hookimpl
    def update_loyalty(self, order, outside):
        outside.publish("guest.points", key=order.order_id, value={"points": 18})
        return Fulfilled("points-1")
"""
CANNOT_BE_MADE = """
    def __init__(self, settings):
        raise SystemExit("this is why it is switched off")
"""

Switch = Callable[..., None]


@pytest.fixture
def switch_off(monkeypatch: pytest.MonkeyPatch) -> Switch:
    """Starts a shop again with some plugins switched off; with none, all are back."""

    def restart(shop: TillShop, *plugins: str) -> None:
        monkeypatch.setenv("TILLHOOK_DISABLE", ",".join(plugins))
        shop.crash_and_restart()

    return restart


@pytest.fixture
def with_guest(open_with_guest: Callable[..., TillShop]) -> TillShop:
    """A shop whose Danish store has a loyalty scheme, which writes nothing into the sale."""
    return open_with_guest(GUEST)


def scanned(shop: TillShop) -> Till:
    return shop("demo/DK").scan(BANANAS)


def sell(shop: TillShop) -> Till:
    return scanned(shop).pay(token="tok_approve")


def duty(till: Till, step: str = "update_loyalty") -> TimelineEntry:
    [entry] = [entry for entry in till.order().timeline if entry.step == step]
    return entry


def receipt(till: Till) -> str:
    return render_text(reading.receipt(till.shop.platform, till.who, till.order_id))


def why_closed(shop: TillShop) -> str:
    """Why the Danish store is not served."""
    with pytest.raises(Problem) as refused:
        shop.platform.host.shop(shop.store("demo/DK"))
    assert refused.value.code == "store_type_unavailable"
    return refused.value.detail


def wait_long(shop: TillShop) -> None:
    """Longer than all attempts of a duty would take, with one that is due each time."""
    for _ in range(shop.platform.system.work.max_attempts * 2):
        assert shop.do_duties() == 1
        shop.clock.advance(60)


def test_a_sale_goes_on_and_the_duty_waits_until_the_plugin_is_back(with_guest: TillShop, switch_off: Switch) -> None:
    shop = with_guest
    switch_off(shop, "guest")
    till = sell(shop)
    shop.do_duties()

    waits = duty(till)
    assert (waits.plugin, waits.state, waits.attempts) == ("guest", "PENDING", 0)
    assert waits.detail == "waits: plugin guest is switched off (TILLHOOK_DISABLE)"
    assert waits.next_try == shop.clock() + PARKED
    assert till.order().order_status == "COMPLETED"
    assert (duty(till, "fulfil_order").plugin, duty(till, "fulfil_order").state) == ("demo", "DONE")
    assert shop.published(POINTS) == []

    switch_off(shop)
    shop.clock.advance(60)
    shop.do_duties()
    done = duty(till)
    assert (done.state, done.attempts, done.detail) == ("DONE", 1, "points-1")
    assert shop.published(POINTS) == [{"points": 18}]


def test_a_duty_that_waits_uses_up_no_attempt_however_long_it_waits(with_guest: TillShop, switch_off: Switch) -> None:
    shop = with_guest
    switch_off(shop, "guest")
    till = sell(shop)
    shop.do_duties()
    shop.clock.advance(60)
    wait_long(shop)

    assert (duty(till).state, duty(till).attempts) == ("PENDING", 0)
    assert shop.platform.db.read(counts) == {DeliveryState.PENDING: 1, DeliveryState.DONE: 1}


def test_a_question_is_not_asked_of_it(with_guest: TillShop, switch_off: Switch) -> None:
    shop = with_guest
    assert "Thank you, member." in receipt(sell(shop))
    switch_off(shop, "guest")
    without = receipt(sell(shop))
    assert "Thank you, member." not in without
    assert "Thank you, and come again." in without, "the others are asked"


def test_duties_planned_before_the_plugin_was_switched_off_wait_too(with_guest: TillShop, switch_off: Switch) -> None:
    shop = with_guest
    till = sell(shop)
    switch_off(shop, "guest")
    shop.do_duties()
    assert duty(till).detail == "waits: plugin guest is switched off (TILLHOOK_DISABLE)"

    switch_off(shop)
    shop.clock.advance(60)
    shop.do_duties()
    assert shop.published(POINTS) == [{"points": 18}]


def test_a_plugin_that_cannot_be_made_is_not_made_once_it_is_switched_off(
    open_with_guest: Callable[..., TillShop], switch_off: Switch
) -> None:
    shop = open_with_guest(GUEST + CANNOT_BE_MADE)
    assert "plugin 'guest' (journey-guest 1.2): making it raised SystemExit: this is why" in why_closed(shop)
    switch_off(shop, "guest")
    assert sell(shop).order().order_status == "COMPLETED"


def test_a_retailer_that_writes_the_log_closes_its_places_and_its_duties_wait(
    shop: TillShop, switch_off: Switch
) -> None:
    till = sell(shop)
    switch_off(shop, "demo")
    assert why_closed(shop) == (
        f"store type demo/DK: plugin 'demo' (tillhook-demo 0.1.0): {WRITES} (transaction_id_for, poslog_for)"
    )
    wait_long(shop)
    assert shop.platform.db.read(counts) == {DeliveryState.PENDING: 1}
    assert shop.published("demo.order.post_transaction") == []

    switch_off(shop)
    shop.do_duties()
    assert (duty(till, "fulfil_order").state, duty(till, "fulfil_order").attempts) == ("DONE", 1)
    assert len(shop.published("demo.order.post_transaction")) == 1
    assert [sell(shop).order().transaction_id_poslog for _ in range(2)] == ["000002", "000003"], "no number is missing"


def test_an_order_is_not_paid_for_while_the_retailer_that_writes_the_log_is_switched_off(
    shop: TillShop, switch_off: Switch
) -> None:
    till = scanned(shop)
    till.session()
    switch_off(shop, "demo")
    with pytest.raises(Problem, match="store_type_unavailable"):
        till.paid(token="tok_approve")

    switch_off(shop)
    assert till.pay(token="tok_approve").order().transaction_id_poslog == "000001"


def test_what_was_charged_before_is_settled_when_the_retailer_is_back(
    shop: TillShop, switch_off: Switch, ledger: Ledger
) -> None:
    till = scanned(shop)
    assert till.paid(token="tok_timeout").status == "PENDING"
    switch_off(shop, "demo")
    for _ in range(3):
        shop.clock.advance(60)
        shop.dispatcher.keep_house()

    switch_off(shop)
    shop.clock.advance(3600)
    shop.dispatcher.keep_house()
    assert (till.order().order_status, till.order().transaction_id_poslog) == ("COMPLETED", "000001")
    assert [charge.captures for charge in ledger.charges()] == [1]


def test_a_place_that_needs_an_offer_of_it_is_refused_and_its_duties_wait(shop: TillShop, switch_off: Switch) -> None:
    till = sell(shop)
    switch_off(shop, "sandbox")
    assert why_closed(shop) == (
        "store type demo/DK: plugin 'sandbox' (tillhook-sandbox 0.1.0): switched off by the variable TILLHOOK_DISABLE, "
        "but demo.payment.gateway may need its payment_gateways: 'sandbox' is offered by no plugin of this store type "
        "(offered: none)"
    )
    wait_long(shop)
    assert shop.platform.db.read(counts) == {DeliveryState.PENDING: 1}

    switch_off(shop)
    shop.do_duties()
    assert (duty(till, "fulfil_order").state, duty(till, "fulfil_order").attempts) == ("DONE", 1)
