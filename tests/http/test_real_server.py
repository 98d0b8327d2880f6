"""The server as uvicorn runs it, over real sockets."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import httpx
import pytest
import uvicorn
from litestar import get

from tests.http import routes
from tests.http.parts import FakePlatform
from tillhook.core.http.auth import PUBLIC
from tillhook.core.http.operations import Check
from tillhook.core.http.server import Server, build
from tillhook.core.http.serving import uvicorn_config
from tillhook.core.services.platform import Platform


class Listening(uvicorn.Server):
    """Tells when it listens, and stops when told."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @property
    def address(self) -> str:
        host, port = self.servers[0].sockets[0].getsockname()
        return f"http://{host}:{port}"


@contextmanager
def running(platform: FakePlatform, app: Server) -> Iterator[Listening]:
    config = uvicorn_config(app, platform.system)
    config.port = 0
    found = Listening(config)
    thread = threading.Thread(target=found.run)
    thread.start()
    try:
        assert found.up.wait(20)
        yield found
    finally:
        found.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def built(platform: FakePlatform, **parts: object) -> Server:
    usual: dict[str, object] = {"controllers": routes.EVERY, **parts}
    return build(cast(Platform, platform), **usual)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def api() -> Iterator[httpx.Client]:
    platform = FakePlatform(body_bytes=1000)
    with running(platform, built(platform)) as found, httpx.Client(base_url=found.address) as client:
        yield client


def test_a_status_that_http_does_not_name_arrives_as_it_is(api: httpx.Client) -> None:
    answer = api.get("/expired")
    assert answer.status_code == 460
    assert answer.json()["code"] == "basket_expired"


def test_a_body_in_chunks_is_counted_as_it_comes(api: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(200):
            yield b" " * 100

    answer = api.post("/parcels", content=endless())
    assert answer.status_code == 413
    assert api.get("/health").status_code == 200


def test_the_server_does_not_say_what_it_is_made_of(api: httpx.Client) -> None:
    assert "server" not in api.get("/health").headers


def test_start_and_stop_are_called_around_the_requests() -> None:
    told: list[str] = []

    def tell(what: str) -> Callable[[], None]:
        return lambda: told.append(f"{what} in {threading.current_thread().name.split('_')[0]}")

    @get("/tell", opt={"roles": PUBLIC}, sync_to_thread=True)
    def request() -> None:
        tell("request")()

    platform = FakePlatform()
    app = built(platform, controllers=[request], on_startup=[tell("start")], on_shutdown=[tell("stop")])
    with running(platform, app) as found:
        assert httpx.get(f"{found.address}/tell").status_code == 200
    assert told == ["start in tillhook", "request in tillhook", "stop in tillhook"]


def test_a_request_under_way_is_finished_before_the_server_stops() -> None:
    entered, leave = threading.Event(), threading.Event()
    told: list[str] = []

    @get("/slow", opt={"roles": PUBLIC}, sync_to_thread=True)
    def slow() -> dict[str, bool]:
        entered.set()
        assert leave.wait(20)
        told.append("answered")
        return {"done": True}

    platform = FakePlatform()
    app = built(platform, controllers=[slow], on_shutdown=[lambda: told.append("stopped")])
    answers: list[httpx.Response] = []
    with running(platform, app) as found:
        asking = threading.Thread(target=lambda: answers.append(httpx.get(f"{found.address}/slow", timeout=20)))
        asking.start()
        assert entered.wait(20)
        found.should_exit = True
        leave.set()
        asking.join(20)
    assert answers[0].json() == {"done": True}
    assert told == ["answered", "stopped"]


def test_readiness_names_the_part_that_is_missing() -> None:
    def raises() -> str:
        raise ConnectionError("password=hunter2")

    checks: dict[str, Check] = {"database": lambda: "", "schema": lambda: "run tillhook db upgrade", "bus": raises}
    platform = FakePlatform()
    with running(platform, built(platform, checks=checks)) as found:
        answer = httpx.get(f"{found.address}/ready")
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "not_ready", "5")
    assert answer.json()["checks"] == {
        "database": "ok",
        "schema": "run tillhook db upgrade",
        "bus": "failed (ConnectionError)",
    }
    assert "hunter2" not in answer.text


def test_gauges_are_brought_up_to_date_before_metrics_are_read() -> None:
    asked: list[str] = []
    platform = FakePlatform()
    with running(platform, built(platform, before_metrics=lambda: asked.append("asked"))) as found:
        answer = httpx.get(f"{found.address}/metrics")
    assert asked == ["asked"]
    assert answer.headers["content-type"].startswith("text/plain")
    assert "tillhook_http_request_seconds_bucket" in answer.text
