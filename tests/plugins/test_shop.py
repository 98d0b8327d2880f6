"""Asking, telling and lending: what a shop does with its plugins' answers and failures."""

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.plugins.guests import STORE, CashGateway, hosting
from tillhook import (
    CompletedOrder,
    Customer,
    Fulfilled,
    ItemFeed,
    Outside,
    PaymentGateway,
    Plugin,
    Problem,
    ReceiptType,
    ScanCode,
    Store,
    hookimpl,
)
from tillhook.core.domain.problems import barcode_invalid
from tillhook.core.plugins.guard import PluginExit
from tillhook.core.plugins.shop import Shop
from tillhook.hookspecs import HOOKS


def scan(rule: str) -> ScanCode:
    return ScanCode("1", "00000000000001", rule=rule)


class Answers(Plugin):
    """Knows every code and has one thing against every basket."""

    @hookimpl
    def scan_for(self, code: str, store: Store) -> ScanCode | None:
        return scan(f"answers {code}")

    @hookimpl
    def problems_for(self, basket: Any) -> Sequence[str]:
        return ["answers"]

    @hookimpl
    def customer_for(self, customer_id: str) -> Customer | None:
        return Customer(customer_id, STORE.store_type)

    @hookimpl
    def receipts_for(self) -> Sequence[ReceiptType]:
        return [ReceiptType.GIFT]


class AlsoAnswers(Answers):
    @hookimpl
    def scan_for(self, code: str, store: Store) -> ScanCode | None:
        return scan("also")


class KnowsNothing(Plugin):
    @hookimpl
    def scan_for(self, code: str) -> ScanCode | None:
        return None

    @hookimpl
    def problems_for(self) -> Any:
        return None


class Fails(Plugin):
    @hookimpl
    def scan_for(self) -> ScanCode | None:
        raise KeyError("odd")

    @hookimpl
    def problems_for(self) -> Sequence[str]:
        sys.exit(1)

    @hookimpl
    def customer_for(self) -> Customer | None:
        raise KeyError("odd")

    @hookimpl
    def receipts_for(self) -> Sequence[Any]:
        raise KeyError("odd")

    @hookimpl
    def order_completed(self) -> None:
        sys.exit(1)

    @hookimpl
    def fulfil_order(self) -> Fulfilled | None:
        sys.exit(1)

    @hookimpl
    def update_loyalty(self) -> Fulfilled | None:
        raise KeyError("odd")


class Refuses(Plugin):
    @hookimpl
    def scan_for(self, code: str) -> ScanCode | None:
        raise barcode_invalid(f"{code} is none of ours")


class Works(Plugin):
    @hookimpl
    def order_completed(self, order: CompletedOrder) -> None:
        heard.append(order)

    @hookimpl
    def fulfil_order(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        return Fulfilled(f"{order} to {outside.plugin} of {outside.store_type}")  # type: ignore[attr-defined]


heard: list[Any] = []


def shop(*plugins: type[Plugin], observe: Any = lambda *call: None) -> Shop:
    """A shop with these plugins, asked in this order; each is named as its class."""
    classes = {one.__name__: one for one in plugins}
    host = hosting({"demo": {"plugins": ["till", *classes]}}, classes, observe)
    return host.shop(STORE)


def ask_scan(found: Shop) -> Any:
    return found.ask("scan_for", code="1", store=STORE)


def problems(found: Shop) -> list[Any]:
    return found.ask_all("problems_for", basket=None, store=STORE)


def test_the_first_answer_in_the_order_of_the_configuration_wins() -> None:
    assert ask_scan(shop(Answers, AlsoAnswers)).rule == "answers 1"
    assert ask_scan(shop(AlsoAnswers, Answers)).rule == "also"


def test_a_plugin_that_answers_none_leaves_the_question_to_the_next() -> None:
    assert ask_scan(shop(KnowsNothing, Answers)).rule == "answers 1"


def test_a_question_that_nobody_answers_gives_none() -> None:
    assert ask_scan(shop(KnowsNothing)) is None
    assert ask_scan(shop()) is None


def test_a_plugin_that_fails_after_the_first_answer_is_not_asked() -> None:
    assert ask_scan(shop(Answers, Fails)).rule == "answers 1"


def test_a_failing_plugin_blocks_a_question_that_must_be_answered_and_is_named() -> None:
    with pytest.raises(Problem) as refused:
        ask_scan(shop(KnowsNothing, Fails, Answers))
    assert refused.value.code == "plugin_failed"
    assert refused.value.facts == {"plugin": "Fails", "version": "1.0", "hook": "scan_for"}
    assert isinstance(refused.value.__cause__, KeyError)


def test_a_problem_that_a_plugin_raises_reaches_the_shopper_as_it_is() -> None:
    with pytest.raises(Problem, match="1 is none of ours") as refused:
        ask_scan(shop(Refuses, Answers))
    assert refused.value.code == "barcode_invalid"


def test_a_failing_plugin_leaves_a_question_that_may_go_unanswered_to_the_next_and_is_logged() -> None:
    with capture_logs() as logs:
        assert shop(Fails).ask("customer_for", customer_id="c", store=STORE) is None
        assert shop(Fails, Answers).ask("customer_for", customer_id="c", store=STORE) == Customer("c", "demo")
    assert [(one["event"], one["plugin"], one["version"], one["hook"]) for one in logs] == [
        ("plugin_failed", "Fails", "1.0", "customer_for")
    ] * 2


def test_a_question_to_all_gives_one_entry_for_each_plugin_that_answered_in_their_order() -> None:
    assert problems(shop(Answers, KnowsNothing, AlsoAnswers)) == [["answers"], ["answers"]]
    assert problems(shop(KnowsNothing)) == []


def test_a_plugin_that_leaves_the_process_only_leaves_its_call() -> None:
    with pytest.raises(Problem) as refused:
        problems(shop(Answers, Fails))
    assert refused.value.facts["plugin"] == "Fails"
    assert isinstance(refused.value.__cause__, PluginExit)


def test_a_failing_plugin_takes_no_other_plugins_answer_away() -> None:
    with capture_logs() as logs:
        assert shop(Fails, Answers).ask_all("receipts_for", order=None, store=STORE) == [[ReceiptType.GIFT]]
    assert [one["plugin"] for one in logs] == ["Fails"]


def test_news_reaches_every_plugin_whatever_the_others_do_with_it() -> None:
    heard.clear()
    with capture_logs() as logs:
        shop(Fails, Works).tell("order_completed", order="o1", store=STORE)
    assert heard == ["o1"]
    assert [(one["event"], one["plugin"], one["hook"]) for one in logs] == [
        ("plugin_failed", "Fails", "order_completed")
    ]


def test_a_duty_is_done_by_one_plugin_with_what_is_lent_to_it() -> None:
    done = shop(Fails, Works).perform("Works", "fulfil_order", order="o1", store=STORE)
    assert done == Fulfilled("o1 to Works of demo")


def test_what_a_duty_raises_is_raised() -> None:
    with pytest.raises(KeyError, match="odd"):
        shop(Fails, Works).perform("Fails", "update_loyalty", order="o1", store=STORE)
    with pytest.raises(PluginExit, match=re.escape("it called sys.exit(1)")):
        shop(Fails, Works).perform("Fails", "fulfil_order", order="o1", store=STORE)


def test_a_duty_that_a_plugin_has_not_is_told() -> None:
    with pytest.raises(LookupError, match="plugin 'Works' of store type 'demo' has no duty 'send_receipt'"):
        shop(Works).perform("Works", "send_receipt", order="o1", store=STORE)


def test_the_implementers_of_a_hook_are_named_in_the_order_of_the_configuration() -> None:
    found = shop(KnowsNothing, Works, Answers)
    assert found.plugins == ("till", "KnowsNothing", "Works", "Answers")
    assert found.implementers("scan_for") == ("KnowsNothing", "Answers")
    assert found.implementers("payment_gateways") == ("till",)
    assert found.implementers("send_receipt") == ()


def test_every_hook_can_be_looked_up() -> None:
    found = shop(Works)
    implemented = {hook: found.implementers(hook) for hook in HOOKS}
    assert {hook: names for hook, names in implemented.items() if names} == {
        "tax_calculators": ("till",),
        "payment_gateways": ("till",),
        "fulfil_order": ("Works",),
        "order_completed": ("Works",),
    }


def test_a_hook_that_does_not_exist_or_is_of_another_kind_is_a_defect_and_is_not_passed_over() -> None:
    for call in (shop().ask, shop().ask_all, shop().tell):
        with pytest.raises(KeyError):
            call("scan_four")
    with pytest.raises(KeyError):
        shop().ask("fulfil_order", order=None, store=STORE)


def test_every_call_is_observed_with_plugin_hook_and_outcome() -> None:
    seen: list[tuple[str, str, bool]] = []

    def observe(plugin: str, hook: str, seconds: float, failed: bool) -> None:
        assert seconds >= 0
        seen.append((plugin, hook, failed))

    found = shop(Fails, Works, observe=observe)
    assert seen == []  # building a shop is not its work
    with capture_logs():
        found.tell("order_completed", order="o1", store=STORE)
    assert seen == [("Fails", "order_completed", True), ("Works", "order_completed", False)]


def test_a_slow_question_is_logged_with_its_milliseconds_and_a_slow_duty_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticks = iter(range(100))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(ticks)))
    found = shop(Answers, Works)
    with capture_logs() as logs:
        ask_scan(found)
        found.perform("Works", "fulfil_order", order="o1", store=STORE)
    assert [(one["event"], one["plugin"], one["hook"], one["milliseconds"]) for one in logs] == [
        ("plugin_slow", "Answers", "scan_for", 1000)
    ]


class Feed:
    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, source: Any, catalogue: str, currency: str) -> Any:
        return iter(())


class Feeds(Plugin):
    @hookimpl
    def item_feeds(self) -> Sequence[ItemFeed]:
        return (Feed("a"), Feed("b"))

    @hookimpl
    def payment_gateways(self) -> Sequence[PaymentGateway]:
        return (CashGateway("card", ("credit_card",)),)


def test_offers_are_kept_by_name_and_know_their_plugin() -> None:
    found = shop(Feeds)
    feeds: Mapping[str, Any] = found.feeds
    assert list(feeds) == ["a", "b"]
    assert found.owner(feeds["b"]) == "Feeds"
    assert found.gateway.name == "cash"
    assert found.owner(found.gateway) == "till"
    assert [(one.plugin, one.thing.name) for one in found.offers("payment_gateways")] == [
        ("till", "cash"),
        ("Feeds", "card"),
    ]
    with pytest.raises(LookupError, match="no plugin of this shop offers"):
        found.owner(Feed("a"))


def test_every_plugin_is_lent_its_own_outside() -> None:
    lent: Any = shop(Works).outside("Works")
    assert (lent.plugin, lent.store_type) == ("Works", "demo")
