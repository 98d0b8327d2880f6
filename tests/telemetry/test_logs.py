"""What a log line carries, and what it never shows."""

import contextvars
import io
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from tillhook.core.telemetry import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def stream() -> io.StringIO:
    found = io.StringIO()
    logs.set_up("info", "json", found)
    return found


def told(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_time_and_level(stream: io.StringIO) -> None:
    structlog.get_logger().warning("order_completed", order_id="ord_1")
    (line,) = told(stream)
    assert (line["event"], line["level"], line["order_id"]) == ("order_completed", "warning", "ord_1")
    assert line["time"].endswith("Z")


def test_lines_below_the_level_are_left_out(stream: io.StringIO) -> None:
    structlog.get_logger().debug("chatter")
    logging.getLogger("some.library").debug("chatter")
    assert stream.getvalue() == ""


def test_lines_of_libraries_look_like_ours(stream: io.StringIO) -> None:
    logging.getLogger("some.library").error("it broke: %s", 7)
    (line,) = told(stream)
    assert (line["event"], line["level"], line["logger"]) == ("it broke: 7", "error", "some.library")


def test_a_client_library_does_not_log_the_addresses_that_it_calls(stream: io.StringIO) -> None:
    logging.getLogger("httpx").info("HTTP Request: GET https://psp.example/?key=1")
    assert stream.getvalue() == ""


def test_what_is_known_of_the_work_is_in_every_line_and_gone_afterwards(stream: io.StringIO) -> None:
    log = structlog.get_logger()
    with logs.work(request_id="req_1"):
        with logs.work(order_id="ord_1"):
            log.info("inner")
        log.info("outer")
    log.info("after")
    known = [{name: line[name] for name in ("request_id", "order_id") if name in line} for line in told(stream)]
    assert known == [{"request_id": "req_1", "order_id": "ord_1"}, {"request_id": "req_1"}, {}]


def test_what_a_worker_thread_notes_is_known_to_whoever_asked_for_the_work(stream: io.StringIO) -> None:
    with logs.work(request_id="req_1"), ThreadPoolExecutor(1) as pool:
        pool.submit(contextvars.copy_context().run, logs.note, order_id="ord_1").result()
        structlog.get_logger().info("request")
    assert told(stream)[0]["order_id"] == "ord_1"


def test_a_note_outside_of_any_work_is_not_kept(stream: io.StringIO) -> None:
    logs.note(order_id="ord_1")
    structlog.get_logger().info("event")
    assert "order_id" not in told(stream)[0]


def test_what_a_line_says_itself_wins_over_what_is_known_of_the_work(stream: io.StringIO) -> None:
    with logs.work(status="open"):
        structlog.get_logger().info("event", status="closed")
    assert told(stream)[0]["status"] == "closed"


@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "Authorization", "proxy_authorization", "cookie", "set-cookie", "password", "passwd"),
        *("client_secret", "webhook_secret", "api_key", "apiKey", "x-api-key", "private_key", "access_token", "token"),
        *("refresh_token", "pan", "cvc", "card_number", "iban", "signature", "paymentDetails", "accessToken"),
    ],
)
def test_a_secret_is_hidden_by_the_name_of_its_field(stream: io.StringIO, name: str) -> None:
    structlog.get_logger().info("event", **{name: "hunter2"}, nested={"list": [{name: "hunter2"}]})
    assert "hunter2" not in stream.getvalue()
    assert told(stream)[0][name] == logs.HIDDEN


@pytest.mark.parametrize("name", ["company", "pandas", "expansion", "tokens", "pinned", "spanner", "order_id", "event"])
def test_an_innocent_name_is_shown(name: str) -> None:
    assert not logs.is_secret(name)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sent Authorization: Bearer abcdefgh12345", "sent Authorization: Bearer ***"),
        ("Basic dXNlcjpwYXNz", "Basic ***"),
        ("token eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln was refused", "token *** was refused"),
        ("postgresql+psycopg://till:hunter2@db:5432/till", "postgresql+psycopg://till:***@db:5432/till"),
        ("https://user:hunter2@psp.example/pay", "https://user:***@psp.example/pay"),
        ("http://127.0.0.1:8000/docs", "http://127.0.0.1:8000/docs"),
        ("a basic thing", "a basic thing"),
    ],
)
def test_a_secret_inside_a_text_is_hidden(stream: io.StringIO, text: str, shown: str) -> None:
    structlog.get_logger().info("event", text=text)
    assert told(stream)[0]["text"] == shown


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_neither_tokens_nor_local_variables(form: Any) -> None:
    stream = io.StringIO()
    logs.set_up("info", form, stream)

    def fails() -> None:
        local = "hunter2"
        raise RuntimeError(f"refused: Bearer abcdefgh12345 ({len(local)})")

    try:
        fails()
    except RuntimeError as error:
        structlog.get_logger().error("failed", exc_info=error)
    text = stream.getvalue()
    assert "in fails" in text
    assert "refused: Bearer ***" in text
    assert 'local = "hunter2"' not in text
    assert "abcdefgh12345" not in text


def test_setting_up_again_replaces_the_stream(stream: io.StringIO) -> None:
    log = structlog.get_logger()
    log.info("first")
    second = io.StringIO()
    logs.set_up("info", "json", second)
    log.info("second")
    logging.getLogger("some.library").error("third")
    assert [line["event"] for line in told(stream)] == ["first"]
    assert [line["event"] for line in told(second)] == ["second", "third"]


def test_what_json_does_not_know_is_written_as_text(stream: io.StringIO) -> None:
    structlog.get_logger().info("event", thing=object)
    assert told(stream)[0]["thing"] == "<class 'object'>"


nested = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
)


@given(nested)
def test_hiding_twice_changes_nothing_more(value: Any) -> None:
    once = logs.redacted(value)
    assert logs.redacted(once) == once
