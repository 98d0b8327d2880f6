"""What a shadow can do wrong: hang, fail, say too much. None of it may reach a shopper, a duty or the live plugins."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.journey.conftest import SYSTEM
from tillhook.core.domain.comparison import Comparison, Verdict
from tillhook.core.domain.receipt_render import render_text
from tillhook.core.services import reading
from tillhook.core.services.shadowing import LONGEST_DIFFERENCE, MOST_DIFFERENCES
from tillhook.core.storage.events import DeliveryState, counts
from tillhook.core.storage.shadows import disagreements, tallies
from tillhook.core.testing.shop import Till, TillShop

GUEST = """
import threading
from tillhook import Captured, Capabilities, Discount, Fulfilled, Plugin, TaxResult, Text, hookimpl

seen = []
hangs, over = threading.Event(), threading.Event()


class Odd:
    name = "odd"
    capabilities = Capabilities(methods=("credit_card",))

    def create_session(self, request, outside): raise NotImplementedError
    authorise = capture = cancel = refund = create_session
    def read_webhook(self, headers, raw_body): raise ValueError("none")

    def evaluate(self, lines, store):
        seen.append("shadow")
        {evaluate}

    def inquire(self, request, outside):
        {inquire}


class Wordy:
    name = "wordy"

    def evaluate(self, basket, store, special, now):
        return {{line.line_no: Discount(1, ("no\\x1b[31m" + "w" * 5000,)) for line in basket.lines}}


class Guest(Plugin):
    @hookimpl
    def tax_calculators(self): return (Odd(),)

    @hookimpl
    def promotion_engines(self): return (Wordy(),)

    @hookimpl
    def payment_gateways(self): return (Odd(),)

    @hookimpl
    def receipt_fields_for(self): return (Text("Thank you, member."),)

    @hookimpl
    def update_loyalty(self, order, outside):
        seen.append("duty")
        if order.lines[0].quantity > 1:
            outside.request("GET", "http://127.0.0.1:9/points")
        return Fulfilled("points")
"""
NOTHING = "return None"
CAPTURED = "return Captured('shadow_1', request.amount)"
QUICK = f"{SYSTEM}\nhooks = {{ question_seconds = 0.1, breaker_cuts = 1 }}\nwork.max_attempts = 1"
BANANAS = "9521234001010"

Open = Callable[..., TillShop]


@pytest.fixture
def shadowed(open_with_guest: Open) -> Open:
    """Opens a shop whose Danish store has these shadows, which do this when they are asked."""

    def open_one(shadow: str, evaluate: str = NOTHING, inquire: str = CAPTURED, system: str = SYSTEM) -> TillShop:
        source = GUEST.format(evaluate=evaluate, inquire=inquire)
        return open_with_guest(source, f"shadow = {{ {shadow} }}", system)

    return open_one


def sold(shop: TillShop, pieces: int = 1) -> Till:
    return shop("demo/DK").scan(BANANAS, times=pieces).pay(token="tok_approve")


def compared(shop: TillShop) -> list[Comparison]:
    since = shop.clock() - timedelta(days=1)
    return shop.platform.db.read(lambda tx: disagreements(tx, since=since, limit=100))


def state_of(till: Till, step: str) -> tuple[str, str]:
    staff = till.shop.principal(till.store, "operator")
    [entry] = [at for at in reading.order(till.shop.platform, staff, till.order_id).timeline if at.step == step]
    return entry.state, entry.detail


# --- a shadow that hangs or fails


def test_a_shadow_that_hangs_is_not_held_against_the_plugin_that_offers_it(shadowed: Open) -> None:
    shop = shadowed('calculator = "odd"', "while not over.is_set(): pass", system=QUICK)
    sold(shop)
    shop.do_duties()
    assert compared(shop)[0].differences == ("the tax calculator 'odd' failed: did not answer within 0.1 s",)

    till = sold(shop)
    receipt = reading.receipt(shop.platform, till.who, till.order_id)
    assert "Thank you, member." in render_text(receipt), "its breaker is closed for what counts"
    shop.do_duties()
    assert state_of(till, "update_loyalty") == ("DONE", "points")
    assert "was not asked" in compared(shop)[0].differences[0] + compared(shop)[1].differences[0]


def test_a_shadow_that_meets_nobody_does_not_keep_the_plugin_from_calling(shadowed: Open) -> None:
    system = "payments.call_seconds = 16.0\noutside = { timeout_seconds = 5, retries = 0, breaker_failures = 1 }"
    inquire = "return outside.request('GET', 'http://127.0.0.1:9/payments')"
    shop = shadowed('gateway = "odd"', inquire=inquire, system=system)
    sold(shop)
    shop.do_duties()
    assert compared(shop)[0].differences == ("the shadow raised NotReached",)

    till = sold(shop, pieces=2)
    shop.do_duties()
    assert "refused" in state_of(till, "update_loyalty")[1]
    assert "not tried" not in state_of(till, "update_loyalty")[1]


def test_a_shadow_gateway_has_the_time_of_one_call_and_no_more(shadowed: Open) -> None:
    shop = shadowed('gateway = "odd"', inquire="while not over.is_set(): pass")
    sold(shop)
    shop.do_duties()
    [found] = compared(shop)
    assert found.differences == ("the shadow did not answer within 0.2 s",)


def test_duties_go_before_shadows(shadowed: Open) -> None:
    shop = shadowed('calculator = "odd"')
    sold(shop)
    assert shop.dispatcher.run_once() > 1
    assert sys.modules["guest_journey_guest"].seen == ["duty", "shadow"]


def test_one_shadow_at_a_time_so_that_the_other_threads_do_duties(shadowed: Open) -> None:
    shop = shadowed('calculator = "odd"', "hangs.set(); over.wait(10)", system=f"{SYSTEM}\nhooks.question_seconds = 20")
    guest = sys.modules["guest_journey_guest"]
    sold(shop)
    other = threading.Thread(target=shop.do_duties)
    other.start()
    try:
        assert guest.hangs.wait(10)
        till = sold(shop)
        shop.do_duties()
        assert state_of(till, "update_loyalty") == ("DONE", "points")
        assert state_of(till, "shadow_order") == ("DONE", "not compared: another comparison takes long")
    finally:
        guest.over.set()
        other.join()
    assert [one.order_id == till.order_id for one in compared(shop)] == [False]


def test_a_comparison_that_cannot_be_kept_is_nobodys_lost_duty(shadowed: Open) -> None:
    shop = shadowed('calculator = "odd"', system=QUICK)
    shop.platform.db.write(lambda tx: tx.execute(sa.text("DROP TABLE shadow_comparison")))
    till = sold(shop)
    shop.do_duties()
    assert state_of(till, "shadow_order")[0] == "DISCARDED"
    assert DeliveryState.DEAD not in shop.platform.db.read(counts)


# --- what is compared


def test_a_payment_is_compared_once_it_is_settled_and_the_last_word_counts(shadowed: Open) -> None:
    shop = shadowed('gateway = "odd"')
    till = shop("demo/DK").scan(BANANAS)
    assert till.paid(token="tok_decline").status == "REJECTED"
    assert till.paid(token="tok_3ds").status == "ACTION_REQUIRED"
    shop.do_duties()
    assert compared(shop) == [], "what is not settled cannot be compared"
    assert till.confirmed(result="ok").order_complete
    shop.do_duties()

    other = shop("demo/DK").scan(BANANAS)
    assert other.paid(token="tok_decline").status == "REJECTED"
    shop.do_duties()
    assert [one.verdict for one in compared(shop)] == [Verdict.DIFFERS]
    other.pay(token="tok_approve")
    shop.do_duties()
    assert compared(shop) == []
    since = shop.clock() - timedelta(days=1)
    assert [one.agreed for one in shop.platform.db.read(lambda tx: tallies(tx, since=since))] == [2]


def test_a_sum_that_no_column_can_hold_is_a_failure_of_the_shadow(shadowed: Open) -> None:
    huge = "return TaxResult(False, 10**30, (), tuple((at.line_no, 10**30) for at in lines))"
    shop = shadowed('calculator = "odd"', huge)
    till = sold(shop)
    shop.do_duties()
    assert state_of(till, "shadow_order") == ("DONE", "tax failed")
    [found] = compared(shop)
    assert (found.amount, found.differences) == (0, ("the shadow's sum cannot be one",))


def test_what_a_shadow_says_is_kept_short_and_plain(shadowed: Open) -> None:
    shop = shadowed('engine = "wordy"')
    till = shop("demo/DK")
    for barcode in (BANANAS, "9521234001027"):
        till.scan(barcode)
    till.pay(token="tok_approve")
    shop.do_duties()
    [found] = compared(shop)
    assert 0 < len(found.differences) <= MOST_DIFFERENCES
    assert max(map(len, found.differences)) <= LONGEST_DIFFERENCE
    assert "\x1b" not in "".join(found.differences)


def test_a_shopper_sees_nothing_of_it(shadowed: Open) -> None:
    shop = shadowed('calculator = "odd"')
    till = sold(shop)
    shop.do_duties()
    assert state_of(till, "shadow_order") == ("DONE", "tax failed")
    assert not [at.step for at in till.order().timeline if "shadow" in at.step]
