"""The retailer of the README: installed as a distribution, switched on by the README's lines, with sales through it."""

from __future__ import annotations

import json
import shlex
import sys
import threading
import tomllib
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.docs.conftest import Reader
from tests.docs.pages import PLUGINS, README, the
from tillhook import CsvFeed, Store
from tillhook.core.services.importing import import_items
from tillhook.core.services.platform import Platform
from tillhook.core.services.wire import TimelineEntry
from tillhook.core.storage.stores import save_store
from tillhook.core.testing.shop import Till, TillShop

KEY = "the-key-of-the-back-office"
STORES = [Store(**fields) for fields in tomllib.loads(the(PLUGINS, "toml", "[[stores]]"))["stores"]]


class BackOffice:
    """Corner's back office. ``answers`` are the statuses to answer with; afterwards it takes everything."""

    def __init__(self) -> None:
        self.sales: list[tuple[dict[str, str], Any]] = []
        self.answers: deque[int] = deque()
        office = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sale = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                office.sales.append(({name.lower(): value for name, value in self.headers.items()}, sale))
                body = json.dumps({"receipt_number": f"C-{len(office.sales)}"}).encode()
                self.send_response(office.answers.popleft() if office.answers else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Not to standard error."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/sales"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def office() -> Iterator[BackOffice]:
    opened = BackOffice()
    yield opened
    opened.close()


@pytest.fixture
def installed(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder with the distribution, on the path of this process and of the reader's; the layers are switched on."""
    site = reader.folder / "site"
    (site / "corner-1.0.dist-info").mkdir(parents=True)
    (site / "tillhook_corner.py").write_text(the(README, "python"))
    (group,) = tomllib.loads(the(README, "toml", "[project"))["project"]["entry-points"].items()
    points = "".join(f"{name} = {value}\n" for name, value in group[1].items())
    (site / "corner-1.0.dist-info" / "entry_points.txt").write_text(f"[{group[0]}]\n{points}")
    (site / "corner-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: corner\nVersion: 1.0\n")
    with (reader.folder / "tillhook.toml").open("a") as configuration:
        configuration.write("\n" + the(README, "toml", "[corner]"))
    monkeypatch.syspath_prepend(str(site))
    reader.environ |= {"PYTHONPATH": str(site), "CORNER_API_KEY": KEY}
    yield site
    sys.modules.pop("tillhook_corner", None)


def furnish(platform: Platform) -> None:
    for store in STORES:
        platform.db.write(lambda tx, one=store: save_store(tx, one))  # type: ignore[misc]
        import_items(platform.db, BytesIO(the(PLUGINS, "csv").encode()), CsvFeed(), store.catalogue, store.currency)


@pytest.fixture
def shop(installed: Path, reader: Reader, office: BackOffice, monkeypatch: pytest.MonkeyPatch) -> Iterator[TillShop]:
    """The README's configuration and the stores of the plugin page; a layer of the store names our back office."""
    monkeypatch.chdir(reader.folder)
    configuration = reader.folder / "tillhook.toml"
    with configuration.open("a") as file:
        file.write(f'\n["corner/DK/{STORES[0].store_id}"]\ncorner.sales_url = "{office.url}"\n')
    opened = TillShop(configuration, furnish=furnish, environ={"CORNER_API_KEY": KEY})
    yield opened
    opened.close()


def sold(shop: TillShop) -> Till:
    return shop("corner/DK").scan("9521234001010").scan("9521234001027", times=2).pay(token="tok_approve")


def duty(sale: Till) -> TimelineEntry:
    (found,) = (at for at in sale.order().timeline if at.plugin == "corner")
    return found


def test_a_sale_reaches_the_back_office(shop: TillShop, office: BackOffice) -> None:
    sale = sold(shop)
    shop.do_duties()

    ((headers, document),) = office.sales
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["idempotency-key"] == sale.order_id
    assert document == {
        "transaction": "0001-1-000001",
        "business_day": "2026-03-14",
        "lines": [
            {"gtin": "09521234001010", "quantity": 1, "amount": 1800},
            {"gtin": "09521234001027", "quantity": 2, "amount": 4400},
        ],
        "tenders": [{"method": "credit_card", "amount": 6200}],
        "tax": 1240,
        "total": 6200,
        "currency": "DKK",
    }
    done = duty(sale)
    assert (done.step, done.state, done.detail) == ("fulfil_order", "DONE", "C-1")
    assert sale.order().transaction_id_poslog == "0001-1-000001"


@pytest.mark.parametrize("status", [503, 404])
def test_a_back_office_in_trouble_gets_the_sale_later_under_the_same_key(
    shop: TillShop, office: BackOffice, status: int
) -> None:
    office.answers.append(status)
    sale = sold(shop)
    shop.do_duties()
    assert (duty(sale).state, duty(sale).attempts) == ("PENDING", 1)

    shop.clock.advance(60)
    shop.do_duties()
    assert (duty(sale).state, duty(sale).attempts) == ("DONE", 2)
    (first, document), (again, repeated) = office.sales
    assert (first["idempotency-key"], document) == (again["idempotency-key"], repeated)


def test_a_sale_that_the_back_office_refuses_waits_for_a_person(shop: TillShop, office: BackOffice) -> None:
    office.answers.append(422)
    sale = sold(shop)
    shop.do_duties()

    found = duty(sale)
    assert found.state == "DEAD"
    assert "a person must look at it" in found.detail
    assert sale.order().order_status == "COMPLETED"


@pytest.mark.usefixtures("installed")
def test_the_commands_of_the_plugin_page_switch_it_on(reader: Reader) -> None:
    (reader.folder / "stores.toml").write_text(the(PLUGINS, "toml", "[[stores]]"))
    (reader.folder / "goods.csv").write_text(the(PLUGINS, "csv"))
    reader.tillhook("db", "upgrade")
    script = the(PLUGINS, "sh", "export CORNER").replace("tillhook ", ".venv/bin/tillhook ")
    said = reader.types(script)

    assert "no fault in 2 store types" in said
    assert "corner\tcorner\t1.0\tready\t\tcorner" in said
    assert "corner/DK: asked in this order: issuer → tax → sandbox → receipts → corner" in said
    assert "stores.toml: 1 stores: 1 new" in said
    assert "Apples" in reader.tillhook("items", "show", "9521234001027", "--store", STORES[0].store_id)
    assert KEY not in reader.tillhook("config", "show", "--store-type", "corner", "--region", "DK")


def test_the_test_file_of_the_plugin_page_passes(installed: Path, reader: Reader) -> None:
    (reader.folder / "test_corner.py").write_text(the(PLUGINS, "python", "from tillhook import Answer"))
    command = f"{shlex.quote(sys.executable)} -m pytest -q -p no:cacheprovider -c /dev/null --rootdir . test_corner.py"
    said = reader.types(command)

    assert " passed" in said
    assert "failed" not in said
