"""The grammar of hooks: a hook's name says how it is called, its docstring is its contract."""

import inspect
import re
from typing import Any, Final, get_type_hints

import pytest

from tillhook.core.roles.grammar import Kind, kind_of
from tillhook.core.roles.outside import Outside
from tillhook.hookspecs import HOOKS

IMPERATIVES: Final = {"fulfil", "mark", "redeem", "send", "submit", "update"}
"""Verbs that duties begin with. A new one is added here, and by that somebody has thought about it."""
PARTICIPLES: Final = {"found"}
"""Past participles of news that do not end in -ed."""
PARTS: Final = ("Called:", "Return:", "Raise:", "Traps:")
NAMED_BY_THE_DESIGN: Final = {
    Kind.OFFER: (
        "payment_gateways settlement_parsers settlement_sources tax_calculators promotion_engines item_feeds "
        "identity_providers notifiers routes tables"
    ),
    Kind.QUESTION: "scan_for item_for transaction_id_for poslog_for receipt_for",
    Kind.QUESTION_TO_ALL: "problems_for receipts_for receipt_fields_for settlement_columns_for",
    Kind.DUTY: (
        "fulfil_order fulfil_refund mark_epcs_sold mark_epcs_unsold update_loyalty redeem_coupons "
        "submit_fiscal_document send_receipt"
    ),
    Kind.NEWS: "order_completed payment_declined order_collected shift_ended discrepancy_found",
}


def kind_by_name(name: str) -> Kind:
    """The kind that the form of a name stands for. Raises ValueError for a name of no form."""
    *before, last = name.split("_")
    if last == "for" and before:
        return Kind.QUESTION_TO_ALL if before[-1].endswith("s") else Kind.QUESTION
    if before and before[0] in IMPERATIVES:
        return Kind.DUTY
    if last in PARTICIPLES or last.endswith("ed"):
        return Kind.NEWS
    if last.endswith("s"):
        return Kind.OFFER
    raise ValueError(f"{name} is neither a plural noun, …_for, an imperative nor a past participle")


def parameters(hook: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(hook).parameters.values())[1:]


every_hook = pytest.mark.parametrize(("name", "hook"), HOOKS.items(), ids=HOOKS)


@pytest.mark.parametrize("name", ["order", "for", "order_complete", "send", "completed_order", "gateway_payment"])
def test_a_name_of_no_form_is_noticed(name: str) -> None:
    with pytest.raises(ValueError, match="is neither"):
        kind_by_name(name)


@every_hook
def test_the_form_of_the_name_is_that_of_the_kind(name: str, hook: Any) -> None:
    assert kind_of(hook).kind is kind_by_name(name)


@every_hook
def test_the_docstring_is_a_sentence_and_the_four_parts_in_their_order(name: str, hook: Any) -> None:
    text = inspect.getdoc(hook)
    assert text is not None
    sentence, blank, *contract = text.splitlines()
    assert re.fullmatch(r"[A-Z].*\.", sentence), sentence
    assert blank == ""
    places = [" ".join(contract).find(part) for part in PARTS]
    assert -1 not in places, f"{name} lacks {PARTS[places.index(-1)]}"
    assert places == sorted(places)
    said = re.split("|".join(PARTS), " ".join(contract))
    assert said[0] == ""
    assert all(re.fullmatch(r" .+\. ?", part) for part in said[1:]), f"{name}: each part is a sentence"


@every_hook
def test_every_argument_and_the_answer_are_annotated_with_types_that_exist(name: str, hook: Any) -> None:
    hints = get_type_hints(hook)
    assert set(hints) == {parameter.name for parameter in parameters(hook)} | {"return"}
    assert all(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in parameters(hook))


@every_hook
def test_the_outside_is_lent_to_duties_and_to_nothing_else(name: str, hook: Any) -> None:
    lent = {hint for argument, hint in get_type_hints(hook).items() if argument == "outside"}
    assert lent == ({Outside} if kind_of(hook).kind is Kind.DUTY else set())
    assert Outside not in set(get_type_hints(hook).values()) - lent


@every_hook
def test_questions_and_only_questions_declare_what_happens_when_one_raises(name: str, hook: Any) -> None:
    asked = kind_of(hook).kind in {Kind.QUESTION, Kind.QUESTION_TO_ALL}
    assert (kind_of(hook).policy is not None) is asked


@every_hook
def test_offers_are_asked_without_arguments_and_news_is_not_answered(name: str, hook: Any) -> None:
    if kind_of(hook).kind is Kind.OFFER:
        assert parameters(hook) == []
    else:
        assert parameters(hook) != []
    assert (get_type_hints(hook)["return"] is type(None)) is (kind_of(hook).kind is Kind.NEWS)


@pytest.mark.parametrize("kind", Kind)
def test_every_hook_that_the_design_names_exists_and_is_of_its_kind(kind: Kind) -> None:
    named = NAMED_BY_THE_DESIGN[kind].split()
    kinds = {name: kind_of(hook).kind for name, hook in HOOKS.items()}
    assert {name: kinds.get(name) for name in named} == dict.fromkeys(named, kind)
