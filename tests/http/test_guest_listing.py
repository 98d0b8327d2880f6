"""The plugin of docs/kinds/pages-and-routes.md, installed and switched on in a whole system."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from litestar.testing import TestClient

from tests.docs.pages import ROOT, listings
from tests.plugins.guests import Installer
from tillhook import Principal, Store, TokenIssuer
from tillhook.app import create_app
from tillhook.core.cli.demo import show_addresses
from tillhook.core.services.platform import Platform
from tillhook.core.storage.stores import save_store
from tillhook.core.testing.shop import TillShop

CONFIGURATION = """
[tillhook]
database = "sqlite:///{folder}/tillhook.db"
server.work = false

["*"]
taxes.calculator = "tables"
payment.gateway = "sandbox"
sandbox.ledger = "{folder}/sandbox.db"
issuer.issuer = "http://127.0.0.1/issuer"
issuer.key_file = "{folder}/issuer-key.json"

[acme]
plugins = ["issuer", "tax", "sandbox", "lockers"]
lockers.numbers = [1, 2, 3]

["acme/DK/sto_2"]
lockers.numbers = [7]
lockers.out_of_order = [7]
"""


def furnish(platform: Platform) -> None:
    for number in ("1", "2"):
        one = Store(f"sto_{number}", "acme", "DK", f"Acme {number}", "DKK", "Europe/Copenhagen", "acme", number)
        platform.db.write(lambda tx, at=one: save_store(tx, at))  # type: ignore[misc]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TillShop]:
    source = next(
        at.text for at in listings(ROOT / "docs" / "kinds" / "pages-and-routes.md") if at.language == "python"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    Installer(tmp_path)("acme-lockers", source, entry="lockers", attribute="Lockers")
    file = tmp_path / "tillhook.toml"
    file.write_text(CONFIGURATION.format(folder=tmp_path))
    opened = TillShop(file, furnish=furnish)
    yield opened
    opened.close()
    del sys.modules["guest_acme_lockers"]


@pytest.fixture
def api(shop: TillShop) -> Iterator[TestClient]:  # type: ignore[type-arg]
    provider = shop.platform.host.shop(shop.store("acme/DK")).identity_providers[0]
    assert isinstance(provider, TokenIssuer)
    who = Principal("sam", frozenset({"staff"}), provider.issuer, stores=frozenset({"sto_1", "sto_2"}))
    token = provider.issue(who, now=shop.clock(), seconds=600)
    with TestClient(create_app(shop.running), raise_server_exceptions=False) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def lockers(api: httpx.Client, store: str, query: str = "") -> list[tuple[int, bool]]:
    answer = api.get(f"/plugins/lockers/stores/{store}/lockers{query}")
    assert answer.status_code == 200, answer.text
    return [(at["number"], at["works"]) for at in answer.json()]


def test_each_store_has_its_own_lockers(api: httpx.Client) -> None:
    assert lockers(api, "sto_1", "?limit=2") == [(1, True), (2, True)]
    assert lockers(api, "sto_2") == [(7, False)]


def test_a_locker_is_opened_over_the_bus(api: httpx.Client, shop: TillShop) -> None:
    answer = api.post("/plugins/lockers/stores/sto_1/lockers/2/open", json={"order_id": "ord_1"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert shop.published("acme.lockers.open") == [{"order_id": "ord_1"}]
    refused = api.post("/plugins/lockers/stores/sto_1/lockers/7/open", json={"order_id": "ord_1"})
    assert (refused.status_code, refused.json()["detail"]) == (404, "The store has no locker 7.")


def test_whoever_serves_it_is_told_where_pages_are(capsys: pytest.CaptureFixture[str]) -> None:
    for pages in (True, False):
        show_addresses("http://till.example", docs=True, pages=pages)
        assert ("http://till.example/pages/" in capsys.readouterr().out) is pages


def test_the_page_and_the_document_show_it(api: httpx.Client) -> None:
    assert "/pages/lockers/stores/sto_2/" in api.get("/pages/").text
    page = api.get("/pages/lockers/stores/sto_2/").text
    assert '<td class="short">7</td><td class="short">no</td>' in page
    described = api.get("/openapi.json").json()["paths"]
    assert described["/plugins/lockers/stores/{store_id}/lockers"]["get"]["summary"] == "List lockers"
    assert "/items/v2/scan" in "".join(described)
