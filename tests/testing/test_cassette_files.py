"""A malformed cassette is named with its key; what a case does not say comes from a sale that is always the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.testing.back_office import SALE, SETTINGS, Acme, faults
from tillhook import (
    CompletedOrder,
    Plugin,
    hookimpl,
)
from tillhook.core.plugins.offers import RULES
from tillhook.core.plugins.shapes import fits
from tillhook.core.roles.grammar import Kind, kind_of
from tillhook.core.testing import cassette_files
from tillhook.core.testing.cassette_files import Case, Cassette, Expectation, cassettes_in, verbs_of
from tillhook.core.testing.cassettes import play
from tillhook.core.testing.likeness import differences
from tillhook.core.testing.samples import ORDER, STORE, filled
from tillhook.hookspecs import HOOKS

CALLED = [hook for hook in HOOKS if kind_of(HOOKS[hook]).kind is not Kind.OFFER]
VERBS = [(offer, verb) for offer in sorted(cassette_files.OFFERS_WITH_VERBS) for verb in verbs_of(offer)]


# --- malformed ones

GOOD = 'name = "n"\nhook = "fulfil_order"\nexpect = {outcome = "Fulfilled"}\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name =", "it cannot be read: Invalid value"),
        (b"\xff\xfe", "it cannot be read: 'utf-8' codec"),
        ('name = "n"', "missing required field `expect`"),
        (GOOD + "hok = 1", "contains unknown field `hok`"),
        (GOOD.replace("fulfil_order", "fulfill_order"), "hook: 'fulfill_order' is no hook that is called (did you"),
        (GOOD.replace("fulfil_order", "item_feeds"), "hook: 'item_feeds' is no hook that is called"),
        (GOOD + 'offer = "item_feeds"', "either hook or offer"),
        (GOOD.replace('hook = "fulfil_order"', 'offer = "payment_gateway"'), "did you mean 'payment_gateways'?"),
        (GOOD.replace('hook = "fulfil_order"', 'offer = "payment_gateways"'), "have no verb ''"),
        (GOOD + '[[exchange]]\nexpect = {method = "GET"}', "exchange[0].expect: Object missing required field `url`"),
        (GOOD + '[[exchange]]\nexpect = {method = 7, url = ""}', "exchange[0].expect.method: Expected `str`"),
        (
            GOOD + '[[exchange]]\nexpect = {method = "GET", url = ""}\nanswer = {fault = "slow"}',
            "exchange[0].answer.fault: Invalid enum value 'slow'",
        ),
        (
            GOOD + '[[exchange]]\nexpect = {method = "GET", url = ""}\nanswer = {fault = "half"}',
            "exchange[0].answer: the fault 'half' needs a json or body to cut",
        ),
        (
            GOOD + '[[exchange]]\nexpect = {method = "GET", url = ""}\nanswer = {json = 1, body = ""}',
            "exchange[0].answer: an answer has either json or body",
        ),
        (GOOD.replace("outcome", "match"), "expect: match is about the text of an exception"),
        (GOOD.replace("{outcome", '{raises = "X", outcome'), "expect: what raises gives no outcome"),
        (GOOD.replace('{outcome = "Fulfilled"}', "{}"), "expect: nothing is expected"),
        (GOOD + '[[exchange]]\nexpect = {method = "GET", url = ""}\n' * 101, "exchange: 101 of them; at most 100"),
    ],
)
def test_a_malformed_cassette_is_named_with_its_key(text: str | bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "case.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    (found,) = cassettes_in(tmp_path)
    (line,) = play(found, Acme, SETTINGS, tmp_path)
    assert found.path.name == "case.toml"
    assert said in line


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arguments": {"ordr": {}}}, "arguments.ordr: there is no such argument (did you mean 'order'?)"),
        ({"arguments": {"order": {"totl": 1}}}, "arguments.order.totl: there is no such field (there are order_id"),
        ({"arguments": {"order": {"total": {"minor": "x"}}}}, "arguments.order.total.minor: Expected `int`, got `str`"),
        ({"arguments": {"order": {"lines": [{"gtin": 5}]}}}, "arguments.order.lines[0].gtin: Expected `str`"),
        ({"hook": "poslog_for"}, "hook: the plugin does not implement poslog_for"),
        ({"hook": "", "offer": "notifiers"}, "offer: the plugin offers no notifiers"),
        ({"hook": "", "offer": "item_feeds", "offered": "xml"}, "offered: 'xml' is none of its item_feeds (csv)"),
        ({"settings": {"api_kee": "x"}}, "api_kee"),
    ],
)
def test_what_does_not_fit_the_plugin_is_named_with_its_key(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    if "offer" in changes:
        changes = {**changes, "arguments": {}, "input": "goods.csv" if changes["offer"] == "item_feeds" else ""}
    assert said in "\n".join(faults(SALE, Acme, tmp_path, **changes))


def test_a_folder_without_cassettes_and_one_with_too_many_fail(tmp_path: Path) -> None:
    (found,) = cassettes_in(tmp_path)
    assert "no cassettes" in found.fault
    for number in range(cassette_files.MAX_CASSETTES + 1):
        (tmp_path / f"{number}.toml").touch()
    (found,) = cassettes_in(tmp_path)
    assert "501 cassettes" in found.fault


def test_a_cassette_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "large.json").write_bytes(b" " * (cassette_files.MAX_BYTES + 1))
    (found,) = cassettes_in(tmp_path)
    assert found.fault == "1048577 bytes; a cassette has at most 1048576"


def test_a_json_file_that_a_cassette_reads_is_none_itself(tmp_path: Path) -> None:
    (tmp_path / "goods.json").write_text("[]")
    case = {"name": "n", "offer": "item_feeds", "input": "goods.json", "expect": {"raises": "ValueError"}}
    (tmp_path / "case.json").write_text(json.dumps(case))
    assert [at.path.name for at in cassettes_in(tmp_path)] == ["case.json"]


# --- the sample


@pytest.mark.parametrize("hook", CALLED)
def test_every_hook_can_be_called_with_the_sample_sale(hook: str, tmp_path: Path) -> None:
    case = Case(name="n", hook=hook, expect=Expectation(outcome="None"))
    asked = type("Asked", (Plugin,), {hook: hookimpl(_returns_nothing(hook))})
    assert play(Cassette(tmp_path, case), asked, {}, tmp_path) == []


def _returns_nothing(hook: str) -> Any:
    names = [name for name in HOOKS[hook].__annotations__ if name != "return"]
    space: dict[str, Any] = {}
    exec(f"def {hook}(self, {', '.join(names)}): return None", space)
    return space[hook]


@pytest.mark.parametrize(("offer", "verb"), VERBS)
def test_every_verb_can_be_called_with_samples_and_what_the_author_gives(offer: str, verb: str, tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_text("x")
    case = Case(name="n", offer=offer, verb=verb, input="input.txt", expect=Expectation(outcome="None"))

    class Thing:
        name = "thing"

        def __getattr__(self, _: str) -> Any:
            return lambda *_, **__: None

    asked = type("Asked", (Plugin,), {offer: hookimpl(lambda self: (Thing(),))})
    assert play(Cassette(tmp_path / "case.toml", case), asked, {}, tmp_path) == []


def test_every_offer_with_one_verb_or_more_can_be_played() -> None:
    rooms = {"tables", "routes", "pages", "commands", "topics", "schedules", "demonstrations"}
    assert set(RULES) - rooms == cassette_files.OFFERS_WITH_VERBS


def test_the_sample_sale_adds_up() -> None:
    assert fits(ORDER, CompletedOrder)
    assert sum(line.amount for line in ORDER.lines) == ORDER.total.minor == sum(at.amount.minor for at in ORDER.tenders)
    assert (ORDER.store_id, ORDER.total.currency) == (STORE.store_id, STORE.currency)


def test_what_a_case_gives_stands_in_the_sample_down_to_single_fields() -> None:
    given = {"total": {"minor": 5}, "lines": [{"quantity": 3}, {"name": "Tea"}, {"line_no": 3}]}
    order = filled(given, "order", CompletedOrder)
    assert (order.total.minor, order.total.currency, order.order_id) == (5, "EUR", "ord_sample")
    assert [(at.line_no, at.quantity, at.name) for at in order.lines] == [
        (1, 3, "Coffee mug, blue"),
        (2, 2, "Tea"),
        (3, 2, "Apples 1 kg"),
    ]


def test_a_truth_is_no_number() -> None:
    assert list(differences(True, 1, "x")) == ["x: expected True, got 1"]
    assert list(differences(1, 1, "x")) == []
