"""A plugin that hangs in the middle of a sale: the sale goes on by the hook's policy, and no money is lost or taken
twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from tillhook.core.domain.problems import Problem
from tillhook.core.messaging import dispatcher as dispatching
from tillhook.core.roles.duties import Permanent
from tillhook.core.services.settling import load_case
from tillhook.core.storage.payments import operations_of
from tillhook.core.storage.tables import delivery
from tillhook.core.testing.shop import Till, TillShop
from tillhook_sandbox.ledger import Ledger

BANANAS = "9521234001010"
GUEST = '''
"""A plugin that hangs wherever the test says."""

import threading

from tillhook import Fulfilled, Plugin, hookimpl

HANGS = set()
RELEASE = threading.Event()
ANSWERS = {}


def do(hook, answer=None):
    if hook in HANGS:
        RELEASE.wait(20)
    return ANSWERS.get(hook, answer)


class Engine:
    name = "slow"

    def evaluate(self, basket, store, special, now):
        return do("evaluate", {})


class Guest(Plugin):
    @hookimpl
    def promotion_engines(self):
        return (Engine(),)

    @hookimpl
    def customer_for(self, customer_id, store):
        return do("customer_for")

    @hookimpl
    def special_promotions_for(self, basket):
        return do("special_promotions_for", ())

    @hookimpl
    def problems_for(self, basket):
        return do("problems_for", ())

    @hookimpl
    def poslog_for(self, order):
        return do("poslog_for")

    @hookimpl
    def order_completed(self, order):
        do("order_completed")

    @hookimpl
    def update_loyalty(self, order):
        return do("update_loyalty", Fulfilled("7 points"))
'''
SYSTEM = """payments.call_seconds = 2.0
outside = {{ timeout_seconds = 0.2, retries = 1 }}
hooks = {{ question_seconds = {limit}, news_seconds = {limit}, duty_seconds = {limit}, breaker_cuts = 100 }}"""
SHORT = SYSTEM.format(limit=0.2)


class Hanging:
    """The guest of the Danish store, and its shop."""

    def __init__(self, shop: TillShop, guest: Any) -> None:
        self.shop = shop
        self.guest = guest

    def hangs(self, *where: str) -> None:
        self.guest.HANGS.clear()
        self.guest.HANGS.update(where)

    def answers(self, **what: Any) -> None:
        self.guest.ANSWERS.update(what)

    def till(self) -> Till:
        return self.shop("demo/DK")


@pytest.fixture
def hanging(open_with_guest: Callable[..., TillShop]) -> Iterator[Hanging]:
    shop = open_with_guest(GUEST, 'promotion.engine = "slow"', SHORT)
    shop.platform.host.shop(shop.store("demo/DK"))
    import guest_journey_guest as guest

    yield Hanging(shop, guest)
    guest.RELEASE.set()


def named(logs: list[Any], hook: str) -> bool:
    """Whether the culprit is named, with the line it hangs in."""
    return any(
        (line["plugin"], line["version"], line["hook"]) == ("guest", "1.2", hook)
        and line["where"].startswith("guest_journey_guest.py:")
        and line["where"].endswith(" in do")
        for line in logs
        if line["event"] == "plugin_cut"
    )


def test_a_sale_goes_on_without_the_answers_of_a_plugin_that_hangs(hanging: Hanging, ledger: Ledger) -> None:
    hanging.hangs("customer_for", "special_promotions_for")
    with capture_logs() as logs:
        till = hanging.till().scan(BANANAS).pay(token="tok_approve")
    assert till.order().order_status == "COMPLETED"
    assert [charge.captures for charge in ledger.charges()] == [1]
    assert named(logs, "customer_for")
    assert named(logs, "special_promotions_for")


@pytest.mark.parametrize(
    ("hook", "what"),
    [("evaluate", "the promotion engine 'slow' failed: did"), ("problems_for", "plugin guest 1.2 did")],
)
def test_what_must_be_answered_and_hangs_is_refused_with_its_name(hanging: Hanging, hook: str, what: str) -> None:
    till = hanging.till().scan(BANANAS)
    hanging.hangs(hook)
    with pytest.raises(Problem, match=f"plugin_failed: {what} not answer within 0.2 s") as refused:
        till.scan(BANANAS) if hook == "evaluate" else till.ordered()
    assert refused.value.facts["plugin"] == "guest"
    hanging.hangs()
    assert till.scan(BANANAS).pay(token="tok_approve").order().order_status == "COMPLETED"


def test_a_paid_order_completes_when_the_plugin_does_not_hang_any_more(hanging: Hanging, ledger: Ledger) -> None:
    till = hanging.till().scan(BANANAS)
    hanging.hangs("poslog_for")
    view = till.paid(token="tok_approve")
    assert (view.status, view.order_complete) == ("CAPTURED", False)
    hanging.hangs()
    hanging.shop.clock.advance(3600)
    hanging.shop.do_duties()
    assert till.order().order_status == "COMPLETED"
    assert [charge.captures for charge in ledger.charges()] == [1]


def test_a_duty_that_hangs_is_tried_again_and_the_timeline_says_why(hanging: Hanging) -> None:
    till = hanging.till().scan(BANANAS).pay(token="tok_approve")
    hanging.hangs("update_loyalty", "order_completed")
    with capture_logs() as logs:
        hanging.shop.do_duties()
    [entry] = [at for at in till.order().timeline if at.step == "update_loyalty"]
    assert entry.state == "PENDING"
    assert "HookCut: plugin guest 1.2 did not answer within 0.2 s in update_loyalty" in entry.detail
    assert named(logs, "update_loyalty")
    assert named(logs, "order_completed"), "news is told once, and cut"
    hanging.hangs()
    hanging.shop.clock.advance(3600)
    hanging.shop.do_duties()
    [entry] = [at for at in till.order().timeline if at.step == "update_loyalty"]
    assert (entry.state, entry.detail) == ("DONE", "7 points")


def test_a_duty_that_is_not_begun_because_its_plugin_hangs_waits_until_that_is_tried_again(
    open_with_guest: Callable[..., TillShop],
) -> None:
    shop = open_with_guest(
        GUEST, "", f"{SHORT.replace('breaker_cuts = 100', 'breaker_cuts = 1, breaker_seconds = 600')}"
    )
    till = shop("demo/DK").scan(BANANAS).pay(token="tok_approve")
    import guest_journey_guest as guest

    guest.HANGS.add("update_loyalty")
    shop.do_duties()
    guest.RELEASE.set()
    shop.clock.advance(60)
    shop.do_duties()
    [entry] = [at for at in till.order().timeline if at.step == "update_loyalty"]
    assert (
        "HookRefused: plugin guest 1.2 was not asked update_loyalty: its last calls did not end in time" in entry.detail
    )
    assert entry.state == "PENDING"
    assert entry.next_try is not None
    assert 500 < (entry.next_try - shop.clock()).total_seconds() <= 600


def test_a_duty_begins_with_a_lease_that_outlasts_the_longest_that_it_may_take(
    shop: TillShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else another worker begins it while it is still being done."""
    for _ in range(3):
        shop("demo/DK").scan(BANANAS).pay(token="tok_approve")
    left: list[float] = []

    def slow(platform: Any, claimed: Any) -> str:
        row = sa.select(delivery.c.lease_until).where(delivery.c.id == claimed.delivery_id)
        until = shop.platform.db.read(lambda tx: tx.execute(row).scalar_one())
        left.append((until - shop.clock()).total_seconds())
        shop.clock.advance(16)  # a third of the lease has not passed yet
        return ""

    monkeypatch.setattr(dispatching, "perform", slow)
    shop.do_duties()
    assert len(left) == 3
    assert min(left) >= shop.platform.system.hooks.duty_seconds


def test_a_duty_that_answers_nonsense_is_a_dead_letter_that_says_so(hanging: Hanging) -> None:
    till = hanging.till().scan(BANANAS).pay(token="tok_approve")
    hanging.answers(update_loyalty="7 points")
    hanging.shop.do_duties()
    [entry] = [at for at in till.order().timeline if at.step == "update_loyalty"]
    assert entry.state == "DEAD"
    assert entry.detail.startswith(
        f"{Permanent.__name__}: it was done, but plugin guest 1.2 must answer update_loyalty with Fulfilled | None, "
        "it answered str (guest_journey_guest.py:"
    )


def test_a_question_that_answers_nonsense_leaves_a_paid_order_open(hanging: Hanging) -> None:
    till = hanging.till().scan(BANANAS)
    hanging.answers(poslog_for="<poslog/>")
    assert not till.paid(token="tok_approve").order_complete
    hanging.guest.ANSWERS.clear()
    hanging.shop.do_duties()
    assert till.order().order_status == "COMPLETED"


# --- gateways


@pytest.fixture
def slow_provider(shop: TillShop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Has the provider take the money (or do whatever it is asked for) and then never answer a verb."""
    release = threading.Event()
    gateway = shop.platform.host.shop(shop.store("demo/DK")).gateway

    def never_answers(verb: str) -> None:
        real = getattr(gateway, verb)

        def do_and_hang(*arguments: Any) -> Any:
            real(*arguments)
            release.wait(20)

        monkeypatch.setattr(gateway, verb, do_and_hang)

    yield never_answers
    release.set()


def test_a_gateway_that_hangs_leaves_the_payment_open_until_an_inquiry_settles_it(
    shop: TillShop, ledger: Ledger, slow_provider: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    till = shop("demo/DK").scan(BANANAS)
    slow_provider("authorise")
    with capture_logs() as logs:
        assert till.paid(token="tok_approve").status == "PENDING"
    [cut] = [line for line in logs if line["event"] == "plugin_cut"]
    assert (cut["plugin"], cut["hook"]) == ("sandbox", "payment_gateways.authorise")
    assert cut["where"].endswith("in slow_provider.<locals>.never_answers.<locals>.do_and_hang")
    [entry] = shop.platform.db.read(
        lambda tx: operations_of(tx, load_case(shop.platform, till.order_id).payment.payment_id)
    )
    assert entry.reason == "authorise did not answer within 2 s"
    with pytest.raises(Problem, match="payment_in_progress"):
        till.paid(token="tok_approve")
    shop.clock.advance(10)
    shop.dispatcher.keep_house()
    assert till.order().order_status == "COMPLETED"
    assert [charge.captures for charge in ledger.charges()] == [1]


def test_an_inquiry_that_hangs_says_nothing_and_the_next_one_settles(
    shop: TillShop, ledger: Ledger, slow_provider: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    till = shop("demo/DK").scan(BANANAS)
    assert till.paid(token="tok_timeout").status == "PENDING"
    slow_provider("inquire")
    shop.clock.advance(10)
    shop.dispatcher.keep_house()
    assert load_case(shop.platform, till.order_id).payment.status.value == "PENDING"
    monkeypatch.undo()
    shop.clock.advance(3600)
    shop.dispatcher.keep_house()
    assert till.order().order_status == "COMPLETED"
    assert [charge.captures for charge in ledger.charges()] == [1]


def test_a_session_that_hangs_is_told_as_a_provider_that_cannot_be_reached(
    shop: TillShop, slow_provider: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    till = shop("demo/DK").scan(BANANAS)
    slow_provider("create_session")
    with pytest.raises(Problem, match="gateway_unavailable"):
        till.session()
    monkeypatch.undo()
    assert till.pay(token="tok_approve").order().order_status == "COMPLETED"


def test_a_session_that_is_none_is_told_as_a_provider_that_cannot_be_reached(shop: TillShop, provider: Any) -> None:
    till = shop("demo/DK").scan(BANANAS)
    provider(shop, create_session=lambda *_: {"client_secret": 7})
    with pytest.raises(Problem, match="gateway_unavailable"):
        till.session()


def test_a_gateway_that_is_not_called_because_it_hangs_certainly_charged_nothing(
    open_shop: Callable[..., TillShop], ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = open_shop(
        system="payments.call_seconds = 1.5\noutside = { timeout_seconds = 0.1, retries = 0 }\n"
        "hooks = { breaker_cuts = 1, breaker_seconds = 600 }"
    )
    gateway = shop.platform.host.shop(shop.store("demo/DK")).gateway
    till, other = shop("demo/DK").scan(BANANAS), shop("demo/DK").scan(BANANAS)
    till.session()
    release = threading.Event()
    with monkeypatch.context() as hangs:
        hangs.setattr(gateway, "authorise", lambda *_: release.wait(20))
        assert other.paid(token="tok_approve").status == "PENDING"
    release.set()
    with pytest.raises(Problem, match=r"gateway_unavailable: .*this request charged nothing"):
        till.paid(token="tok_approve")
    assert till.order().payment.status == "ERROR"
    with pytest.raises(Problem, match="gateway_unavailable"):
        shop("demo/DK").scan(BANANAS).session()
    assert ledger.charges() == []


def test_a_gateway_that_hangs_without_a_limit_keeps_the_shopper_waiting(
    shop: TillShop, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same payment with the guard taken away."""
    guard = shop.platform.host.shop(shop.store("demo/DK"))._guard
    guarded, release = guard.play, threading.Event()
    monkeypatch.setattr(guard, "play", lambda turns, seconds, *rest: guarded(turns, 0, *rest))
    till = shop("demo/DK").scan(BANANAS)
    till.session()
    provider(shop, authorise=lambda *_: release.wait(20))
    paying = threading.Thread(target=lambda: till.paid(token="tok_approve"))
    paying.start()
    paying.join(3)  # payments.call_seconds is 2
    waiting = paying.is_alive()
    release.set()
    paying.join()
    assert waiting
