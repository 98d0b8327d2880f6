"""A plugin with every room of its own in a whole system: the points that come with tillhook."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from litestar.testing import TestClient
from msgspec.structs import replace

from tests.journey.conftest import SYSTEM, Api
from tests.journey.together import at_once
from tillhook.app import create_app
from tillhook.core.services.rooms import errand_of
from tillhook.core.testing.shop import TillShop
from tillhook_points import Adjustment


def test_members_are_read_adjusted_and_shown_over_http(open_with: Callable[..., TillShop]) -> None:
    shop = open_with("points", system=f"{SYSTEM}\nserver.work = false")
    till = shop("demo/DK")
    till.scan("9521234001010", times=3).pay(token="tok_approve")
    shop.do_duties()
    member = f"/plugins/points/stores/sto_demo_dk/members/{till.who.customer_id}"
    with TestClient(create_app(shop.running), raise_server_exceptions=False) as client:
        api = Api(shop, client)
        earned = api("GET", member, customer=till.who.customer_id).json()["points"]
        assert earned == shop.published("points.changed")[0]["balance"]
        assert api("GET", member, customer="cus_else").json()["code"] == "not_found"
        assert api("GET", member, role=None).status_code == 401

        body = {"points": 100, "reason": "a broken toy", "reference": "case-7"}
        assert api("POST", f"{member}/adjustments", json=body, customer="cus_1").status_code == 403
        for _ in range(2):
            answer = api("POST", f"{member}/adjustments", role="staff", stores=["sto_demo_dk"], json=body)
            assert answer.json() == {"customer_id": till.who.customer_id, "points": earned + 100}
        wrong = api("POST", f"{member}/adjustments", role="staff", stores=["sto_demo_dk"], json={**body, "poimts": 1})
        assert (wrong.status_code, wrong.json()["code"]) == (400, "malformed_body")
        page = api("GET", "/pages/points/stores/sto_demo_dk/members", role="staff", stores=["sto_demo_dk"])
        assert page.status_code == 200
        assert till.who.customer_id in page.text
        assert f"{earned + 100}" in page.text
        assert "/plugins/points/stores/{store_id}/members/{customer_id}" in client.get("/openapi.json").json()["paths"]


@pytest.mark.parametrize("how", ["read", "write"])
def test_nobody_talks_to_the_world_inside_a_unit_of_work(open_with: Callable[..., TillShop], how: str) -> None:
    shop = open_with("points")
    outside = shop.platform.host.shop(shop.store("demo/DK")).outside("points")
    unit = getattr(outside.tables, how)
    with pytest.raises(RuntimeError, match=r"outside.request inside outside.tables.read or .write"):
        unit(lambda tx: outside.request("GET", "https://provider.example/"))


def test_a_server_is_not_ready_while_a_plugins_tables_are_of_another_version(
    open_with: Callable[..., TillShop],
) -> None:
    shop = open_with("points", system=f"{SYSTEM}\nserver.work = false")
    with TestClient(create_app(shop.running)) as client:
        assert client.get("/ready").status_code == 200
        shop.platform.db.write(lambda tx: tx.execute(sa.text("DELETE FROM alembic_version_points")))
        answer = client.get("/ready")
        assert answer.status_code == 503
        assert "the tables of plugin 'points' 0.1.0 are at none, it needs 0001" in answer.text


def test_a_sale_gives_points_once_and_they_survive_a_crash(open_with: Callable[..., TillShop]) -> None:
    shop = open_with("points")
    till = shop("demo/DK")
    till.scan("9521234001010", times=3).pay(token="tok_approve")
    shop.do_duties()
    (changed,) = shop.published("points.changed")
    assert changed["balance"] == changed["points"] > 0
    assert changed["reference"] == till.order_id
    shop.crash_and_restart()
    shop.do_duties()
    assert len(shop.published("points.changed")) == 1
    step = next(at for at in till.order().timeline if at.step == "update_loyalty")
    assert (step.state, step.plugin, step.detail) == (
        "DONE",
        "points",
        f"{changed['points']} points, {changed['points']} in all",
    )


def test_the_messages_of_one_member_come_in_the_order_of_the_balances(open_with: Callable[..., TillShop]) -> None:
    """However many change it at the same time: who reads the last message knows the balance."""
    shop = open_with("points")
    store = shop.store("demo/DK")
    place = shop.platform.host.shop(store)
    [adjust] = [one.thing for one in place.offers("routes") if one.thing.method == "POST"]

    def give(number: int) -> None:
        body = Adjustment(points=1, reason="a test", reference=f"case-{number}")
        errand = errand_of(place, "points", shop.clock(), store=store)
        adjust.handler(replace(errand, path={"customer_id": "cus_1"}, body=body))

    at_once(give, 16)
    assert [message["balance"] for message in shop.published("points.changed")] == list(range(1, 17))
