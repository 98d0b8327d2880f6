"""Whatever is wrong with a request gets one clear problem, and nothing is half-written."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tillhook.core.storage.stores import save_store
from tillhook.core.testing.shop import TillShop

BANANAS = "9521234001010"
DK = "sto_demo_dk"
SCAN, ORDER = "/items/v2/scan/", "/orders/v1/create-order/"
SESSION, PAY = "/payments/v1/ms-pay/create-session/", "/payments/v1/ms-pay/add-payment/"


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (response.status_code, response.json().get("code")) == (status, code), response.text
    assert response.headers["content-type"].startswith("application/problem+json")
    body: dict[str, Any] = response.json()
    assert body["detail"]
    assert body["request_id"] == response.headers["x-request-id"]
    return body


def scan(api: Any, **more: Any) -> httpx.Response:
    body = {"store_id": DK, "barcode": BANANAS} | more.pop("body", {})
    found: httpx.Response = api("POST", SCAN, json=body, **more)
    return found


def order(api: Any, **more: Any) -> dict[str, Any]:
    basket_id = scan(api, **more).json()["basket_id"]
    found: dict[str, Any] = api("POST", ORDER, json={"store_id": DK, "basket_id": basket_id}, **more).json()
    return found


def session(api: Any) -> str:
    return str(api("POST", SESSION, json={"order_id": order(api)["order_id"]}).json()["session_id"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"barcode": "9521234999980"}, 404, "item_not_found"),
        ({"barcode": "9521234001011"}, 400, "barcode_invalid"),
        ({"barcode": "12345"}, 400, "barcode_invalid"),
        ({"barcode": "0000000000000"}, 400, "barcode_invalid"),
        ({"barcode": "'; DROP TABLE item; --"}, 400, "barcode_invalid"),
        ({"barcode": ""}, 400, "malformed_body"),
        ({"barcode": None}, 400, "malformed_body"),
        ({"epc": "30" * 12}, 400, "malformed_body"),
        ({"barcode": None, "epc": "zz"}, 400, "barcode_invalid"),
        ({"store_id": "sto_nowhere"}, 404, "store_not_found"),
        ({"store_id": 7}, 400, "malformed_body"),
        ({"quantity": 0}, 422, "quantity_invalid"),
        ({"quantity": -3}, 422, "quantity_invalid"),
        ({"quantity": 10_000}, 422, "quantity_invalid"),
        ({"quantity": "2"}, 400, "malformed_body"),
        ({"quantity": 1.5}, 400, "malformed_body"),
        ({"surprise": 1}, 400, "malformed_body"),
        ({"basket_id": "bsk_none"}, 404, "basket_not_found"),
    ],
)
def test_a_scan_that_cannot_be_is_refused(api: Any, body: dict[str, Any], status: int, code: str) -> None:
    problem(scan(api, body=body), status, code)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"store_id": "a"', b"[" * 100_000])
def test_a_body_that_is_no_request_is_refused(api: Any, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    problem(api("POST", SCAN, content=content, headers=headers), 400, "malformed_body")


def test_an_unknown_field_is_named(api: Any) -> None:
    assert "surprise" in problem(scan(api, body={"surprise": 1}), 400, "malformed_body")["detail"]


def test_a_huge_body_is_refused(api: Any) -> None:
    problem(scan(api, body={"barcode": "9" * 300_000}), 413, "body_too_large")


def test_an_inactive_store_is_refused(api: Any) -> None:
    shop: TillShop = api.shop
    closed = replace(shop.store("demo/DK"), active=False)
    shop.platform.db.write(lambda tx: save_store(tx, closed))
    problem(scan(api), 403, "store_inactive")


def test_a_store_of_a_retailer_without_plugins_is_unavailable_and_the_others_sell(api: Any) -> None:
    shop: TillShop = api.shop
    other = replace(shop.store("demo/DK"), store_id="sto_other", store_type="nobody")
    shop.platform.db.write(lambda tx: save_store(tx, other))
    problem(scan(api, body={"store_id": "sto_other"}), 503, "store_type_unavailable")
    assert scan(api).status_code == 200


def test_an_expired_basket_answers_460(api: Any) -> None:
    basket_id = scan(api).json()["basket_id"]
    api.shop.clock.advance(241 * 60)
    problem(scan(api, body={"basket_id": basket_id}), 460, "basket_expired")
    problem(api("POST", ORDER, json={"store_id": DK, "basket_id": basket_id}), 460, "basket_expired")


def test_a_strangers_basket_cannot_be_told_from_none(api: Any) -> None:
    basket_id = scan(api).json()["basket_id"]
    mine = problem(scan(api, body={"basket_id": basket_id}, customer="cus_other"), 404, "basket_not_found")
    none = problem(scan(api, body={"basket_id": "bsk_none"}, customer="cus_other"), 404, "basket_not_found")
    assert mine["detail"].replace(basket_id, "") == none["detail"].replace("bsk_none", "")
    problem(api("GET", f"/baskets/v1/{basket_id}/", customer="cus_other"), 404, "basket_not_found")


def test_a_strangers_order_session_and_receipt_are_not_found(api: Any) -> None:
    made = order(api)
    session_id = api("POST", SESSION, json={"order_id": made["order_id"]}).json()["session_id"]
    problem(api("GET", f"/orders/v1/{made['order_id']}/", customer="cus_other"), 404, "order_not_found")
    problem(api("GET", f"/orders/v1/{made['order_id']}/receipt", customer="cus_other"), 404, "order_not_found")
    problem(api("POST", PAY, json={"session_id": session_id}, customer="cus_other"), 404, "session_not_found")


def test_an_order_in_another_shoppers_name_is_refused(api: Any) -> None:
    basket_id = scan(api).json()["basket_id"]
    body = {"store_id": DK, "basket_id": basket_id, "customer_id": "cus_other"}
    problem(api("POST", ORDER, json=body), 403, "forbidden")


def test_an_empty_basket_is_not_ordered(api: Any) -> None:
    view = scan(api).json()
    path = f"/baskets/v1/{view['basket_id']}/items/{view['item']['line_no']}/"
    assert api("DELETE", path).status_code == 200
    problem(api("POST", ORDER, json={"store_id": DK, "basket_id": view["basket_id"]}), 422, "basket_empty")


def test_ordering_twice_gives_the_same_order(api: Any) -> None:
    basket_id = scan(api).json()["basket_id"]
    body = {"store_id": DK, "basket_id": basket_id}
    first, second = (api("POST", ORDER, json=body).json() for _ in range(2))
    assert first == second


def test_an_ordered_basket_cannot_change(api: Any) -> None:
    view = scan(api).json()
    api("POST", ORDER, json={"store_id": DK, "basket_id": view["basket_id"]})
    problem(scan(api, body={"basket_id": view["basket_id"]}), 409, "basket_ordered")
    path = f"/baskets/v1/{view['basket_id']}/items/1/"
    problem(api("PATCH", path, json={"quantity": 2}), 409, "basket_ordered")
    problem(api("DELETE", path), 409, "basket_ordered")


def test_a_wrong_line_or_quantity_is_refused_and_changes_nothing(api: Any) -> None:
    view = scan(api).json()
    path = f"/baskets/v1/{view['basket_id']}/items"
    problem(api("PATCH", f"{path}/7/", json={"quantity": 2}), 404, "line_not_found")
    problem(api("PATCH", f"{path}/1/", json={"quantity": -2}), 422, "quantity_invalid")
    assert api("GET", f"/baskets/v1/{view['basket_id']}/").json() == view["basket"]


def test_a_wrong_amount_or_currency_charges_nothing(api: Any, ledger: Any) -> None:
    session_id = session(api)
    paying = {"session_id": session_id, "payment_details": {"token": "tok_approve"}}
    wrong = {"amount": {"minor": 1, "currency": "DKK"}}
    foreign = {"amount": {"minor": 1800, "currency": "EUR"}}
    problem(api("POST", PAY, json=paying | wrong), 422, "amount_mismatch")
    problem(api("POST", PAY, json=paying | foreign), 422, "wrong_currency")
    assert not ledger.charges()
    right = {"amount": {"minor": 1800, "currency": "DKK"}}
    assert api("POST", PAY, json=paying | right).json()["order_complete"] is True


def test_an_unknown_payment_method_names_those_there_are(api: Any) -> None:
    body = {"session_id": session(api), "payment_method": "shells"}
    assert "credit_card" in problem(api("POST", PAY, json=body), 422, "payment_method_unknown")["detail"]


def test_paying_twice_is_refused_and_charges_once(api: Any, ledger: Any) -> None:
    body = {"session_id": session(api), "payment_details": {"token": "tok_approve"}}
    assert api("POST", PAY, json=body).status_code == 200
    problem(api("POST", PAY, json=body), 409, "already_paid")
    assert [charge.captures for charge in ledger.charges()] == [1]


def test_a_repeated_request_says_that_it_was_replayed(api: Any) -> None:
    body = {"session_id": session(api), "payment_details": {"token": "tok_approve"}}
    first, second = (api("POST", PAY, json=body, headers={"Idempotency-Key": "k1"}) for _ in range(2))
    assert first.content == second.content
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    problem(
        api("POST", PAY, json=body | {"payment_method": "x"}, headers={"Idempotency-Key": "k1"}),
        422,
        "idempotency_key_reused",
    )


def test_a_repeated_scan_with_the_same_key_counts_once(api: Any) -> None:
    basket_id = scan(api).json()["basket_id"]
    for _ in range(3):
        view = scan(api, body={"basket_id": basket_id}, headers={"Idempotency-Key": "scan-2"}).json()
    assert view["basket"]["total_quantity"] == 2


def test_an_unknown_address_and_a_wrong_method_are_problems(api: Any) -> None:
    problem(api("GET", "/nothing/here"), 404, "not_found")
    problem(api("DELETE", SCAN), 405, "method_not_allowed")


def test_card_data_sent_by_mistake_is_nowhere_in_the_database(api: Any, tmp_path: Any) -> None:
    body = {"session_id": session(api), "payment_details": {"token": "tok_approve", "card": "4111111111111111"}}
    api("POST", PAY, json=body)
    api.shop.do_duties()
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.name.startswith("tillhook.db"))
    assert b"4111111111111111" not in written
