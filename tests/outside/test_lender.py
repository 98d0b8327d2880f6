"""The outside world as it is lent: what was certainly not reached, what may have had its effect, and what is kept."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import msgspec
import pytest

from tests.outside.worlds import URL, Handler, World, ok, raising
from tillhook.core.outside.lender import JournalEntry, redacted
from tillhook.core.roles.outside import NoAnswer, NotReached
from tillhook.core.roles.settings import Secret, without_secrets


def test_an_answer_is_given_with_status_headers_and_body(world: Callable[..., World]) -> None:
    answer = world(ok).outside.request("POST", URL, json={"a": 1}, idempotency_key="k1", headers={"X-Shop": "s"})
    assert answer.status == 200
    assert answer.json() == {"done": True}
    assert answer.headers["content-type"] == "application/json"


def test_a_body_is_sent_as_json_with_the_idempotency_key(world: Callable[..., World]) -> None:
    class Sale(msgspec.Struct):
        order_id: str

    here = world(ok)
    here.outside.request("post", URL, json=Sale("o1"), idempotency_key="k1", headers={"X-Shop": "s"})
    request = here.requests[0]
    assert (request.method, request.content) == ("POST", b'{"order_id":"o1"}')
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"] == "k1"
    assert request.headers["x-shop"] == "s"


def test_a_plugin_may_send_json_of_its_own_type(world: Callable[..., World]) -> None:
    here = world(ok)
    here.outside.request("POST", URL, json={}, headers={"Content-Type": "application/vnd.acme+json"})
    assert here.requests[0].headers.get_list("content-type") == ["application/vnd.acme+json"]


def test_two_bodies_are_refused(world: Callable[..., World]) -> None:
    with pytest.raises(ValueError, match="either json or content"):
        world(ok).outside.request("POST", URL, json={}, content=b"x")


@pytest.mark.parametrize("status", [201, 302, 400, 404, 409, 429])
def test_any_answer_below_500_is_an_answer(world: Callable[..., World], status: int) -> None:
    here = world(lambda request: httpx.Response(status, headers={"location": "http://elsewhere.test"}))
    assert here.outside.request("GET", URL).status == status
    assert len(here.requests) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_answer_of_500_and_above_may_have_had_its_effect(world: Callable[..., World], status: int) -> None:
    here = world(lambda request: httpx.Response(status))
    with pytest.raises(NoAnswer, match=f"POST {URL}: answered {status}"):
        here.outside.request("POST", URL, idempotency_key="k")
    assert len(here.requests) == 1
    assert [(entry.status, entry.error) for entry in here.journal] == [(status, f"answered {status}")]


@pytest.mark.parametrize("failure", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError])
def test_a_failure_to_connect_is_certainly_not_reached(
    world: Callable[..., World], failure: type[httpx.TransportError]
) -> None:
    with pytest.raises(NotReached, match=f"{URL}: {failure.__name__}"):
        world(raising(failure)).outside.request("POST", URL)


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ReadTimeout,
        httpx.ReadError,
        httpx.WriteTimeout,
        httpx.WriteError,
        httpx.RemoteProtocolError,
        httpx.LocalProtocolError,
        httpx.CloseError,
    ],
)
def test_any_other_failure_may_have_had_its_effect_and_is_not_tried_again(
    world: Callable[..., World], failure: type[httpx.TransportError]
) -> None:
    here = world(raising(failure))
    with pytest.raises(NoAnswer, match=f"{URL}: {failure.__name__}"):
        here.outside.request("GET", URL, idempotency_key="k")
    assert len(here.requests) == 1


def test_every_failure_of_the_client_is_one_or_the_other() -> None:
    """A new kind of failure of httpx must not pass as something that the core does not know."""
    kinds = [kind for kind in vars(httpx).values() if isinstance(kind, type) and issubclass(kind, httpx.TransportError)]
    assert all(issubclass(kind, httpx.HTTPError) for kind in kinds)
    assert len(kinds) > 10


@pytest.mark.parametrize(("method", "key", "tries"), [("GET", None, 3), ("POST", "k", 3), ("POST", None, 1)])
def test_what_was_not_reached_is_tried_again_where_that_is_safe(
    world: Callable[..., World], method: str, key: str | None, tries: int
) -> None:
    here = world(raising(httpx.ConnectError))
    with pytest.raises(NotReached):
        here.outside.request(method, URL, idempotency_key=key)
    assert len(here.requests) == len(here.journal) == tries
    assert len(here.slept) == tries - 1
    assert {request.headers.get("idempotency-key") for request in here.requests} == {key}


def test_a_second_try_that_succeeds_is_the_answer(world: Callable[..., World]) -> None:
    answers: Iterator[Handler] = iter([raising(httpx.ConnectError), ok])

    def in_turn(request: httpx.Request) -> httpx.Response:
        handler = next(answers)
        return handler(request)

    here = world(in_turn)
    assert here.outside.request("GET", URL).status == 200


def test_an_answer_longer_than_the_limit_is_half_an_answer(world: Callable[..., World]) -> None:
    assert world(lambda request: httpx.Response(200, content=b"x" * 100)).outside.request("GET", URL).body == b"x" * 100
    with pytest.raises(NoAnswer, match="longer than 100 bytes"):
        world(lambda request: httpx.Response(200, content=b"x" * 101)).outside.request("GET", URL)


def test_an_answer_that_drips_is_cut_off_at_the_time_limit(world: Callable[..., World]) -> None:
    here = world(ok)

    def drip() -> Iterator[bytes]:
        while True:
            here.now += 4
            yield b"x"

    here.handler = lambda request: httpx.Response(200, content=drip())
    with pytest.raises(NoAnswer, match="longer than the time limit"):
        here.outside.request("GET", URL)


def test_the_time_limit_is_the_settings_unless_the_plugin_gives_its_own(world: Callable[..., World]) -> None:
    here = world(ok)
    here.outside.request("GET", URL)
    here.outside.request("GET", URL, timeout=90)
    assert [request.extensions["timeout"]["read"] for request in here.requests] == [10, 90]


def test_after_so_many_failures_calls_are_refused_without_being_made(world: Callable[..., World]) -> None:
    here = world(raising(httpx.ReadTimeout))
    for _ in range(3):
        with pytest.raises(NoAnswer):
            here.outside.request("POST", URL)
    with pytest.raises(NotReached, match="not tried, its last calls failed; refused for 30 s more"):
        here.outside.request("GET", URL, idempotency_key="k")
    assert len(here.requests) == 3
    assert here.slept == []


def test_after_a_while_one_call_is_let_through_to_try(world: Callable[..., World]) -> None:
    here = world(raising(httpx.ReadTimeout))
    for _ in range(3):
        with pytest.raises(NoAnswer):
            here.outside.request("POST", URL)
    here.now += 31
    with pytest.raises(NoAnswer):
        here.outside.request("POST", URL)
    with pytest.raises(NotReached, match="not tried"):
        here.outside.request("POST", URL)
    here.now += 31
    here.handler = ok
    assert here.outside.request("POST", URL).status == 200
    assert here.outside.request("POST", URL).status == 200


def test_failures_count_only_in_a_row(world: Callable[..., World]) -> None:
    here = world(ok)
    for handler in [raising(httpx.ReadTimeout), raising(httpx.ReadTimeout), ok] * 2:
        here.handler = handler
        if handler is ok:
            here.outside.request("POST", URL)
        else:
            with pytest.raises(NoAnswer):
                here.outside.request("POST", URL)
    assert len(here.requests) == 6


def test_one_plugins_failures_do_not_close_the_way_of_another_or_of_another_store_type(
    world: Callable[..., World],
) -> None:
    here = world(raising(httpx.ReadTimeout))
    for _ in range(3):
        with pytest.raises(NoAnswer):
            here.outside.request("POST", URL)
    here.handler = ok
    assert here.lender.lend("other", "demo").request("POST", URL).status == 200
    assert here.lender.lend("acme", "kiosk").request("POST", URL).status == 200
    with pytest.raises(NotReached):
        here.lender.lend("acme", "demo").request("POST", URL)


def test_the_journal_names_the_call_and_holds_nothing_secret(
    world: Callable[..., World], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    here = world(ok)
    here.outside.request(
        "POST",
        "http://shop:hunter2@back-office.test/sales?key=hunter2#hunter2",
        json={"card": "hunter2"},
        headers={"Authorization": "Bearer hunter2"},
    )
    assert here.journal == [JournalEntry("acme", "demo", "POST", URL, 200, 0.0, "")]
    assert "hunter2" not in caplog.text


def test_a_failure_tells_nothing_secret_either(world: Callable[..., World]) -> None:
    with pytest.raises(NotReached) as refused:
        world(raising(httpx.ConnectError)).outside.request("POST", "http://a:hunter2@b.test/x?key=hunter2")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("address", ["http://[", "nowhere", "ftp://back-office.test/x", ""])
def test_an_address_that_cannot_be_called_is_not_reached(world: Callable[..., World], address: str) -> None:
    with pytest.raises(NotReached):
        world().outside.request("POST", address)


def test_a_secret_that_is_part_of_an_address_is_hidden() -> None:
    secret = Secret("HOOK", "T0/B0/a-token-that-nobody-may-see")
    assert redacted(f"https://chat.example/services/{secret.reveal()}/x") == "https://chat.example/services/***/x"


def test_a_secret_that_begins_another_hides_neither_less() -> None:
    short, long = Secret("SHORT", "abcdefgh-1"), Secret("LONG", "abcdefgh-1-and-more")
    assert without_secrets(f"{long.reveal()} {short.reveal()}") == "*** ***"


def test_a_word_that_is_too_short_to_be_told_from_others_is_left_alone() -> None:
    Secret("PIN", "1999")
    assert without_secrets("amount 1999") == "amount 1999"


def test_an_address_that_cannot_be_read_is_not_shown() -> None:
    assert redacted("http://user:hunter2@back-office.test:port/") == "(not an address)"


def test_a_cookie_set_for_one_plugin_is_not_sent_for_another(world: Callable[..., World]) -> None:
    here = world(lambda request: httpx.Response(200, headers={"set-cookie": "session=1; Path=/"}))
    here.outside.request("GET", URL)
    here.lender.lend("other", "demo").request("GET", URL)
    assert [request.headers.get("cookie") for request in here.requests] == [None, None]


def test_a_message_is_handed_on_before_publish_returns(world: Callable[..., World]) -> None:
    here = world()
    here.outside.publish("sales", key="o1", value={"a": 1})
    assert here.messages == [("sales", "o1", {"a": 1})]


@contextmanager
def server(answer: bytes | None) -> Iterator[str]:
    """A real server for one connection: reads the request, sends ``answer`` (None: never), then hangs up."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                if answer is None:
                    done.wait(30)
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            done.set()
            thread.join()


REAL = pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="hangs up"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", id="half a body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf", id="half a chunk"),
        pytest.param(b"HTTP/1.1 200 O", id="half a head"),
        pytest.param(b"hello\r\n\r\n", id="not HTTP"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", id="not what it says"
        ),
    ],
)


@REAL
def test_a_real_server_that_breaks_off_gave_no_answer(world: Callable[..., World], answer: bytes) -> None:
    with server(answer) as url, pytest.raises(NoAnswer):
        world().outside.request("POST", url, content=b"x")


def test_a_real_server_that_says_nothing_gave_no_answer(world: Callable[..., World]) -> None:
    with server(None) as url, pytest.raises(NoAnswer, match="ReadTimeout"):
        world().outside.request("POST", url, content=b"x", timeout=0.05)


def test_a_real_server_that_answers_is_understood(world: Callable[..., World]) -> None:
    with server(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno") as url:
        answer = world().outside.request("POST", url, content=b"x")
    assert (answer.status, answer.body) == (404, b"no")


def test_a_port_where_nobody_listens_is_not_reached(world: Callable[..., World]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(NotReached, match="ConnectError"):
        world().outside.request("POST", f"http://127.0.0.1:{port}/")


def test_a_name_that_nobody_knows_is_not_reached(world: Callable[..., World]) -> None:
    with pytest.raises(NotReached):
        world().outside.request("POST", "http://nobody.invalid/")


def test_a_secret_with_a_line_break_at_its_end_is_not_shown(world: Callable[..., World]) -> None:
    """It cannot be sent; what says so quotes the header."""
    here = world()
    with server(b"") as url, pytest.raises(NoAnswer, match="a header has a character that may not be in it") as refused:
        here.outside.request("POST", url, headers={"Authorization": "Bearer hunter2\n"})
    assert "hunter2" not in f"{refused.value} {here.journal}"
