"""Workers that are slow, die, stop or meet others; databases that go away: nothing is lost, nothing is done twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from tests.journey.conftest import SYSTEM, configure, furnish
from tests.journey.together import at_once, codes
from tillhook.app import Assembled, assemble
from tillhook.core.config.loading import load
from tillhook.core.domain.aftersale import Discrepancy
from tillhook.core.domain.payment import Captured
from tillhook.core.messaging import dispatcher as dispatching
from tillhook.core.plugins.shop import Shop
from tillhook.core.storage.events import DeliveryState, claim, counts, deliveries_of
from tillhook.core.testing.shop import Till, TillShop
from tillhook_demo import epcs
from tillhook_sandbox.ledger import Ledger

BANANAS = "9521234001010"
TOPIC = "demo.order.post_transaction"
LEASE = timedelta(seconds=60)


def sell(shop: TillShop, count: int = 1) -> list[Till]:
    return [shop("demo/DK").scan(BANANAS).pay(token="tok_approve") for _ in range(count)]


def states(shop: TillShop) -> dict[DeliveryState, int]:
    return shop.platform.db.read(counts)


@pytest.fixture
def second(shop: TillShop, tmp_path: Path) -> Iterator[Assembled]:
    """Another process's worth of the system, on the same database and with the same clock."""
    other = assemble(load(tmp_path / "tillhook.toml", {}), clock=shop.clock)
    yield other
    other.stop()


# --- leases, batches, stopping


def test_a_delivery_that_takes_every_worker_down_becomes_a_dead_letter(shop: TillShop) -> None:
    [till] = sell(shop)
    for round_ in range(shop.platform.system.work.max_attempts):
        taken = shop.platform.db.write(
            lambda tx, owner=f"worker {round_}": claim(tx, owner, shop.clock(), shop.clock() + LEASE, 8)  # type: ignore[misc]
        )
        assert len(taken) == 1, "and then the worker was gone"
        shop.clock.advance(61)
        shop.dispatcher.keep_house()
    shop.do_duties()
    assert states(shop) == {DeliveryState.DEAD: 1}
    assert not shop.published(TOPIC)
    [entry] = [entry for entry in till.order().timeline if entry.step == "fulfil_order"]
    assert "no end after 12 attempts" in entry.detail


def test_a_batch_that_is_held_up_by_its_first_delivery_is_done_once(
    shop: TillShop, second: Assembled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first takes two minutes, the others are reaped and done by another worker."""
    sell(shop, 5)
    real = dispatching.perform
    ran: list[int] = []

    def slow_first(platform: Any, claimed: Any) -> str:
        if not ran:
            ran.append(claimed.delivery_id)
            shop.clock.advance(120)
            second.dispatcher.keep_house()
            second.dispatcher.run_until_idle()
            return ""
        ran.append(claimed.delivery_id)
        return real(platform, claimed)

    monkeypatch.setattr(dispatching, "perform", slow_first)
    shop.do_duties()
    assert states(shop) == {DeliveryState.DONE: 5}
    assert len(ran) == len(set(ran)) + 1, "only the slow one ran twice, and publishes under the same name"
    assert len(shop.published(TOPIC)) == 5


def test_without_the_renewal_a_held_up_batch_runs_what_others_hold(
    shop: TillShop, second: Assembled, monkeypatch: pytest.MonkeyPatch
) -> None:
    sell(shop, 5)
    monkeypatch.setattr(dispatching, "renew", lambda *_: True)
    ran: list[int] = []

    def slow_first(platform: Any, claimed: Any) -> str:
        ran.append(claimed.delivery_id)
        if len(ran) == 1:
            shop.clock.advance(120)
            second.dispatcher.keep_house()
            second.dispatcher.run_until_idle()
        return ""

    monkeypatch.setattr(dispatching, "perform", slow_first)
    shop.do_duties()
    assert len(ran) > 6


def test_a_worker_that_is_stopped_gives_back_what_it_has_not_begun(
    shop: TillShop, second: Assembled, monkeypatch: pytest.MonkeyPatch
) -> None:
    sell(shop, 5)
    begun = threading.Event()
    go_on = threading.Event()
    real = dispatching.perform

    def wait(platform: Any, claimed: Any) -> str:
        begun.set()
        assert go_on.wait(30)
        return real(platform, claimed)

    with monkeypatch.context() as waiting:
        waiting.setattr(dispatching, "perform", wait)
        worker = threading.Thread(target=shop.dispatcher.run_once)
        worker.start()
        assert begun.wait(30)
        shop.dispatcher.stop()
        go_on.set()
        worker.join()
    assert states(shop) == {DeliveryState.DONE: 1, DeliveryState.PENDING: 4}
    assert second.dispatcher.run_until_idle() == 4, "at once, not when the lease has ended"
    assert len(shop.published(TOPIC)) == 5
    attempts = shop.platform.db.read(lambda tx: tx.execute(sa.text("SELECT max(attempts) FROM delivery")).scalar_one())
    assert attempts == 1


def test_a_wake_that_comes_while_the_worker_is_busy_is_not_lost(
    shop: TillShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.platform.system = _patient(shop)
    rounds: list[int] = []
    seen = threading.Event()

    def run() -> int:
        rounds.append(1)
        if len(rounds) == 1:
            shop.dispatcher.wake()  # committed after this round had looked
        else:
            seen.set()
        return 0

    monkeypatch.setattr(shop.dispatcher, "run_once", run)
    monkeypatch.setattr(shop.dispatcher, "keep_house", lambda: 0)
    shop.dispatcher.start()
    try:
        assert seen.wait(30), "the next poll would be an hour away"
    finally:
        shop.dispatcher.stop()


def _patient(shop: TillShop) -> Any:
    system = shop.platform.system
    return replace(system, work=replace(system.work, poll_seconds=3600.0, threads=1))


def test_two_processes_on_one_database_share_the_sales_and_their_duties(
    shop: TillShop, second: Assembled, ledger: Ledger
) -> None:
    tills = [shop("demo/DK").scan(BANANAS) for _ in range(12)]

    def work(number: int) -> None:
        if number < 12:
            tills[number].pay(token="tok_approve")
        else:
            (second if number % 2 else shop.running).dispatcher.run_until_idle()

    results = at_once(work, callers=16)
    assert codes(results) == {"NoneType"}
    at_once(lambda n: (second if n % 2 else shop.running).dispatcher.run_until_idle(), callers=4)
    numbers = sorted(till.order().transaction_id_poslog or "" for till in tills)
    assert numbers == [f"{number:06}" for number in range(1, 13)]
    assert sum(charge.captures for charge in ledger.charges()) == 12
    assert len(shop.published(TOPIC)) == 12
    assert states(shop) == {DeliveryState.DONE: 12}


def test_without_the_claim_two_workers_do_the_same_duty(
    shop: TillShop, second: Assembled, monkeypatch: pytest.MonkeyPatch
) -> None:
    sell(shop)
    ran: list[int] = []

    def unguarded(tx: Any, *arguments: Any) -> Any:
        taken = claim(tx, *arguments)
        tx.execute(sa.text("UPDATE delivery SET state = 0"))
        return taken

    def note(_: Any, claimed: Any) -> str:
        ran.append(claimed.delivery_id)
        return ""

    monkeypatch.setattr(dispatching, "claim", unguarded)
    monkeypatch.setattr(dispatching, "perform", note)
    for worker in (shop.dispatcher, second.dispatcher):
        worker.run_once()
    assert len(ran) == 2


def test_a_plugin_that_lets_a_cancellation_out_is_tried_again(shop: TillShop, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    [till] = sell(shop)
    hosted = shop.platform.host.shop(till.store)
    turn = hosted._duties["demo", "fulfil_order"]

    def cancelled(**_: Any) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as broken:
        broken.setattr(hosted, "_duties", {("demo", "fulfil_order"): replace(turn, function=cancelled)})
        shop.do_duties()
    assert states(shop) == {DeliveryState.PENDING: 1}
    shop.clock.advance(10)
    shop.do_duties()
    assert states(shop) == {DeliveryState.DONE: 1}


def test_a_duty_whose_plugin_was_removed_is_shown_and_can_be_seen_in_the_timeline(
    shop: TillShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    [till] = sell(shop)
    monkeypatch.setattr(Shop, "implementers", lambda self, hook: ())
    shop.do_duties()
    [entry] = [entry for entry in till.order().timeline if entry.step == "fulfil_order"]
    assert (entry.state, "no longer does 'fulfil_order'" in entry.detail) == ("DEAD", True)


def test_a_stores_rows_are_believed_again_when_the_clock_is_set_back(shop: TillShop) -> None:
    from tillhook.core.storage.stores import save_store

    store = shop.platform.store("sto_demo_dk")
    shop.platform.db.write(lambda tx: save_store(tx, replace(store, name="Renamed")))
    shop.clock.advance(-3600)
    assert shop.platform.store("sto_demo_dk").name == "Renamed"


# --- news


def test_a_discrepancy_reaches_the_plugins_that_want_to_know(shop: TillShop, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    real_tell, real_implementers = Shop.tell, Shop.implementers

    def tell(self: Shop, hook: str, **arguments: Any) -> None:
        if hook == "discrepancy_found":
            told.append(arguments["discrepancy"])
        real_tell(self, hook, **arguments)

    def implementers(self: Shop, hook: str) -> tuple[str, ...]:
        return ("listener",) if hook == "discrepancy_found" else real_implementers(self, hook)

    monkeypatch.setattr(Shop, "tell", tell)
    monkeypatch.setattr(Shop, "implementers", implementers)
    till = shop("demo/DK").scan(BANANAS)
    gateway = shop.platform.host.shop(till.store).gateway
    monkeypatch.setattr(gateway, "authorise", lambda request, _: Captured("psp", request.amount * 2))
    till.paid(token="tok_approve")
    shop.do_duties()
    [found] = told
    assert isinstance(found, Discrepancy)
    assert (found.kind, found.store_id, found.reference) == (
        "charge_not_understood",
        "sto_demo_dk",
        till.order_id,
    )


# --- a database that goes away


@pytest.fixture
def on_postgres(tmp_path: Path, postgres_url: str) -> Iterator[Callable[..., TillShop]]:
    opened: list[TillShop] = []

    def open_one(system: str = "") -> TillShop:
        file = configure(tmp_path, postgres_url, system=f"{SYSTEM}\n{system}")
        opened.append(TillShop(file, furnish=furnish))
        return opened[-1]

    yield open_one
    for shop in opened:
        shop.close()


STEPS = ["claim.before", "settle.begin", *(f"completion.{name}" for name in ("check_totals", "store_poslog", "commit"))]


@pytest.mark.parametrize("step", STEPS)
def test_connections_that_are_lost_at_any_step_lose_no_order(
    on_postgres: Callable[..., TillShop], ledger: Ledger, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = on_postgres()
    till = shop("demo/DK").scan(BANANAS)
    till.session()
    lost: list[str] = []

    def cut_off(name: str) -> None:
        if name == step and not lost:
            lost.append(name)
            engine = sa.create_engine(shop.platform.db.url, isolation_level="AUTOCOMMIT")
            with engine.connect() as other:
                other.execute(
                    sa.text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
            engine.dispose()

    monkeypatch.setattr(shop.platform, "checkpoint", cut_off)
    results = at_once(lambda _: till.paid(token="tok_approve"), callers=1)
    assert lost == [step]
    assert codes(results) <= {"PaymentView", "OperationalError"}
    if till.order().payment.status == "WAITING":
        till.paid(token="tok_approve")
    shop.clock.advance(60)
    shop.dispatcher.keep_house()
    shop.do_duties()
    order = till.order()
    assert (order.order_status, order.transaction_id_poslog) == ("COMPLETED", "000001")
    assert sum(charge.captures for charge in ledger.charges()) == 1
    assert len(shop.published(TOPIC)) == 1


def test_more_callers_than_connections_wait_for_each_other_and_all_pay(
    on_postgres: Callable[..., TillShop], ledger: Ledger
) -> None:
    shop = on_postgres("server.threads = 2")
    tills = [shop("demo/DK").scan(BANANAS) for _ in range(16)]
    results = at_once(lambda number: tills[number].paid(token="tok_approve").order_complete)
    assert results == [True] * 16
    assert sum(charge.captures for charge in ledger.charges()) == 16


def test_a_tagged_sale_leaves_every_duty_in_its_timeline_in_order(shop: TillShop) -> None:
    till = shop("demo/SE").scan(epc=epcs(1)[0])
    till.paid(token="tok_timeout")
    shop.clock.advance(10)
    till.order()
    shop.clock.advance(10)
    shop.do_duties()
    timeline = till.order().timeline
    assert [entry.at for entry in timeline] == sorted(entry.at for entry in timeline)
    assert [entry.step for entry in timeline][:3] == ["order_created", "payment.authorise", "order_completed"]
    assert {entry.step for entry in timeline[3:]} == {"fulfil_order", "mark_epcs_sold"}
    stored = shop.platform.db.read(lambda tx: deliveries_of(tx, till.order_id))
    assert {view.state for view in stored} == {DeliveryState.DONE}
