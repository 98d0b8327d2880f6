"""Cassettes: a case as data passes where it holds, and says in one line what does not hold where."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from tests.testing.back_office import SALE, SETTINGS, Acme, changed, faults
from tillhook import (
    Answer,
    Capabilities,
    Captured,
    Notification,
    Outcome,
    Outside,
    PaymentEvent,
    PaymentGateway,
    PaymentRequest,
    Pending,
    Plugin,
    RetryLater,
    hookimpl,
)
from tillhook.core.testing.cassette_files import Case, Cassette
from tillhook.core.testing.cassettes import Cassettes, play


class TestAcme(Cassettes):
    plugin = Acme
    settings: ClassVar[Mapping[str, Any]] = SETTINGS
    cassettes = "cassettes/"


class TestWithout(Cassettes):
    plugin = Acme


class AnotherKey(Acme):
    def post(self, outside: Outside, document: dict[str, Any], key: str) -> Answer:
        return super().post(outside, document, f"{key}-again")


class AnotherTotal(Acme):
    def post(self, outside: Outside, document: dict[str, Any], key: str) -> Answer:
        return super().post(outside, {**document, "total": 1}, key)


class AsksTwice(Acme):
    def post(self, outside: Outside, document: dict[str, Any], key: str) -> Answer:
        super().post(outside, document, key)
        return super().post(outside, document, key)


class AsksTwiceAndSaysNothing(Acme):
    def post(self, outside: Outside, document: dict[str, Any], key: str) -> Answer:
        answer = super().post(outside, document, key)
        try:
            super().post(outside, document, key)
        except AssertionError:
            return answer
        return answer


class NeverAsks(Acme):
    def post(self, outside: Outside, document: dict[str, Any], key: str) -> Answer:
        return Answer(200, {}, b'{"receipt_number": "A-1"}')


class TellsItsKey(Acme):
    def post(self, outside: Outside, document: dict[str, Any], key: str) -> Answer:
        super().post(outside, document, key)
        raise RetryLater(f"refused {self.settings.api_key.reveal()}")


class PublishesTwice(Acme):
    def post(self, outside: Outside, document: dict[str, Any], key: str) -> Answer:
        outside.publish("acme.sold", key=key, value={})
        return super().post(outside, document, key)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (AnotherKey, "headers.idempotency-key: expected 'ord_7', got 'ord_7-again'"),
        (AnotherTotal, "json.total: expected 2399, got 1"),
        (AsksTwice, "call 2 is not expected: POST https://back-office.example/sales"),
        (AsksTwiceAndSaysNothing, "call 2 is not expected: POST https://back-office.example/sales"),
        (NeverAsks, "exchange 1 was never asked for: POST https://back-office.example/sales"),
        (TellsItsKey, "it raised RetryLater: refused"),
        (TellsItsKey, "shows a secret of the settings"),
        (PublishesTwice, "published: expected 1 entries, got 2"),
    ],
)
def test_what_the_plugin_does_otherwise_is_said(broken: type[Plugin], said: str, tmp_path: Path) -> None:
    assert said in "\n".join(faults(SALE, broken, tmp_path))


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ({"outcome": "PosLog"}, "outcome: expected PosLog, got Fulfilled(reference='A-1')"),
        ({"outcome": "None"}, "outcome: expected None, got Fulfilled(reference='A-1')"),
        ({"answer": {"reference": "B"}}, "answer.reference: expected 'B', got 'A-1'"),
        ({"answer": {"number": 1}}, "answer.number: expected 1, but there is only reference"),
        ({"raises": "Permanent"}, "raises: expected Permanent, got the answer Fulfilled(reference='A-1')"),
        ({"outcome": "Fulfilled"}, "published: expected 0 entries, got 1"),
        ({"count": 3}, "count: expected 3 rows"),
        ({"rows": [{}]}, "rows: expected a list, got {'reference': 'A-1'}"),
        ({"answer": {}, "published": [{"topic": "acme.sold", "value": {"total": 5}}]}, "value.total: expected 5"),
    ],
)
def test_what_comes_of_it_otherwise_is_said(expect: dict[str, Any], said: str, tmp_path: Path) -> None:
    assert said in "\n".join(faults(SALE, Acme, tmp_path, expect=expect))


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ({"raises": "RetryLater"}, "raises: expected RetryLater, got Permanent: refused"),
        ({"raises": "Permanent", "match": "^nobody"}, "match: '^nobody' is not found in"),
        ({"outcome": "Fulfilled"}, "it raised Permanent: refused: a person must look at it"),
    ],
)
def test_what_is_raised_otherwise_is_said(expect: dict[str, Any], said: str, tmp_path: Path) -> None:
    assert said in "\n".join(faults("a_refused_sale_is_given_up", Acme, tmp_path, expect=expect))


@pytest.mark.parametrize(
    ("answer", "raises"),
    [({"fault": "not_reached"}, "NotReached"), ({"fault": "no_answer"}, "NoAnswer"), ({"status": 503}, "NoAnswer")],
)
def test_a_fault_of_the_other_side_reaches_the_plugin(answer: dict[str, Any], raises: str, tmp_path: Path) -> None:
    asked = {"method": "POST", "url": "https://back-office.example/sales"}
    changes = {"exchange": [{"expect": asked, "answer": answer}], "expect": {"raises": raises}}
    assert faults(SALE, Acme, tmp_path, **changes) == []


def test_a_case_may_have_settings_of_its_own(tmp_path: Path) -> None:
    written = {"answer": "0815--0000042"}
    name = "a_number_is_written_with_the_store"
    assert faults(name, Acme, tmp_path, settings={"dashes": 2}, expect=written) == []
    assert faults(name, Acme, tmp_path, expect=written) == ["answer: expected '0815--0000042', got '0815-0000042'"]


def test_a_file_that_is_missing_or_lies_elsewhere_is_said(tmp_path: Path) -> None:
    for name in ("nowhere.csv", "../test_cassettes.py"):
        said = faults("a_bad_row_is_refused", Acme, tmp_path, input=name)
        assert said == [f"input: there is no file {name!r} beside the cassette"]


class Teller:
    """A gateway that asks its provider once for each verb."""

    name = "teller"
    capabilities = Capabilities(methods=("credit_card",))

    def authorise(self, request: PaymentRequest, outside: Outside) -> Outcome:
        asked = {"amount": request.amount.minor, "token": request.details["token"]}
        key = request.idempotency_key
        answer = outside.request("POST", "https://pay.example/v1", json=asked, idempotency_key=key)
        return Captured(answer.json()["id"], request.amount)

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        if headers.get("Signature") != "good":
            raise ValueError("the signature is not the provider's")
        return Notification(
            notification_id=raw_body.decode(),
            merchant_reference="pay_1",
            event=PaymentEvent.CAPTURED,
            outcome=Pending(),
        )

    create_session = capture = cancel = refund = inquire = authorise


class Pays(Plugin):
    @hookimpl
    def payment_gateways(self) -> Sequence[PaymentGateway]:
        return (Teller(),)  # type: ignore[return-value]


def test_a_verb_of_a_gateway_is_a_case_like_any_other(tmp_path: Path) -> None:
    case: dict[str, Any] = {
        "name": "a payment is taken",
        "offer": "payment_gateways",
        "verb": "authorise",
        "arguments": {"request": {"details": {"token": "tok_1"}, "amount": {"minor": 500}}},
        "exchange": [
            {
                "expect": {
                    "method": "POST",
                    "url": "https://pay.example/v1",
                    "headers": {"Idempotency-Key": "op_sample"},
                    "json": {"amount": 500, "token": "tok_1"},
                },
                "answer": {"json": {"id": "psp_1"}},
            }
        ],
        "expect": {"outcome": "Captured", "answer": {"psp_reference": "psp_1", "amount": {"minor": 500}}},
    }
    found = Cassette(tmp_path / "case.json", msgspec.convert(case, Case))
    assert play(found, Pays, {}, tmp_path) == []
    other = changed(found, exchange=[{**case["exchange"][0], "answer": {"fault": "half", "json": {"id": "psp_1"}}}])
    assert play(changed(other, expect={"raises": "NoAnswer"}), Pays, {}, tmp_path) == []


def test_the_body_of_a_webhook_is_written_in_the_case_or_beside_it(tmp_path: Path) -> None:
    (tmp_path / "body.txt").write_text("ntf_1")
    case = {
        "name": "n",
        "offer": "payment_gateways",
        "verb": "read_webhook",
        "arguments": {"headers": {"Signature": "good"}, "raw_body": "ntf_2"},
        "expect": {"answer": {"notification_id": "ntf_2", "outcome": {"type": "pending"}}},
    }
    found = Cassette(tmp_path / "case.json", msgspec.convert(case, Case))
    assert play(found, Pays, {}, tmp_path) == []
    beside = {"arguments": {"headers": {"Signature": "good"}}, "input": "body.txt"}
    assert play(changed(found, **beside, expect={"answer": {"notification_id": "ntf_1"}}), Pays, {}, tmp_path) == []
    forged = {"arguments": {"headers": {}}, "input": "body.txt", "expect": {"raises": "ValueError", "match": "sign"}}
    assert play(changed(found, **forged), Pays, {}, tmp_path) == []
