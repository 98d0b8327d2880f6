"""``tillhook serve`` and ``tillhook work`` as processes: they start, say where they are, and end cleanly."""

import json
import signal
import socket
import sys
import urllib.error
from pathlib import Path

import pytest

from tests.cli.conftest import Folder
from tests.cli.processes import Servers, wait_until_gone

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def scanned(store: str, barcode: str) -> dict[str, str]:
    return {"store_id": store, "barcode": barcode}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_it_serves_the_demonstration_until_a_signal_ends_it(servers: Servers, number: signal.Signals) -> None:
    server = servers.start("serve", "--demo", "--port", "0").until("Ctrl-C")
    basket = server.post("/items/v2/scan/", scanned("sto_demo_dk", "9521234001010"), bearer(server.token))

    assert basket["basket"]["total_quantity"] == 1
    assert server.end(number) == 0
    log = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert [line["route"] for line in log if line["event"] == "request"] == ["/items/v2/scan"]


def test_port_0_is_any_free_one_and_the_real_one_is_printed(servers: Servers) -> None:
    first, second = (servers.start("serve", "--demo", "--port", "0").until("Ctrl-C") for _ in range(2))

    assert first.url != second.url
    assert not first.url.endswith(":0")
    assert first.get("/health") == second.get("/health") == {"status": "ok"}


def test_the_demonstration_can_be_prepared_while_the_server_runs(folder: Folder, servers: Servers) -> None:
    server = servers.start("serve", "--demo", "--port", "0").until("Ctrl-C")
    demo = json.loads(folder.ok("demo", "--json"))

    view = server.post("/items/v2/scan/", scanned(demo["store_id"], demo["barcodes"][0]), demo["headers"])
    assert view["basket"]["customer_id"] == demo["customer_id"]


def test_a_port_that_is_taken_is_one_line(folder: Folder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = folder.refused("serve", "--demo", "--port", port)

    assert f"cannot listen on 127.0.0.1, port {port}: address already in use" in line
    assert not folder.database.exists()


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_an_address_that_is_not_ours_is_one_line(folder: Folder, host: str) -> None:
    assert f"cannot listen on {host}, port 8123: " in folder.refused("serve", "--host", host, "--port", "8123")


def test_without_a_database_it_says_how_to_make_one(folder: Folder) -> None:
    assert "make it with `tillhook db upgrade`" in folder.refused("serve", "--port", "0")
    assert not folder.database.exists()


def test_a_database_that_is_not_migrated_is_refused(folder: Folder) -> None:
    folder.database.parent.mkdir()
    folder.database.touch()

    assert "is empty, this version needs 0" in folder.refused("serve", "--port", "0")


def test_several_processes_are_refused_on_sqlite(shop: Folder) -> None:
    line = shop.refused("serve", "--port", "0", "--workers", "2", code=2)

    assert line.startswith("--workers 2: SQLite has one writer")
    assert "PostgreSQL" in line


def test_when_no_store_type_is_ready_it_does_not_start(shop: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLHOOK_DISABLE", "tax")
    result = shop.run("serve", "--port", "0")

    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert lines[0].startswith("tillhook: not served: store type demo/DK: plugin 'tax'")
    assert "switched off by the variable TILLHOOK_DISABLE" in lines[0]
    assert lines[-1] == "tillhook: no store type is ready: `tillhook config check` lists what is wrong"


def test_one_broken_store_type_leaves_the_others_served(shop: Folder, servers: Servers) -> None:
    shop.add('[other]\nplugins = ["issuer", "no_such_plugin"]\npayment.gateway = "sandbox"')
    server = servers.start("serve", "--demo", "--port", "0").until("Ctrl-C")

    server.post("/items/v2/scan/", scanned("sto_demo_dk", "9521234001010"), bearer(server.token))
    assert "tillhook: not served: store type other: plugin 'no_such_plugin'" in server.log.read_text()


def test_workers_and_servers_are_separate_processes_if_wanted(shop: Folder, servers: Servers) -> None:
    server = servers.start("serve", "--no-work", "--port", "0").until("Ctrl-C")
    demo = json.loads(shop.ok("demo", "--json"))
    headers = demo["headers"]
    view = server.post("/items/v2/scan/", scanned(demo["store_id"], demo["barcodes"][0]), headers)
    order = server.post(
        "/orders/v1/create-order/", {"basket_id": view["basket_id"], "store_id": demo["store_id"]}, headers
    )
    session = server.post("/payments/v1/ms-pay/create-session/", {"order_id": order["order_id"]}, headers)
    paid = {"session_id": session["session_id"], **demo["approve"]}
    assert server.post("/payments/v1/ms-pay/add-payment/", paid, headers)["order_complete"] is True

    said = shop.ok("work", "--once")
    assert said.splitlines()[0].startswith("1 duties and news run")
    assert "done\t1" in said.lower()
    assert shop.ok("work", "--once").splitlines()[0].startswith("0 duties")
    assert "fulfil_order\tDONE\tdemo\t1" in shop.ok("orders", "show", order["order_id"])


def test_a_worker_ends_with_a_signal(shop: Folder, servers: Servers) -> None:
    worker = servers.start("work", "--threads", "3").until("working with 3 threads")

    assert worker.end(signal.SIGTERM) == 0


@linux
def test_several_processes_serve_on_postgresql_and_end_together(servers: Servers, postgres_url: str) -> None:
    server = servers.start(
        "serve", "--demo", "--port", "0", "--workers", "2", TILLHOOK_DATABASE_URL=postgres_url
    ).until("Ctrl-C")
    for _ in range(4):
        assert server.get("/health") == {"status": "ok"}
    server.post("/items/v2/scan/", scanned("sto_demo_dk", "9521234001010"), bearer(server.token))
    children = server.children()

    assert len(children) >= 2
    assert server.end(signal.SIGTERM) == 0
    assert wait_until_gone(children) == []


@linux
def test_processes_end_when_the_one_that_started_them_is_killed(servers: Servers, postgres_url: str) -> None:
    server = servers.start(
        "serve", "--demo", "--port", "0", "--workers", "2", TILLHOOK_DATABASE_URL=postgres_url
    ).until("Ctrl-C")
    assert server.get("/health") == {"status": "ok"}
    children = server.children()
    server.end(signal.SIGKILL)

    assert wait_until_gone(children) == []
    with pytest.raises(urllib.error.URLError):
        server.get("/health")


def test_what_it_writes_stays_in_the_configured_folder(servers: Servers, folder: Folder) -> None:
    servers.start("serve", "--demo", "--port", "0").until("Ctrl-C").end(signal.SIGTERM)

    assert {path.name for path in Path().iterdir()} == {"tillhook.toml", "var", "log-0.txt"}
