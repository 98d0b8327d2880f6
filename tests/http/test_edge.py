"""What every request meets: its id, its limits, its headers, its line in the log."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from litestar.testing import TestClient

from tests.http import routes
from tests.http.parts import Provider, bearer, claims, client, ec_key, server, token
from tillhook.core.http.server import Server
from tillhook.core.telemetry import metrics

KEY = ec_key()


@pytest.fixture
def api() -> Iterator[TestClient[Server]]:
    with client(server(*routes.EVERY, providers=[Provider(KEY)])) as found:
        yield found


def told(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


# --- ids and headers


def test_a_request_keeps_the_id_that_it_came_with(api: TestClient[Server]) -> None:
    assert api.get("/health", headers={"X-Request-Id": "app-42.retry_1"}).headers["x-request-id"] == "app-42.retry_1"


@pytest.mark.parametrize("bad", ["short", "x" * 65, "with space", 'quote"quote', "-leading-dash", "line\tbreak"])
def test_an_id_of_a_harmful_shape_is_replaced_by_one_of_ours(api: TestClient[Server], bad: str) -> None:
    assert api.get("/health", headers={"X-Request-Id": bad}).headers["x-request-id"].startswith("req_")


def test_an_answer_may_neither_be_kept_nor_guessed_at(api: TestClient[Server]) -> None:
    for path in ("/health", "/nowhere", "/broken", "/mine"):
        headers = api.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_a_page_may_run_nothing(api: TestClient[Server]) -> None:
    headers = api.get("/page").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "script-src" not in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert "content-security-policy" not in api.get("/health").headers


# --- who is asking


def test_a_token_opens_the_routes_of_its_roles_and_no_others(api: TestClient[Server]) -> None:
    shopper = bearer(token(KEY))
    assert api.get("/mine", headers=shopper).json() == {"subject": "anna", "again": "anna"}
    refused = api.get("/staff-only", headers=shopper)
    assert (refused.status_code, refused.json()["code"], refused.json()["roles"]) == (403, "forbidden", ["staff"])


def test_a_token_is_verified_once_and_then_known(api: TestClient[Server], monkeypatch: pytest.MonkeyPatch) -> None:
    good = bearer(token(KEY))
    assert api.get("/mine", headers=good).status_code == 200
    monkeypatch.setattr(api.app.state.verifier, "verify", None)
    assert api.get("/mine", headers=good).status_code == 200


@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        (None, "Bearer"),
        ("Basic YTpi", "Bearer"),
        ("Bearer ", 'Bearer error="invalid_token"'),
        ("Bearer nonsense", 'Bearer error="invalid_token"'),
        ("bearer nonsense", 'Bearer error="invalid_token"'),
    ],
)
def test_who_is_not_known_is_told_how_to_say_it(api: TestClient[Server], header: str | None, challenge: str) -> None:
    answer = api.get("/mine", headers={"Authorization": header} if header else {})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == challenge


def test_a_public_route_does_not_care_about_a_bad_token(api: TestClient[Server]) -> None:
    assert api.get("/health", headers={"Authorization": "Bearer nonsense"}).status_code == 200


def test_a_silent_issuer_is_not_the_callers_fault() -> None:
    provider = Provider(KEY)
    provider.failing = ConnectionError("down")
    with client(server(*routes.EVERY, providers=[provider])) as api:
        answer = api.get("/mine", headers=bearer(token(KEY)))
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "not_ready", "30")


# --- limits


def test_a_caller_who_asks_too_often_is_told_to_wait() -> None:
    with client(server(*routes.EVERY, requests_per_minute=1, burst=2)) as api:
        answers = [api.get("/nowhere") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [404, 404, 429]
    assert answers[2].json()["code"] == "too_many_requests"
    assert 0 < int(answers[2].headers["retry-after"]) <= 60
    assert answers[2].headers["x-request-id"] == answers[2].json()["request_id"]


def test_callers_behind_one_address_are_counted_apart_once_they_are_known() -> None:
    anna, bert = (bearer(token(KEY, claims(sub=name))) for name in ("anna", "bert"))
    with client(server(*routes.EVERY, providers=[Provider(KEY)], requests_per_minute=1, burst=2)) as api:
        first = [api.get("/mine", headers=who).status_code for who in (anna, bert)]
        assert first == [200, 200], "not known yet: counted for the address"
        assert api.get("/health").status_code == 429, "the address has used up its allowance"
        assert [api.get("/mine", headers=who).status_code for who in (anna, bert, anna, bert, anna)] == [
            *(200, 200, 200, 200),
            429,
        ]


def test_invented_tokens_use_up_the_allowance_of_their_address() -> None:
    with client(server(*routes.EVERY, providers=[Provider(KEY)], requests_per_minute=1, burst=3)) as api:
        found = [api.get("/mine", headers={"Authorization": f"Bearer no.{n}"}).status_code for n in range(5)]
    assert found == [401, 401, 401, 429, 429]


def test_a_body_beyond_the_limit_is_refused() -> None:
    with client(server(*routes.EVERY, body_bytes=100)) as api:
        assert api.post("/parcels", content=b'{"count": 1}' + b" " * 88).status_code == 200
        answer = api.post("/parcels", content=b'{"count": 1}' + b" " * 89)
    assert (answer.status_code, answer.json()["code"], answer.json()["limit"]) == (413, "body_too_large", 100)


def test_a_body_that_does_not_say_how_long_it_is_is_counted_as_it_comes() -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(5):
            yield b" " * 50

    with client(server(*routes.EVERY, body_bytes=100)) as api:
        answer = api.post("/parcels", content=pieces())
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


# --- what is told about it


def test_a_request_is_one_line_with_nothing_of_its_content(lines: io.StringIO) -> None:
    with client(server(*routes.EVERY, providers=[Provider(KEY)])) as api:
        api.get("/staff-only?secret=hunter2", headers=bearer(token(KEY, claims(roles=["staff"]))))
    (line,) = [line for line in told(lines) if line["event"] == "request"]
    assert {name: line[name] for name in ("method", "route", "status", "subject", "order_id", "level")} == {
        "method": "GET",
        "route": "/staff-only",
        "status": 200,
        "subject": "anna",
        "order_id": "ord_1",
        "level": "info",
    }
    assert line["request_id"].startswith("req_")
    assert line["ms"] >= 0
    assert "hunter2" not in lines.getvalue()
    assert token(KEY).split(b".")[0].decode() not in lines.getvalue()


def test_a_defect_is_logged_with_its_traceback_and_the_request_id(lines: io.StringIO) -> None:
    with client(server(*routes.EVERY)) as api:
        api.get("/broken", headers={"X-Request-Id": "req-of-the-app"})
    (line,) = [line for line in told(lines) if line["event"] == "internal_error"]
    assert line["request_id"] == "req-of-the-app"
    assert "in broken" in line["exception"]
    assert "RuntimeError" in line["exception"]


def test_an_address_is_logged_by_its_template_only(lines: io.StringIO) -> None:
    with client(server(*routes.EVERY)) as api:
        api.get("/parcels/very-private")
        api.get("/nowhere/very-private")
    assert [line["route"] for line in told(lines)] == ["/parcels/{parcel_id}", "unmatched"]
    assert "very-private" not in lines.getvalue()


def test_probes_are_not_told_on_level_info(lines: io.StringIO) -> None:
    with client(server()) as api:
        api.get("/health")
    assert [line["level"] for line in told(lines)] == ["debug"]


def test_requests_are_counted_by_template(api: TestClient[Server]) -> None:
    def count(route: str, status: int) -> float:
        labels = {"method": "GET", "route": route, "status": str(status)}
        return metrics.REGISTRY.get_sample_value("tillhook_http_requests_total", labels) or 0.0

    before = count("/parcels/{parcel_id}", 200), count("unmatched", 404)
    api.get("/parcels/one")
    api.get("/parcels/two")
    api.get("/three")
    assert (count("/parcels/{parcel_id}", 200), count("unmatched", 404)) == (before[0] + 2, before[1] + 1)
