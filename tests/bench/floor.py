"""The floor: the SQL that a journey cannot do without, through the bare driver, with no framework and no rules.

As many threads as there are customers write and read the same rows as the server does, in as many transactions, and
do the duty that follows the sale. What is missing is everything else: HTTP, tokens, decisions, plugins, documents
(texts of the usual length stand in for them).

Reads a ``Job`` from standard input, writes the windows to standard output, both as JSON. CPU is that of this process:
on PostgreSQL the driver's side only.
"""

import random
import resource
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from msgspec import Struct

from tests.bench.drivers import PostgresDriver, Raw, SqliteDriver, Write
from tests.bench.measures import SCANS, Counted, Plan, Window

_TAX: Final = "t" * 365
_POSLOG: Final = "p" * 3300
_MESSAGE: Final = "m" * 3000
_FACTS: Final = "f" * 100
_SCAN_STATEMENTS: Final = 4
"""Of a scan into a basket that is there: basket, item; save the basket, its audit row."""


class Shelf(Struct, frozen=True):
    """A store and the items that are sold there."""

    store_id: str
    catalogue: str
    currency: str
    gtins: tuple[str, ...]


class Job(Struct, frozen=True):
    """``shelves``: one for each thread. ``database``: an SQLite file, or what psycopg connects to."""

    kind: str
    database: str
    plan: Plan
    shelves: tuple[Shelf, ...]


_ITEM: Final = (
    "SELECT catalogue, gtin, item_id, barcode, name, price, currency, tax_code, category, retailer_product_id,"
    " max_basket_quantity, blocked_reason FROM item WHERE catalogue = ? AND gtin = ?"
)
_BASKET: Final = (
    "SELECT basket_id, store_id, customer_id, currency, expires_at, status, lines, version, last_line_no,"
    " last_sequence FROM basket WHERE basket_id = ?"
)
_NEW_BASKET: Final = (
    "INSERT INTO basket (basket_id, store_id, customer_id, currency, status, lines, total, last_line_no,"
    " last_sequence, version, created_at, expires_at) VALUES (?, ?, ?, ?, 'OPEN', ?, ?, 1, 1, 1, ?, ?)"
)
_SAVE_BASKET: Final = (
    "UPDATE basket SET status = ?, lines = ?, total = ?, last_line_no = ?, last_sequence = ?, version = version + 1"
    " WHERE basket_id = ? AND version = ?"
)
_AUDIT: Final = (
    "INSERT INTO price_modification (basket_id, sequence, kind, line_no, amount, total, reason, at)"
    " VALUES (?, ?, 'SCAN', ?, ?, ?, ?, ?)"
)
_AUDITED: Final = "SELECT coalesce(sum(amount), 0) FROM price_modification WHERE basket_id = ?"
_NUMBER: Final = (
    "INSERT INTO sequence (store_id, name, scope, last_no) VALUES (?, ?, '', ?)"
    " ON CONFLICT (store_id, name, scope) DO UPDATE SET last_no = sequence.last_no + 1 RETURNING last_no"
)
_ORDER_COLUMNS: Final = (
    "order_id, o_id, store_id, customer_id, basket_id, platform, status, payment_status, total, currency, lines, tax,"
    " created_at, completed_at, business_day_date, transaction_number, transaction_id_poslog"
)
_ORDER_OF_BASKET: Final = f"SELECT {_ORDER_COLUMNS} FROM sale_order WHERE basket_id = ? AND status <> 'CANCELLED'"
_ORDER: Final = f"SELECT {_ORDER_COLUMNS} FROM sale_order WHERE order_id = ?"
_NEW_ORDER: Final = (
    "INSERT INTO sale_order (order_id, o_id, store_id, customer_id, basket_id, platform, status, payment_status, total,"
    " currency, lines, tax, created_at) VALUES (?, ?, ?, ?, ?, 'ios', 'CREATED', 'NOT_CAPTURED', ?, ?, ?, ?, ?)"
)
_PAYMENT_COLUMNS: Final = (
    "payment_id, order_id, gateway, status, amount, currency, authorised, captured, refunded, refund_processing,"
    " session_id, psp_reference, payment_method, redirect_url, message, card_brand, card_last4, version"
)
_PAYMENT_OF_ORDER: Final = f"SELECT {_PAYMENT_COLUMNS} FROM payment WHERE order_id = ?"
_PAYMENT_OF_SESSION: Final = f"SELECT {_PAYMENT_COLUMNS} FROM payment WHERE session_id = ?"
_NEW_PAYMENT: Final = (
    "INSERT INTO payment (payment_id, order_id, gateway, status, currency, amount, created_at, updated_at)"
    " VALUES (?, ?, 'sandbox', 'WAITING', ?, ?, ?, ?)"
)
_SAVE_PAYMENT: Final = (
    "UPDATE payment SET status = ?, authorised = ?, captured = ?, session_id = ?, psp_reference = ?,"
    " payment_method = ?, redirect_url = '', message = '', card_brand = ?, card_last4 = ?, version = version + 1,"
    " updated_at = ? WHERE payment_id = ? AND version = ?"
)
_NEW_OPERATION: Final = (
    "INSERT INTO payment_operation (operation_id, payment_id, verb, amount, currency, idempotency_key, status,"
    " psp_reference, inquire_at, created_at, updated_at) VALUES (?, ?, 'authorise', ?, ?, ?, 'STARTED', '', ?, ?, ?)"
)
_SETTLE: Final = (
    "UPDATE payment_operation SET status = 'SUCCEEDED', psp_reference = ?, reason = '', inquire_at = NULL,"
    " updated_at = ? WHERE operation_id = ? AND status IN ('STARTED', 'PENDING', 'UNKNOWN')"
)
_END_BASKET: Final = (
    "UPDATE basket SET status = 'EXPIRED', version = version + 1 WHERE basket_id = ? AND status = 'ORDERED'"
)
_NEW_EVENT: Final = (
    "INSERT INTO event (id, source, type, stream_key, payload, created_at) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (source, id) DO NOTHING RETURNING seq"
)
_NEW_DELIVERY: Final = (
    "INSERT INTO delivery (event_seq, subscriber, stream_key, available_at) VALUES (?, 'fulfil_order:demo', ?, ?)"
)
_COMPLETE: Final = (
    "UPDATE sale_order SET status = 'COMPLETED', payment_status = 'CAPTURED_DEMO_MODE', completed_at = ?,"
    " business_day_date = '2026-03-14', transaction_number = ?, transaction_id_poslog = ?"
    " WHERE order_id = ? AND status = 'CREATED'"
)
_NEW_POSLOG: Final = (
    "INSERT INTO poslog (order_id, media_type, document, reference, created_at) VALUES (?, 'application/json', ?, ?, ?)"
)
_CLAIM: Final = (
    "UPDATE delivery SET state = 1, attempts = attempts + 1, lease_owner = ?, lease_until = ?"
    " WHERE event_seq = ? AND state = 0 RETURNING id"
)
_EVENT: Final = "SELECT seq, type, payload, id FROM event WHERE seq = ?"
_FINISH: Final = (
    "UPDATE delivery SET state = 2, last_error = '', result = ?, duration_ms = 1, finished_at = ?, lease_owner = NULL,"
    " lease_until = NULL WHERE id = ? AND state = 1 AND lease_owner = ?"
)


def _id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(16)}"


def journey(raw: Raw, shelf: Shelf, customer_id: str) -> None:
    """One journey and its duty; the comments name the request that does the same."""
    basket_id, order_id, payment_id, session_id, operation_id = map(_id, ("bsk", "ord", "pay", "ses", "op"))
    now = raw.now()
    lines: list[str] = []
    total = 0
    for at, gtin in enumerate(random.sample(shelf.gtins, SCANS), 1):  # POST /items/v2/scan/
        if at > 1:
            raw.read(_BASKET, basket_id)
        item = raw.read(_ITEM, shelf.catalogue, gtin)
        total += item[5]
        lines.append(
            f'{{"line_no":{at},"item_id":"{item[2]}","gtin":"{gtin}","barcode":"{item[3]}","name":"{item[4]}",'
            f'"tax_code":"{item[7]}","quantity":1,"unit_price":{item[5]},"discount":0,"promotions":[],"epcs":[],'
            f'"retailer_product_id":"{item[9]}","max_quantity":{item[10]}}}'
        )
        document = f"[{','.join(lines)}]"
        with raw.writing() as write:
            if at == 1:
                write(
                    _NEW_BASKET, basket_id, shelf.store_id, customer_id, shelf.currency, document, total, now, now
                )  # fmt: skip
            else:
                write(_SAVE_BASKET, "OPEN", document, total, at, at, basket_id, at - 1)
            write(_AUDIT, basket_id, at, at, item[5], total, f"1 x {item[4]}", now)

    raw.read(_BASKET, basket_id)  # POST /orders/v1/create-order/
    raw.read(_ORDER_OF_BASKET, basket_id)
    with raw.writing() as write:
        write(_SAVE_BASKET, "ORDERED", document, total, SCANS, SCANS, basket_id, SCANS)
        write(_AUDITED, basket_id)
        (o_id,) = write(_NUMBER, shelf.store_id, "order", 100_000)
        write(
            _NEW_ORDER, order_id, o_id, shelf.store_id, customer_id, basket_id, total, shelf.currency, document, _TAX,
            now,
        )  # fmt: skip
        write(_NEW_PAYMENT, payment_id, order_id, shelf.currency, total, now, now)

    raw.read(_ORDER, order_id)  # POST /payments/v1/ms-pay/create-session/
    raw.read(_PAYMENT_OF_ORDER, order_id)
    with raw.writing() as write:
        write(_SAVE_PAYMENT, "WAITING", 0, 0, session_id, "", "", "", "", now, payment_id, 0)

    raw.read(_PAYMENT_OF_SESSION, session_id)  # POST /payments/v1/ms-pay/add-payment/
    raw.read(_ORDER, order_id)
    reference = f"sbx_{payment_id}"
    with raw.writing() as write:
        write(_SAVE_PAYMENT, "PENDING", 0, 0, session_id, "", "credit_card", "", "", now, payment_id, 1)
        write(_NEW_OPERATION, operation_id, payment_id, total, shelf.currency, operation_id, now, now, now)
    with raw.writing() as write:
        write(_SETTLE, reference, now, operation_id)
        write(
            _SAVE_PAYMENT, "CAPTURED", total, total, session_id, reference, "credit_card", "visa", "4242", now,
            payment_id, 2,
        )  # fmt: skip
        write(_AUDITED, basket_id)
        write(_END_BASKET, basket_id)
        (event_seq,) = write(_NEW_EVENT, _id("evt"), "local", "order_completed", order_id, _FACTS, now)
        write(_NEW_DELIVERY, event_seq, order_id, now)
        (number,) = write(_NUMBER, shelf.store_id, "transaction", 1)
        write(_COMPLETE, now, number, f"{number:06d}", order_id)
        write(_NEW_POSLOG, order_id, _POSLOG, f"0001-2026-03-14-{number:06d}", now)

    with raw.writing() as write:  # the duty fulfil_order
        (delivery_id,) = write(_CLAIM, customer_id, now, event_seq)
        write(_EVENT, event_seq)
    raw.read(_ORDER, order_id)
    raw.read(_PAYMENT_OF_ORDER, order_id)
    with raw.writing() as write:
        write(_NEW_EVENT, _id("msg"), "bus", "demo.order.post_transaction", order_id, _MESSAGE, now)
    with raw.writing() as write:
        write(_FINISH, f"0001-2026-03-14-{number:06d}", now, delivery_id, customer_id)


class _Counter:
    """Stands in for a database: counts, and answers with ones."""

    def __init__(self) -> None:
        self.statements = 0
        self.transactions = 0

    def read(self, sql: str, *parameters: Any) -> Any:
        self.statements += 1
        return (1,) * 20

    @contextmanager
    def writing(self) -> Iterator[Write]:
        self.transactions += 1
        yield self._write

    def now(self) -> Any:
        return 1

    def _write(self, sql: str, *parameters: Any) -> Any:
        self.statements += 1
        return (1,)


def count(shelf: Shelf) -> Counted:
    """What one journey here takes."""
    counter = _Counter()
    journey(counter, shelf, "cus_floor")
    return Counted(_SCAN_STATEMENTS, counter.statements, counter.transactions)


class Runner:
    """The threads and what they have done; the first failure of any of them ends the run."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._done = [0] * len(job.shelves)
        self._failed: list[Exception] = []
        self._stopping = threading.Event()

    def run(self) -> list[Window]:
        open_driver = PostgresDriver if self._job.kind == "postgresql" else SqliteDriver
        driver = open_driver(self._job.database)
        threads = [
            threading.Thread(target=self._shop, args=(driver, number, shelf))
            for number, shelf in enumerate(self._job.shelves)
        ]
        for thread in threads:
            thread.start()
        try:
            return self._measure()
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join()

    def _shop(self, driver: PostgresDriver | SqliteDriver, number: int, shelf: Shelf) -> None:
        try:
            with driver.open() as raw:
                while not self._stopping.is_set():
                    journey(raw, shelf, f"cus_floor_{number}")
                    self._done[number] += 1
        except Exception as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self._failed.append(error)
            self._stopping.set()

    def _measure(self) -> list[Window]:
        windows = []
        plan = self._job.plan
        self._wait(plan.warm_up_seconds)
        last = self._standing()
        for _ in range(plan.windows):
            self._wait(plan.window_seconds)
            standing = self._standing()
            windows.append(Window(standing[0] - last[0], standing[1] - last[1], standing[2] - last[2]))
            last = standing
        return windows

    def _standing(self) -> tuple[float, int, float]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return time.perf_counter(), sum(self._done), used.ru_utime + used.ru_stime

    def _wait(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise self._failed[0]


if __name__ == "__main__":
    given = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(Runner(given).run()))
