"""The lines of the README and of the operations page, typed as they stand, against a server started as they say."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import urllib.request
from typing import Any

from tests.cli.processes import Running
from tests.docs.conftest import PATIENCE, Reader
from tests.docs.pages import OPERATIONS, PAGES, README, ROOT, spans, the


class Journey:
    """What the lines of the README printed, taken apart."""

    def __init__(self, said: str) -> None:
        self.first, document = said.split("\n{\n", 1)
        self.order: dict[str, Any] = json.loads("{" + document)


def buy(reader: Reader, server: Running) -> Journey:
    return Journey(reader.types(the(README, "bash"), TILLHOOK_PORT=server.url.rpartition(":")[2]))


def test_make_run_starts_what_these_tests_start() -> None:
    recipe = re.search(r"^run: install.*\n\t(.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    assert recipe[1] == "@.venv/bin/tillhook serve --demo"


def test_the_lines_of_the_readme_are_a_whole_journey(reader: Reader, server: Running) -> None:
    bought = buy(reader, server)
    order = bought.order

    basket_total, status, receipt = bought.first.split("\n", 2)
    assert basket_total == str(order["total_price"]) == "{'minor': 6200, 'currency': 'DKK'}"
    assert status == "CAPTURED"
    assert "Demo Torvet" in receipt
    assert re.search(r"^Total +62\.00 DKK$", receipt, re.MULTILINE)
    assert (order["order_status"], order["payment"]["captured_amount"]) == ("COMPLETED", order["total_price"])
    steps = [at["step"] for at in order["timeline"]]
    assert steps == ["order_created", "payment.authorise", "order_completed", "fulfil_order"]

    # The duty may still have been under way when the order was read; a server that has ended has finished it.
    assert server.end(signal.SIGTERM) == 0
    reader.tillhook("work", "--once")
    timeline = json.loads(reader.tillhook("orders", "show", order["order_id"], "--json"))["timeline"]
    assert [(at["step"], at["plugin"]) for at in timeline if at["state"] == "DONE" and at["plugin"]] == [
        ("fulfil_order", "demo")
    ]


def test_every_address_that_a_page_names_is_served(server: Running) -> None:
    named = {span for page in PAGES for span in spans(page) if re.fullmatch(r"/[a-z./]+", span)}
    assert {"/health", "/ready", "/metrics", "/docs", "/docs/errors", "/openapi.json"} <= named
    for path in sorted(named):
        with urllib.request.urlopen(server.url + path, timeout=PATIENCE) as answer:
            assert answer.status == 200, path


def test_the_number_of_dead_letters_is_there_to_be_watched_before_there_is_one(server: Running) -> None:
    (watched,) = {span for span in spans(OPERATIONS) if 'state="dead"' in span}
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=PATIENCE) as answer:
        assert f"{watched} 0.0" in answer.read().decode().splitlines()


def test_a_backup_made_while_the_server_runs_has_the_sale(reader: Reader, server: Running) -> None:
    order = buy(reader, server).order
    said = reader.types(the(OPERATIONS, "bash"))

    assert "sqlite:///var/backup.db: up to date" in said
    with sqlite3.connect(reader.folder / "var" / "backup.db") as backup:
        (found,) = backup.execute("SELECT order_id FROM sale_order").fetchall()
    backup.close()
    assert found == (order["order_id"],)
