"""``make bench``: what a sale costs on this machine, and beside it what it could not cost less than.

Sixteen customers shop at once, each on a connection and with a token of their own: ten scans of different items, the
order, the payment session, the payment that completes the order. Server, load and floor are processes of their own.
The numbers are medians over several windows of time; CPU is the processes' own count, not a sample.
After that, what hooks cost with ever more plugins installed: see ``tests.bench.hooks``.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url

from tests.bench import floor, hooks, load
from tests.bench.measures import REQUESTS, SCANS, Counted, Plan, Window, middle
from tests.bench.processes import can_measure, peak_memory
from tests.bench.servers import HOST, ROOT, free_port, measured_by, server
from tests.bench.statements import count
from tests.bench.subject import Subject, set_up
from tests.services.postgres import NoPostgres, Postgres

CUSTOMERS: Final = 16
WIDTH: Final = 110


class Plans(Struct, frozen=True):
    server: Plan
    floor: Plan
    peer: Plan


FULL: Final = Plans(Plan(3, 5, 5), Plan(1, 3, 4), Plan(1, 2, 3))
QUICK: Final = Plans(Plan(2, 2, 1), Plan(0.5, 1, 1), Plan(0.5, 1, 1))


class Measured(Struct, frozen=True):
    """One database: the server, the floor, and what else is known of the server."""

    kind: str
    server: list[Window]
    floor: list[Window]
    peak_memory: int
    duties_left: int


def measure(subject: Subject, plans: Plans) -> Measured:
    """First the server, then the floor on the same database, so that neither disturbs the other."""
    with subject.serving() as (pid, port):
        served = measured_by("load", load.Job(HOST, port, pid, plans.server, subject.customers))
        memory, left = peak_memory(pid), subject.duties_left()
    url = make_url(subject.database)
    where = url.database or "" if url.get_backend_name() == "sqlite" else _conninfo(subject.database)
    bare = measured_by("floor", floor.Job(url.get_backend_name(), where, plans.floor, subject.shelves))
    return Measured(url.get_backend_name(), served, bare, memory, left)


def measure_peer(folder: Path, subject: Subject, plan: Plan) -> list[Window]:
    """As many requests to a bare Litestar that only echoes them."""
    port = free_port()
    with server([sys.executable, str(ROOT / "tests/bench/peer.py"), str(port)], port, folder, {}) as pid:
        return measured_by("load", load.Job(HOST, port, pid, plan, subject.customers, echo=True))


def table(found: Measured, peer: Sequence[Window], needed: Counted, least: Counted) -> Table:
    """Everything about one database."""
    shown = Table(title=_TITLES[found.kind], title_justify="left")
    shown.add_column("", no_wrap=True)
    for name in ("tillhook", "floor: bare driver", "bare Litestar"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_row("journeys/s", *(f"{middle(of, 'rate'):.0f}" for of in (found.server, found.floor, peer)))
    for part in ("scan", "complete"):
        times = " / ".join(f"{middle(found.server, f'{part}.{p}'):.1f}" for p in ("p50", "p95", "p99"))
        shown.add_row(f"{part}, ms: p50 / p95 / p99", times)
    costs = [middle(of, "cpu_ms") for of in (found.server, found.floor, peer)]
    shown.add_row("CPU-ms per journey (least – most)", *(_with_spread(of) for of in (found.server, found.floor, peer)))
    shown.add_row("times the floor's CPU", *(f"{cost / costs[1]:.1f}" for cost in costs))
    shown.add_row("SQL statements per scan", f"{needed.scan}", f"{least.scan}")
    shown.add_row("SQL statements per journey", f"{needed.journey}", f"{least.journey}")
    shown.add_row("transactions per journey", f"{needed.transactions}", f"{least.transactions}")
    shown.add_row("peak memory, MB", f"{found.peak_memory / 1e6:.0f}")
    shown.add_row("duties left at the end", f"{found.duties_left}")
    return shown


def _with_spread(windows: Sequence[Window]) -> str:
    """The median, and how far the windows lie apart: threads that fight for the interpreter make it vary."""
    costs = sorted(window.cpu_ms for window in windows)
    return f"{middle(windows, 'cpu_ms'):.2f}  ({costs[0]:.2f} – {costs[-1]:.2f})"


_TITLES: Final = {"sqlite": "SQLite (every commit on disk)", "postgresql": "PostgreSQL (every commit on disk)"}


def _conninfo(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _run(console: Console, folder: Path, plans: Plans) -> None:
    for name in ("sqlite", "postgresql", "peer"):
        (folder / name).mkdir()
    subject = set_up(folder / "sqlite", f"sqlite:///{folder}/sqlite/tillhook.db", CUSTOMERS)
    needed, least = count(subject), floor.count(subject.shelves[0])
    peer = measure_peer(folder / "peer", subject, plans.peer)
    console.print(table(measure(subject, plans), peer, needed, least))
    try:
        postgres = Postgres.find(durable=True)
    except NoPostgres as reason:
        console.print(f"PostgreSQL is left out: {reason}")
        return
    with postgres:
        subject = set_up(folder / "postgresql", postgres.fresh_database(), CUSTOMERS)
        console.print(table(measure(subject, plans), peer, needed, least))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="about half a minute: rough numbers")
    plans = QUICK if parser.parse_args().quick else FULL
    if not can_measure():
        parser.error("needs Linux: the CPU of the server is read from /proc")
    console = Console(highlight=False, width=WIDTH)
    console.print(
        f"{CUSTOMERS} customers at once; a journey is {REQUESTS} requests: {SCANS} scans, order, session, payment.\n"
        "Floor: the same rows through the bare driver, as many threads. Bare Litestar: as many requests, echoed.\n"
    )
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tillhook-bench-") as folder:
        _run(console, Path(folder), plans)
    hooks.show(console)
    console.print(
        f"{plans.server.windows} × {plans.server.window_seconds:g} s each, medians; "
        f"{time.monotonic() - began:.0f} s in all."
    )


if __name__ == "__main__":
    main()
