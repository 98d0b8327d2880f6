"""Stories run on a whole system: the demonstration retailer, on SQLite and on PostgreSQL."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.testing import TestClient

import tillhook_demo
from tests.journey.chores import chores, chores_installed  # noqa: F401 - fixtures
from tests.plugins.guests import Installer
from tillhook.app import create_app
from tillhook.core.roles.offers import Principal, TokenIssuer
from tillhook.core.services.feeds import CsvFeed
from tillhook.core.services.importing import import_items
from tillhook.core.services.platform import Platform
from tillhook.core.storage.stores import save_store
from tillhook.core.testing.shop import TillShop
from tillhook_sandbox.ledger import Ledger

CONFIGURATION = """
[tillhook]
database = "{database}"
{system}

["*"]
taxes.calculator = "tables"
issuer.issuer = "http://127.0.0.1/issuer"
issuer.key_file = "{folder}/issuer-key.json"
receipts.tax_label = "Moms"

[demo]
plugins = ["issuer", "tax", "sandbox", "receipts", "demo"]
payment.gateway = "sandbox"
sandbox.ledger = "{folder}/sandbox.db"
demo.workstation_id = "900"

["demo/DK"]
tax.rates = {{ standard = "25", food = "25", books = "25" }}

["demo/SE"]
tax.rates = {{ standard = "25", food = "12", books = "6" }}
"""


def furnish(platform: Platform) -> None:
    """Put the demonstration's stores and items into the database."""
    for store in tillhook_demo.stores():
        platform.db.write(lambda tx, one=store: save_store(tx, one))  # type: ignore[misc]
        with tillhook_demo.catalogue(store.catalogue) as source:
            import_items(platform.db, source, CsvFeed("demo"), store.catalogue, store.currency)


SYSTEM = "payments.call_seconds = 2.0\noutside = { timeout_seconds = 0.2, retries = 1 }"


def configure(folder: Path, database: str, extra: str = "", system: str = SYSTEM) -> Path:
    file = folder / "tillhook.toml"
    file.write_text(CONFIGURATION.format(folder=folder, database=database, system=system) + extra)
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/tillhook.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
def open_shop(tmp_path: Path, database_url: str) -> Iterator[Callable[..., TillShop]]:
    """Opens a shop with further configuration; all are closed at the end."""
    opened: list[TillShop] = []

    def open_one(extra: str = "", system: str = SYSTEM) -> TillShop:
        shop = TillShop(configure(tmp_path, database_url, extra, system), furnish=furnish)
        opened.append(shop)
        return shop

    yield open_one
    for shop in opened:
        shop.close()


GUEST = """
["demo/DK/sto_demo_dk"]
plugins = ["issuer", "tax", "sandbox", "receipts", "guest", "demo"]
"""


@pytest.fixture
def open_with_guest(
    open_shop: Callable[..., TillShop], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., TillShop]]:
    """Opens a shop whose Danish store has one plugin more, ``guest`` 1.2 of this source, asked before ``demo``.

    ``settings`` are that store's.
    """
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def open_one(source: str, settings: str = "", system: str = SYSTEM) -> TillShop:
        Installer(site)("journey-guest", source, entry="guest", version="1.2")
        return open_shop(f"{GUEST}{settings}\n", system)

    yield open_one
    sys.modules.pop("guest_journey_guest", None)


@pytest.fixture
def shop(open_shop: Callable[..., TillShop]) -> TillShop:
    return open_shop()


class Api:
    """The shop over HTTP, in this process; each caller has a token of its own."""

    def __init__(self, shop: TillShop, client: TestClient[Litestar]) -> None:
        self.shop = shop
        self.client = client

    def token(self, role: str, *, customer_id: str | None = None, stores: Sequence[str] | None = None) -> str:
        provider = self.shop.platform.host.shop(self.shop.store("demo/DK")).identity_providers[0]
        assert isinstance(provider, TokenIssuer)
        bound = None if stores is None else frozenset(stores)
        who = Principal(customer_id or role, frozenset({role}), provider.issuer, customer_id, bound)
        return provider.issue(who, now=self.shop.clock(), seconds=3600)

    def __call__(
        self, method: str, path: str, *, role: str | None = "shopper", stores: Sequence[str] | None = None, **more: Any
    ) -> httpx.Response:
        """One request; a shopper is ``cus_api`` unless ``customer`` names another."""
        headers = dict(more.pop("headers", {}))
        customer = more.pop("customer", "cus_api" if role in {"shopper", "guest"} else None)
        if role is not None:
            headers["Authorization"] = f"Bearer {self.token(role, customer_id=customer, stores=stores)}"
        return self.client.request(method, path, headers=headers, **more)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """The HTTP API over a shop on SQLite, with the workers switched off: the test does the duties."""
    file = configure(tmp_path, f"sqlite:///{tmp_path}/tillhook.db", system=f"{SYSTEM}\nserver.work = false")
    shop = TillShop(file, furnish=furnish)
    with TestClient(create_app(shop.running), raise_server_exceptions=False) as client:
        yield Api(shop, client)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """What the payment provider of these tests holds: the other side of the truth."""
    return Ledger(tmp_path / "sandbox.db")


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has the provider answer verbs of its gateway in its own way."""

    def answer(shop: TillShop, **verbs: Callable[..., Any]) -> None:
        gateway = shop.platform.host.shop(shop.store("demo/DK")).gateway
        for verb, what in verbs.items():
            monkeypatch.setattr(gateway, verb, what)

    return answer


PLUGINS = '["issuer", "tax", "sandbox", "receipts", "demo"'


@pytest.fixture
def open_with(tmp_path: Path, database_url: str) -> Iterator[Callable[..., TillShop]]:
    """Opens the demonstration's shop with further plugins, by their names."""
    opened: list[TillShop] = []

    def open_one(*plugins: str, system: str = SYSTEM) -> TillShop:
        file = configure(tmp_path, database_url, system=system)
        text = file.read_text()
        assert PLUGINS in text
        file.write_text(text.replace(PLUGINS, PLUGINS + "".join(f', "{name}"' for name in plugins)))
        opened.append(TillShop(file, furnish=furnish))
        return opened[-1]

    yield open_one
    for shop in opened:
        shop.close()
