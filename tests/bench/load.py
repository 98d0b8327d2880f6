"""The generator of load, a process of its own: customers who all shop at once, each on a connection of their own.

Reads a ``Job`` from standard input, writes the windows to standard output, both as JSON.
"""

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import uvloop
from msgspec import Struct

from tests.bench.client import Connection, Refused
from tests.bench.measures import REQUESTS, SCANS, Plan, Window, percentiles
from tests.bench.processes import cpu_seconds


class Customer(Struct, frozen=True):
    """Who shops where, and how they pay."""

    headers: dict[str, str]
    store_id: str
    barcodes: tuple[str, ...]
    payment: dict[str, Any]


class Job(Struct, frozen=True):
    """``pid`` is the process to be measured; ``echo``: send the same requests to a server that only echoes."""

    host: str
    port: int
    pid: int
    plan: Plan
    customers: tuple[Customer, ...]
    echo: bool = False


class _Answer(Struct):
    """What a shopper's app keeps of any answer."""

    basket_id: str = ""
    order_id: str = ""
    session_id: str = ""
    order_complete: bool = False


_read: Final = msgspec.json.Decoder(_Answer).decode
_write: Final = msgspec.json.Encoder().encode


class Tally:
    """What happened since the last window ended."""

    def __init__(self) -> None:
        self.journeys = 0
        self.scans: list[float] = []
        self.completions: list[float] = []

    def window(self, seconds: float, cpu: float) -> Window:
        """The window that ends now; the next one begins."""
        made = Window(seconds, self.journeys, cpu, percentiles(self.scans), percentiles(self.completions))
        self.journeys = 0
        self.scans.clear()
        self.completions.clear()
        return made


async def shop(connection: Connection, customer: Customer, tally: Tally) -> None:
    """One journey. Raises Refused unless the order is complete at its end."""

    async def post(path: str, times: list[float] | None = None, **fields: Any) -> _Answer:
        body = _write(fields)
        began = time.perf_counter()
        answer = await connection.post(path, body)
        if times is not None:
            times.append(time.perf_counter() - began)
        return _read(answer)

    basket: dict[str, Any] = {}
    for barcode in random.sample(customer.barcodes, SCANS):
        scan = {"store_id": customer.store_id, "barcode": barcode, "quantity": 1, **basket}
        answer = await post("/items/v2/scan/", tally.scans, **scan)
        basket = {"basket_id": answer.basket_id}
    answer = await post("/orders/v1/create-order/", store_id=customer.store_id, platform="ios", **basket)
    answer = await post("/payments/v1/ms-pay/create-session/", order_id=answer.order_id)
    session = {"session_id": answer.session_id, **customer.payment}
    answer = await post("/payments/v1/ms-pay/add-payment/", tally.completions, **session)
    if not answer.order_complete:
        raise Refused("the payment was approved, but the order is not complete")
    tally.journeys += 1


async def echo(connection: Connection, customer: Customer, tally: Tally) -> None:
    """As many requests as a journey has, about as long as a scan."""
    for barcode in random.sample(customer.barcodes, REQUESTS):
        await connection.post("/echo/", _write({"store_id": customer.store_id, "barcode": barcode, "quantity": 1}))
    tally.journeys += 1


Journey = Callable[[Connection, Customer, Tally], Awaitable[None]]


async def _keep_going(job: Job, customer: Customer, journey: Journey, tally: Tally) -> None:
    connection = await Connection.open(job.host, job.port, customer.headers)
    try:
        while True:
            await journey(connection, customer, tally)
    finally:
        await connection.close()


async def _measure(job: Job, tally: Tally) -> list[Window]:
    await asyncio.sleep(job.plan.warm_up_seconds)
    tally.window(0, 0)
    windows = []
    moment, cpu = time.perf_counter(), cpu_seconds(job.pid)
    for _ in range(job.plan.windows):
        await asyncio.sleep(job.plan.window_seconds)
        last_moment, last_cpu = moment, cpu
        moment, cpu = time.perf_counter(), cpu_seconds(job.pid)
        windows.append(tally.window(moment - last_moment, cpu - last_cpu))
    return windows


async def run(job: Job) -> list[Window]:
    """Let all customers shop until the windows are over. The first failure of any of them is raised."""
    tally = Tally()
    journey = echo if job.echo else shop
    shoppers = [asyncio.create_task(_keep_going(job, customer, journey, tally)) for customer in job.customers]
    measuring = asyncio.create_task(_measure(job, tally))
    ended, _ = await asyncio.wait([measuring, *shoppers], return_when=asyncio.FIRST_COMPLETED)
    for task in (measuring, *shoppers):
        task.cancel()
    for task in ended:
        if task is not measuring:
            task.result()
    return measuring.result()


if __name__ == "__main__":
    given = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(run(given))))
