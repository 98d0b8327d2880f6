"""Who may do what on the whole system: every route with every role, and whose things are whose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from litestar import get

from tests.http.every_route import trespasses
from tests.journey.conftest import SYSTEM, Api, configure, furnish
from tillhook.app import create_app
from tillhook.core.http.admission import RolesMissing
from tillhook.core.http.journey import JOURNEY
from tillhook.core.http.server import build
from tillhook.core.roles.people import ROLES
from tillhook.core.testing.shop import TillShop

BANANAS, DK, SE = "9521234001010", "sto_demo_dk", "sto_demo_se"
SCAN = {"store_id": DK, "barcode": BANANAS}


def test_every_route_lets_in_exactly_the_roles_that_it_declares(tmp_path: Path) -> None:
    file = configure(tmp_path, f"sqlite:///{tmp_path}/tillhook.db", system=f"{SYSTEM}\nserver.work = false")
    shop = TillShop(file, furnish=furnish)
    app = create_app(shop.running)
    api = Api(shop, None)  # type: ignore[arg-type]
    tokens = {role: api.token(role, customer_id=f"cus_{role}", stores=[DK]) for role in ROLES}
    assert trespasses(app, tokens) == []


def test_a_route_without_roles_keeps_the_server_from_starting(tmp_path: Path) -> None:
    @get("/forgotten/")
    async def forgotten() -> str:
        return "anybody could read this"

    file = configure(tmp_path, f"sqlite:///{tmp_path}/tillhook.db")
    shop = TillShop(file, furnish=furnish)
    with pytest.raises(RolesMissing, match="/forgotten"):
        build(shop.platform, controllers=[*JOURNEY, forgotten])
    shop.close()


@pytest.mark.parametrize("role", ["staff", "device"])
def test_staff_and_devices_act_only_in_their_stores(api: Api, role: str) -> None:
    assert api("POST", "/items/v2/scan/", role=role, stores=[DK], json=SCAN).status_code == 200
    elsewhere = api("POST", "/items/v2/scan/", role=role, stores=[SE], json=SCAN)
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (403, "forbidden")
    unbound = api("POST", "/items/v2/scan/", role=role, json=SCAN)
    assert (unbound.status_code, unbound.json()["code"]) == (403, "forbidden")


def test_staff_see_the_orders_of_their_store_and_of_no_other(api: Api) -> None:
    basket_id = api("POST", "/items/v2/scan/", json=SCAN).json()["basket_id"]
    body = {"store_id": DK, "basket_id": basket_id}
    order_id = api("POST", "/orders/v1/create-order/", json=body).json()["order_id"]
    path = f"/orders/v1/{order_id}/"
    assert api("GET", path, role="staff", stores=[DK]).status_code == 200
    assert api("GET", path, role="staff", stores=[SE]).json()["code"] == "order_not_found"
    assert api("GET", path, role="operator").status_code == 200


def test_a_shopper_lists_only_their_own_orders(api: Api) -> None:
    for customer in ("cus_one", "cus_two"):
        basket_id = api("POST", "/items/v2/scan/", json=SCAN, customer=customer).json()["basket_id"]
        api("POST", "/orders/v1/create-order/", json={"store_id": DK, "basket_id": basket_id}, customer=customer)
    found: list[dict[str, Any]] = api("GET", "/orders/v1/", customer="cus_one").json()
    assert len(found) == 1
    assert api("GET", f"/orders/v1/{found[0]['order_id']}/", customer="cus_one").status_code == 200


def test_nobody_is_let_in_without_a_token(api: Api) -> None:
    refused = api("POST", "/items/v2/scan/", role=None, json=SCAN)
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
    assert refused.headers["www-authenticate"].startswith("Bearer")
