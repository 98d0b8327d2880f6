"""Every kind of hook, and everything that a plugin can do instead of answering: it is named, and the rest goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.plugins.guests import STORE, CashGateway, hosting
from tests.plugins.odd import HANGING, HERE, LIMITS, SHORT, WAYS, Bench, Odd, heard, release, spin
from tillhook import Customer, Fulfilled, Permanent, Plugin, Problem, ScanCode, SpecialPromotion, hookimpl
from tillhook.core.config.system import HookLimits
from tillhook.core.plugins.crew import Crew
from tillhook.core.plugins.guard import Guard, HookCut, HookRefused, PluginExit

THIS = "tests/plugins/test_guarded_hooks.py"
every_way = pytest.mark.parametrize("way", WAYS)
each_way_to_hang = pytest.mark.parametrize("way", HANGING)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    release.clear()
    heard.clear()
    made = Bench()
    yield made
    release.set()
    assert made.everything_ended()


@pytest.fixture
def does(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda way: monkeypatch.setattr(Odd, "does", staticmethod(WAYS[way]))


REASONS = {
    "hangs": f"did not answer within {SHORT} s",
    "spins": f"did not answer within {SHORT} s",
    "leaves": "raised PluginExit",
    "cancels": "raised PluginExit",
    "answers nonsense": "raised WrongAnswer",
}


# --- questions


@every_way
def test_a_question_that_may_go_unanswered_is_left_to_the_next_plugin(bench: Bench, does: Any, way: str) -> None:
    does(way)
    with capture_logs() as logs:
        assert bench.shop.ask("customer_for", customer_id="c", store=STORE) == Customer("c", "demo")
    [line] = logs
    assert (line["plugin"], line["version"], line["hook"]) == ("odd", "1.0", "customer_for")
    assert line["event"] == ("plugin_cut" if way in HANGING else "plugin_failed")
    assert bench.seen == [("odd", "customer_for", True), ("sound", "customer_for", False)]


@every_way
@pytest.mark.parametrize("hook", ["scan_for", "problems_for"])
def test_a_question_that_must_be_answered_is_refused_with_the_name_of_the_plugin(
    bench: Bench, does: Any, way: str, hook: str
) -> None:
    does(way)
    asked = {"scan_for": bench.shop.ask, "problems_for": bench.shop.ask_all}[hook]
    with pytest.raises(Problem) as refused:
        asked(hook, **{"scan_for": {"code": "1"}, "problems_for": {"basket": None}}[hook], store=STORE)
    assert refused.value.code == "plugin_failed"
    assert refused.value.detail == f"plugin odd 1.0 {REASONS[way]} in {hook}"
    assert refused.value.facts == {"plugin": "odd", "version": "1.0", "hook": hook}


@every_way
def test_a_question_to_all_goes_on_with_the_others_answers(bench: Bench, does: Any, way: str) -> None:
    does(way)
    with capture_logs() as logs:
        found = bench.shop.ask_all("special_promotions_for", basket=None, customer=None, coupons=(), store=STORE)
    assert found == [[SpecialPromotion("tiers", ("GOLD",))]]
    assert [line["plugin"] for line in logs] == ["odd"]


# --- news and duties


@every_way
def test_news_reaches_the_other_plugins(bench: Bench, does: Any, way: str) -> None:
    does(way)
    with capture_logs() as logs:
        bench.shop.tell("order_completed", order=None, store=STORE)
    assert heard == ["order_completed"]
    assert [(line["plugin"], line["hook"]) for line in logs] == [("odd", "order_completed")]


@each_way_to_hang
def test_a_duty_that_hangs_is_cut_and_can_be_tried_again(bench: Bench, does: Any, way: str) -> None:
    does(way)
    with pytest.raises(HookCut, match=rf"plugin odd 1\.0 did not answer within {SHORT} s in fulfil_order: it was at"):
        bench.shop.perform("odd", "fulfil_order", order=None, store=STORE)
    assert bench.shop.perform("sound", "fulfil_order", order=None, store=STORE) == Fulfilled("ref")


@pytest.mark.parametrize("way", ["leaves", "cancels"])
def test_a_duty_that_leaves_can_be_tried_again(bench: Bench, does: Any, way: str) -> None:
    does(way)
    with pytest.raises(PluginExit):
        bench.shop.perform("odd", "fulfil_order", order=None, store=STORE)


def test_a_duty_that_was_done_and_answers_nonsense_is_not_done_again(bench: Bench, does: Any) -> None:
    does("answers nonsense")
    with pytest.raises(Permanent) as dead:
        bench.shop.perform("odd", "fulfil_order", order=None, store=STORE)
    line = Odd.fulfil_order.__code__.co_firstlineno
    assert str(dead.value) == (
        "it was done, but plugin odd 1.0 must answer fulfil_order with Fulfilled | None, it answered object "
        f"({HERE}:{line}); it is not done again"
    )


def test_a_duty_of_a_plugin_whose_calls_hang_says_when_to_try_again(bench: Bench, does: Any) -> None:
    does("spins")
    for _ in range(3):
        with pytest.raises(HookCut):
            bench.shop.perform("odd", "fulfil_order", order=None, store=STORE)
        assert bench.everything_ended()
    bench.now = 10
    with pytest.raises(HookRefused) as refused:
        bench.shop.perform("odd", "fulfil_order", order=None, store=STORE)
    assert refused.value.seconds == 20


# --- what is offered


def use(bench: Bench, kind: str) -> Any:
    shop = bench.shop
    if kind == "gateway":
        gateway = next(one.thing for one in shop.offers("payment_gateways") if one.plugin == "offers")
        return shop.use(gateway, "authorise", None, None, seconds=SHORT)
    if kind == "tax":
        calculator = next(one.thing for one in shop.offers("tax_calculators") if one.plugin == "offers")
        return shop.use(calculator, "evaluate", (), STORE)
    return shop.use(shop.promotions, "evaluate", None, STORE, (), None)


VERBS = {
    "gateway": "payment_gateways.authorise",
    "tax": "tax_calculators.evaluate",
    "promotion": "promotion_engines.evaluate",
}


@each_way_to_hang
@pytest.mark.parametrize("kind", VERBS)
def test_what_is_offered_and_hangs_is_cut_and_named(bench: Bench, does: Any, way: str, kind: str) -> None:
    does(way)
    with capture_logs() as logs, pytest.raises(HookCut, match=f"plugin offers 1.0 did not answer within {SHORT} s"):
        use(bench, kind)
    assert [(line["event"], line["plugin"], line["hook"]) for line in logs] == [("plugin_cut", "offers", VERBS[kind])]
    assert logs[0]["where"].startswith(f"{HERE}:")
    assert bench.cuts == [("offers", VERBS[kind])]
    assert bench.seen == [("offers", VERBS[kind], True)]


@pytest.mark.parametrize("way", ["leaves", "cancels"])
@pytest.mark.parametrize("kind", VERBS)
def test_what_is_offered_and_leaves_only_leaves_its_call(bench: Bench, does: Any, way: str, kind: str) -> None:
    does(way)
    with pytest.raises(PluginExit):
        use(bench, kind)


def test_a_verb_that_answers_is_observed_under_its_own_name(bench: Bench) -> None:
    gateway = next(one.thing for one in bench.shop.offers("payment_gateways") if one.plugin == "offers")
    assert bench.shop.use(gateway, "inquire", "asked", None) == "asked"
    assert bench.seen == [("offers", "payment_gateways.inquire", False)]
    with pytest.raises(LookupError, match="no plugin of this shop offers"):
        bench.shop.use(CashGateway(), "inquire", "asked", None)


@each_way_to_hang
def test_an_offer_that_hangs_at_start_keeps_its_places_out_of_service(way: str) -> None:
    class HangsAtStart(Plugin):
        @hookimpl
        def notifiers(self) -> Any:
            return WAYS[way]()

    release.clear()
    crew = Crew()
    guard = Guard(LIMITS, crew=crew)
    tables = {"demo": {"plugins": ["till", "slow"]}, "kiosk": {"plugins": ["till"]}}
    host = hosting(tables, {"slow": HangsAtStart}, guard=guard)
    with pytest.raises(Problem, match=r"plugin 'slow' .*hook notifiers: .*did not answer within") as refused:
        host.shop(STORE)
    assert f"{HERE}:" in str(refused.value)
    assert host.shop_for("kiosk", "SE").plugins == ("till",)
    release.set()


def test_an_offer_is_taken_while_the_limit_runs_also_when_it_is_made_one_by_one() -> None:
    class Lazy(Sequence[Any]):
        def __len__(self) -> int:
            return 1

        def __getitem__(self, at: Any) -> Any:
            spin()

    class LazilyOffering(Plugin):
        @hookimpl
        def notifiers(self) -> Sequence[Any]:
            return Lazy()

    host = hosting({"demo": {"plugins": ["till", "lazy"]}}, {"lazy": LazilyOffering}, guard=Guard(LIMITS, crew=Crew()))
    with pytest.raises(Problem, match=r"hook notifiers: .*did not answer within"):
        host.shop(STORE)


# --- wrong answers


class Promises(Plugin):
    """Answers with the right types, and something else in them."""

    @hookimpl
    def scan_for(self, code: str) -> ScanCode | None:
        return ScanCode(5, "00000000000001")  # type: ignore[arg-type]

    @hookimpl
    def problems_for(self) -> Sequence[str]:
        return "too heavy"

    @hookimpl
    def special_promotions_for(self) -> Sequence[SpecialPromotion]:
        return [SpecialPromotion("tiers", ("GOLD",)), "SILVER"]  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("hook", "arguments", "promised", "found"),
    [
        ("scan_for", {"code": "1"}, "ScanCode | None", "ScanCode: Expected `str`, got `int` - at `$.scanned`"),
        ("problems_for", {"basket": None}, "Sequence[str]", "str"),
    ],
)
def test_a_wrong_answer_says_what_was_promised_what_came_and_where(
    hook: str, arguments: dict[str, Any], promised: str, found: str
) -> None:
    shop = hosting({"demo": {"plugins": ["till", "acme"]}}, {"acme": Promises}).shop(STORE)
    asked = shop.ask if hook == "scan_for" else shop.ask_all
    with pytest.raises(Problem) as refused:
        asked(hook, **arguments, store=STORE)
    line = getattr(Promises, hook).__code__.co_firstlineno
    assert str(refused.value.__cause__) == (
        f"plugin acme 1.0 must answer {hook} with {promised}, it answered {found} ({THIS}:{line})"
    )


def test_a_wrong_answer_among_right_ones_is_found_and_logged_on_one_line() -> None:
    shop = hosting({"demo": {"plugins": ["till", "acme"]}}, {"acme": Promises}).shop(STORE)
    with capture_logs() as logs:
        assert shop.ask_all("special_promotions_for", basket=None, customer=None, coupons=(), store=STORE) == []
    [line] = logs
    assert line["event"] == "plugin_failed"
    assert "it answered list with str" in line["reason"]
    assert "exc_info" not in line


# --- how many, and how often


def test_a_plugin_that_hangs_for_one_store_type_serves_another(bench: Bench, does: Any) -> None:
    does("hangs")
    for _ in range(2):
        with pytest.raises(Problem, match="did not answer within"):
            bench.shop.ask("scan_for", code="1", store=STORE)
    does("answers nonsense")
    with pytest.raises(Problem, match="raised WrongAnswer"):
        bench.kiosk.ask("scan_for", code="1", store=STORE)


def test_a_plugin_whose_calls_hang_is_not_asked_for_a_while_and_that_is_logged(bench: Bench, does: Any) -> None:
    does("spins")
    for _ in range(3):
        bench.shop.ask("customer_for", customer_id="c", store=STORE)
        assert bench.everything_ended()
    with capture_logs() as logs, pytest.raises(Problem, match=r"odd 1\.0 was not asked: .* for 30 s more in sc"):
        bench.shop.ask("scan_for", code="1", store=STORE)
    assert logs == []
    with capture_logs() as logs:
        assert bench.shop.ask("customer_for", customer_id="c", store=STORE) == Customer("c", "demo")
    assert [(line["event"], line["plugin"], line["hook"]) for line in logs] == [
        ("plugin_refused", "odd", "customer_for")
    ]
    bench.now = 31
    does("answers nonsense")
    with pytest.raises(Problem, match="raised WrongAnswer"):
        bench.shop.ask("scan_for", code="1", store=STORE)


def test_nobody_is_asked_in_another_thread_when_nobody_answers_the_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    crew = Crew()
    monkeypatch.setattr(crew, "hire", lambda: pytest.fail("a thread for nobody"))
    shop = hosting({"demo": {"plugins": ["till"]}}, {}, guard=Guard(HookLimits(offer_seconds=0), crew=crew)).shop(STORE)
    assert shop.ask("customer_for", customer_id="c", store=STORE) is None
    assert shop.ask_all("problems_for", basket=None, store=STORE) == []
    shop.tell("order_completed", order=None, store=STORE)


def test_without_a_guard_a_question_waits_for_as_long_as_a_plugin_likes() -> None:
    """The same plugin, no limit: the caller is still waiting when the test lets the plugin go."""

    class Waits(Plugin):
        @hookimpl
        def customer_for(self) -> Customer | None:
            entered.set()
            let_go.wait(20)
            return None

    entered, let_go = threading.Event(), threading.Event()
    shop = hosting({"demo": {"plugins": ["till", "odd"]}}, {"odd": Waits}).shop(STORE)
    asking = threading.Thread(target=lambda: shop.ask("customer_for", customer_id="c", store=STORE), daemon=True)
    asking.start()
    assert entered.wait(20)
    asking.join(SHORT * 3)
    assert asking.is_alive()
    let_go.set()
    asking.join()
