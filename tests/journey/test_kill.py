"""The server is killed (SIGKILL) between any two steps of paying, completing and the duties, then started again.

Whatever the step: one order, one charge, one number, one POSLog, every duty done once, and the shopper's app, which
only repeats its request and reads the order, ends with a receipt.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tillhook.core.roles.offers import Principal, TokenIssuer
from tillhook.core.services.completing import COMPLETION_STEPS
from tillhook.core.storage.events import DeliveryState, counts
from tillhook.core.storage.orders import load_order, load_poslog
from tillhook.core.testing.shop import TillShop
from tillhook_demo import epcs
from tillhook_sandbox.ledger import Ledger

HERE = Path(__file__).parent
PATIENCE = 60.0
"""Seconds after which a server that does not come up, or an order that never completes, fails the test."""

STEPS = [
    "claim.before",
    "claim.committed",
    "gateway.authorise.before",
    "gateway.authorise.after",
    "settle.begin",
    *(f"completion.{name}" for name, _ in COMPLETION_STEPS),
    "completion.commit",
    "settle.committed",
    "duty.fulfil_order:demo.before",
    "duty.fulfil_order:demo.after",
    "duty.mark_epcs_sold:demo.before",
    "duty.mark_epcs_sold:demo.after",
]

QUICK = """
payments = { call_seconds = 1.2, inquire_seconds = [1, 1, 1, 1] }
outside = { timeout_seconds = 0.05, retries = 0 }
work = { lease_seconds = 1, poll_seconds = 0.1 }
hooks.duty_seconds = 0
"""


@contextmanager
def server(configuration: Path, step: str | None = None) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(HERE / "killable.py"), str(configuration), str(port), *([step] if step else [])]
    process = subprocess.Popen(command)
    try:
        base = f"http://127.0.0.1:{port}"
        _until(lambda: _answers(f"{base}/health"), process)
        yield base, process
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _until(done: Any, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert process.poll() is None, f"the server ended with {process.returncode}"
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_leaves_one_order_one_charge_one_number(
    step: str, open_shop: Any, tmp_path: Path, ledger: Ledger
) -> None:
    shop: TillShop = open_shop(system=QUICK)
    token = _token(shop)
    shop.close()
    configuration = tmp_path / "tillhook.toml"
    headers = {"Authorization": f"Bearer {token}"}
    with server(configuration, step) as (base, process), httpx.Client(base_url=base, headers=headers) as app:
        scan = app.post("/items/v2/scan/", json={"store_id": "sto_demo_se", "epc": epcs(1)[0]}).json()
        body = {"basket_id": scan["basket_id"], "store_id": "sto_demo_se"}
        order_id = app.post("/orders/v1/create-order/", json=body).json()["order_id"]
        session_id = app.post("/payments/v1/ms-pay/create-session/", json={"order_id": order_id}).json()["session_id"]
        payment = {"session_id": session_id, "payment_details": {"token": "tok_approve"}}
        with suppress(httpx.TransportError):  # killed in the middle: just what an app would see
            app.post("/payments/v1/ms-pay/add-payment/", json=payment, headers={"Idempotency-Key": "first"})
        process.wait(PATIENCE)
        assert process.returncode == -9, f"the step {step} was never reached"
    with server(configuration) as (base, process), httpx.Client(base_url=base, headers=headers) as app:
        app.post("/payments/v1/ms-pay/add-payment/", json=payment, headers={"Idempotency-Key": "first"})
        _until(lambda: _finished(app, order_id, payment), process)
        receipt = app.get(f"/orders/v1/{order_id}/receipt")
        assert receipt.status_code == 200
    assert [charge.captures for charge in ledger.charges()] == [1]
    shop.running = shop._assemble()
    order, poslog, states = shop.platform.db.read(
        lambda tx: (load_order(tx, order_id), load_poslog(tx, order_id), counts(tx))
    )
    assert order is not None
    assert (order.o_id, order.transaction_id_poslog) == (100000, "000001")
    assert poslog is not None
    assert states == {DeliveryState.DONE: 2}
    assert len(shop.published("demo.order.post_transaction")) == 1
    assert len(shop.published("demo.gate.epcs_sold")) == 1


def _finished(app: httpx.Client, order_id: str, payment: dict[str, Any]) -> bool:
    order = app.get(f"/orders/v1/{order_id}/").json()
    if order["payment"]["status"] in {"ERROR", "WAITING"}:
        # Certainly not charged: the app offers to pay again.
        app.post("/payments/v1/ms-pay/add-payment/", json=payment)
        return False
    duties = [entry for entry in order["timeline"] if entry["step"] in {"fulfil_order", "mark_epcs_sold"}]
    return order["order_status"] == "COMPLETED" and [entry["state"] for entry in duties] == ["DONE", "DONE"]


def _token(shop: TillShop) -> str:
    store = shop.store("demo/SE")
    provider = shop.platform.host.shop(store).identity_providers[0]
    assert isinstance(provider, TokenIssuer)
    who = Principal("cus_kill", frozenset({"shopper"}), provider.issuer, "cus_kill")
    return provider.issue(who, now=datetime.now(UTC), seconds=3600)
