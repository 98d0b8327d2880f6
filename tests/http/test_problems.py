"""What an error answer looks like."""

from collections.abc import Iterator
from typing import Any

import pytest
from litestar.testing import TestClient

from tests.http import routes
from tests.http.parts import client, server
from tillhook.core.domain.problems import PROBLEMS, plugin_refused
from tillhook.core.http.problems import headers_of
from tillhook.core.http.server import Server


@pytest.fixture
def api() -> Iterator[TestClient[Server]]:
    with client(server(*routes.EVERY)) as found:
        yield found


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), "soon", None])
def test_a_wait_that_is_no_number_of_seconds_is_left_out(seconds: object) -> None:
    assert headers_of(plugin_refused("The club is full.", retry_after=seconds)) == {}
    assert headers_of(plugin_refused("The club is full.", retry_after=0.2)) == {"Retry-After": "1"}


def test_a_problem_has_the_members_of_rfc_9457_and_ours(api: TestClient[Server]) -> None:
    answer = api.get("/gone", headers={"X-Request-Id": "req-of-the-app"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "/docs/errors#store_not_found",
        "title": "No such store",
        "status": 404,
        "detail": "No store has the id 'x'.",
        "instance": "/gone",
        "code": "store_not_found",
        "request_id": "req-of-the-app",
        "store_id": "x",
    }


def test_an_expired_basket_is_answered_with_460_and_facts_displace_nothing(api: TestClient[Server]) -> None:
    answer = api.get("/expired")
    assert answer.status_code == 460
    assert answer.json()["status"] == 460
    assert answer.json()["basket_id"] == "bsk_1"


def test_a_defect_tells_the_caller_its_request_id_and_nothing_else(api: TestClient[Server]) -> None:
    answer = api.get("/broken")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert answer.json()["request_id"] in answer.json()["detail"]
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text


def test_what_passes_by_itself_says_when_to_come_back(api: TestClient[Server]) -> None:
    answer = api.get("/busy")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "says"),
    [
        ("GET", "/nowhere", 404, "not_found", "/nowhere"),
        ("PUT", "/parcels", 405, "method_not_allowed", "takes POST, not PUT"),
        ("GET", "/mine", 401, "unauthenticated", "bearer token"),
        ("GET", "/parcels/a?limit=many", 400, "malformed_request", "query parameter limit: Expected int"),
        ("GET", "/parcels/a?limit=10", 400, "malformed_request", "query parameter limit: Expected int <= 9"),
        ("GET", "/parcels/a?limit=%00", 400, "malformed_request", "NUL"),
        ("GET", "/parcels/a%00", 404, "not_found", "NUL"),
        ("GET", "/docs/nothing", 404, "not_found", "/docs"),
    ],
)
def test_what_the_framework_refuses_is_a_problem_too(
    api: TestClient[Server], method: str, path: str, status: int, code: str, says: str
) -> None:
    answer = api.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]


def test_a_wrong_method_is_told_the_right_ones(api: TestClient[Server]) -> None:
    assert api.put("/parcels").headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("body", "says", "field"),
    [
        (b'{"count": "1"}', "count: Expected int, got str", "count"),
        (b'{"count": true}', "count: Expected int, got bool", "count"),
        (b'{"count": 1.5}', "count: Expected int, got float", "count"),
        (b'{"count": 0}', "count: Expected int >= 1", "count"),
        (b'{"count": null}', "count: Expected int, got null", "count"),
        (b"{}", "count is missing", "count"),
        (b'{"count": 1, "colour": "red"}', "colour is not a field that is known here", "colour"),
        (
            b'{"count": 1, "pieces": [{"weight": 1}, {"weight": "2"}]}',
            "pieces[1].weight: Expected int",
            "pieces[1].weight",
        ),
        (b'{"count": 1, "pieces": [{}]}', "pieces[0].weight is missing", "pieces[0].weight"),
        (b"[]", "The body: Expected object, got array", ""),
    ],
)
def test_a_body_of_the_wrong_shape_names_the_field_and_what_was_expected(
    api: TestClient[Server], body: bytes, says: str, field: str
) -> None:
    answer = api.post("/parcels", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")
    assert says in answer.json()["detail"]
    assert answer.json()["field"] == field


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "there is none"),
        (b"{", "not JSON"),
        (b'{"count": 1} {"count": 2}', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"count": 1, "label": "a\\u0000b"}', "NUL"),
        (b'{"count": 1, "label": "\xc3"}', "not JSON"),
        (b'{"count": 1, "label": "\\ud800"}', "not JSON"),
    ],
)
def test_what_is_no_json_is_refused(api: TestClient[Server], body: bytes, says: str) -> None:
    answer = api.post("/parcels", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")
    assert says in answer.json()["detail"]


def test_the_letters_of_an_escape_are_no_nul(api: TestClient[Server]) -> None:
    answer = api.post("/parcels", content=rb'{"count": 1, "label": "\\u0000"}')
    assert answer.json()["label"] == r"\u0000"


def test_a_body_nested_beyond_reason_is_refused(api: TestClient[Server]) -> None:
    answer = api.post("/parcels", content=b'{"count": 1, "pieces": ' + b"[" * 50_000)
    assert answer.json()["code"] == "malformed_body"


def test_a_form_is_told_to_come_as_json(api: TestClient[Server]) -> None:
    answer = api.post("/parcels", data={"count": 1})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "application/json" in answer.json()["detail"]


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.till+json", ""])
def test_every_spelling_of_json_is_read(api: TestClient[Server], kind: str) -> None:
    assert api.post("/parcels", content=b'{"count": 1}', headers={"Content-Type": kind}).status_code == 200


def test_a_long_unknown_name_is_cut_short_in_the_answer(api: TestClient[Server]) -> None:
    answer = api.post("/parcels", json={"count": 1, "x" * 10_000: 1})
    assert len(answer.content) < 2_000


def test_every_problem_can_be_looked_up_where_its_type_points(api: TestClient[Server]) -> None:
    page = api.get("/docs/errors").text
    problem: dict[str, Any] = api.get("/gone").json()
    assert problem["type"] == "/docs/errors#store_not_found"
    assert [code for code in PROBLEMS if f'id="{code}"' not in page] == []
