"""How the contracts read what plugins answer: amounts in any notation, values down to their fields, calls made."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillhook import Answer, Fulfilled, Money, NoAnswer, NotReached, Pair, PosLog, Receipt, ReceiptType, Row, Rule
from tillhook.core.plugins.shapes import fits
from tillhook.core.testing.documents import shows_amount, shows_number
from tillhook.core.testing.outside import RecordingOutside
from tillhook.core.testing.strategies import CURRENCIES

SHOWN = [
    ("Total 1234.50 EUR", True), ("Total 1,234.50", True), ("Summe 1.234,50", True), ("Totalt 1 234,50 SEK", True),
    ("1\u202f234,50", True), ("total: 123450", True), ("Total 11234.50", False), ("Total 1234.5", False),
    ("Total 1234.501", False), ("Total 1234", False), ("0123450", True), ("1234505", False),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shown"), SHOWN)
def test_an_amount_is_found_in_the_notations_of_receipts(text: str, shown: bool) -> None:
    assert shows_amount(PosLog("text/plain", text), Money(123450, "EUR")) is shown


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ('{"total": 1234.5}', True), ('{"total": 123450}', True), ('{"a": [{"t": "1234.50"}]}', True),
        ('{"total": 1234.51}', False), ('{"total": true}', False), ('{"total": null}', False), ("[-1234.50]", True),
    ],
)  # fmt: skip
def test_an_amount_is_found_among_the_values_of_json(document: str, shown: bool) -> None:
    assert shows_amount(PosLog("application/json", document), Money(123450, "EUR")) is shown


@given(st.integers(0, 10**10), st.sampled_from(CURRENCIES))
def test_every_amount_is_found_as_it_prints_itself(minor: int, currency: str) -> None:
    amount = Money(minor, currency)
    assert shows_amount(PosLog("text/plain", f"Total {amount}"), amount, minor=False)
    assert shows_amount(PosLog("text/plain", f"{amount.decimal:,f}"), amount, minor=False)
    assert not shows_amount(PosLog("text/plain", f"Total {Money(minor + 1, currency)}"), amount, minor=False)


@pytest.mark.parametrize(("text", "shown"), [("T000123", True), ("123", True), ("1234", False), ("4123", False)])
def test_a_number_is_found_by_itself_only(text: str, shown: bool) -> None:
    assert shows_number(text, 123) is shown


ROW = Pair("a", "b")
NOW = datetime(2026, 5, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "wanted", "does"),
    [
        (None, Fulfilled | None, True),
        (None, Fulfilled, False),
        (None, None, True),
        ("x", None, False),
        (Fulfilled("x"), Fulfilled | None, True),
        (Fulfilled(5), Fulfilled | None, False),  # type: ignore[arg-type]
        ((ROW, Rule()), Sequence[Row], True),
        ([ROW, "row"], Sequence[Row], False),
        ("rows", Sequence[str], False),
        ({"a": "b"}, dict[str, str], True),
        ({"a": 1}, dict[str, str], False),
        (Receipt(ReceiptType.ORDER, "t", "en", (ROW,)), Receipt, True),
        (Receipt(ReceiptType.ORDER, "t", "en", ("row",)), Receipt, False),  # type: ignore[arg-type]
        (Money(1, "EUR"), Money, True),
        (Money(1.5, "EUR"), Money, False),  # type: ignore[arg-type]
        (NOW, datetime, True),
    ],
)
def test_a_value_fits_its_annotation_down_to_its_fields(value: Any, wanted: Any, does: bool) -> None:
    assert fits(value, wanted) is does


def test_the_recording_outside_answers_in_the_order_told_and_records_what_was_reached() -> None:
    outside = RecordingOutside()
    outside.answer(Answer(201, {}, b'{"id": 7}'), NotReached("refused"), NoAnswer("late"))
    assert outside.request("POST", "https://x.example", json={"a": 1}, idempotency_key="k").json() == {"id": 7}
    with pytest.raises(NotReached):
        outside.request("POST", "https://x.example/2")
    with pytest.raises(NoAnswer):
        outside.request("GET", "https://x.example/3")
    assert outside.request("GET", "https://x.example/4").status == 200
    outside.publish("topic", key="k", value={"b": 2})
    assert [(call.method, call.url, call.body) for call in outside.calls] == [
        ("POST", "https://x.example", b'{"a":1}'),
        ("GET", "https://x.example/3", b""),
        ("GET", "https://x.example/4", b""),
    ]
    assert [(at.topic, at.key, at.value) for at in outside.messages] == [("topic", "k", b'{"b":2}')]


def test_a_request_has_one_body() -> None:
    with pytest.raises(ValueError, match="either json or content"):
        RecordingOutside().request("POST", "https://x.example", json={}, content=b"")
