"""``tillhook try``: a whole sale at the terminal, what every plugin did in it, and what did not go well."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cli.conftest import Folder
from tillhook.core.cli.demonstration import prepare
from tillhook.core.testing.shop import TillShop

PLUGINS = '"receipts", "demo"]'
"""The end of the demonstration retailer's list of plugins."""


def tried(folder: Folder, *options: str, code: int = 0) -> dict[str, Any]:
    result = folder.run("try", "demo", "--json", *options)
    assert result.exit_code == code, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


@pytest.fixture
def guest(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Install a plugin ``guest`` with these lines in its class, and switch it on for the demonstration retailer."""
    site = folder.path / "site"

    def join(lines: str) -> None:
        (site / "guest-1.0.dist-info").mkdir(parents=True)
        (site / "guest-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: guest\nVersion: 1.0\n")
        (site / "guest-1.0.dist-info/entry_points.txt").write_text("[tillhook]\nguest = tillhook_guest:Guest\n")
        head = (
            "from tillhook import *\nfrom tillhook import hookimpl\n\nclass Guest(Plugin):\n    hookspec_version = 2\n"
        )
        (site / "tillhook_guest.py").write_text(head + lines)
        folder.change(PLUGINS, '"guest", ' + PLUGINS)
        monkeypatch.syspath_prepend(str(site))

    yield join
    sys.modules.pop("tillhook_guest", None)


# --- a sale that goes well


def test_an_empty_folder_with_a_configuration_is_enough(folder: Folder) -> None:
    sale = tried(folder)

    assert sale["problems"] == []
    assert (sale["order"]["order_status"], sale["order"]["payment"]["status"]) == ("COMPLETED", "CAPTURED")
    assert [line["quantity"] for line in sale["order"]["items"]] == [2, 1]
    assert ("fulfil_order", "demo", "DONE") in steps(sale)
    assert json.loads(sale["poslog"]["document"])["order_id"] == sale["order"]["order_id"]
    ((topic, key, value),) = [(at["topic"], at["key"], at["value"]) for at in sale["messages"]]
    assert (topic, key) == ("demo.order.post_transaction", sale["order"]["order_id"])
    assert value == json.loads(sale["poslog"]["document"])
    assert "DEMO: no money was taken" in sale["receipt"]


def test_it_counts_who_was_asked_in_this_sale_alone(folder: Folder) -> None:
    first, second = tried(folder), tried(folder)

    for sale in (first, second):
        asked = {(at["plugin"], at["hook"]): at["times"] for at in sale["asked"]}
        assert asked["demo", "poslog_for"] == asked["demo", "transaction_id_for"] == asked["demo", "fulfil_order"] == 1
        assert all(at["ms"] >= 0 for at in sale["asked"])
    assert len(second["messages"]) == 1


def test_a_store_with_tags_sells_tagged_pieces_and_others_the_next_time(folder: Folder) -> None:
    first, second = tried(folder, "--region", "se"), tried(folder, "--store", "sto_demo_se")

    sold = [[epc for line in sale["order"]["items"] for epc in line["epcs"]] for sale in (first, second)]
    assert [len(epcs) for epcs in sold] == [2, 2]
    assert not set(sold[0]) & set(sold[1])
    assert ("mark_epcs_sold", "demo", "DONE") in steps(first)


def test_for_a_person_it_shows_each_part_of_the_sale(folder: Folder) -> None:
    said = folder.ok("try", "demo")

    heads = [said.index(f"\n{title}\n---") for title in ("Timeline", "Who was asked", "Receipt")]
    heads += [said.index("\nPOSLog (application/json)\n---"), said.index("\nBus\n---")]
    assert heads == sorted(heads)
    assert "\nfulfil_order\t" not in said[: heads[0]]
    assert "demo.order.post_transaction  key ord_" in said
    assert '\n  "transaction_id": "000001",\n' in said


def steps(sale: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(at["step"], at["plugin"], at["state"]) for at in sale["order"]["timeline"]]


# --- a sale that does not


@pytest.mark.parametrize(
    ("pay", "says"),
    [
        ("decline", "the order is not complete: payment REJECTED: card_declined"),
        ("three_ds", "the order is not complete: payment ACTION_REQUIRED"),
        ("timeout", "the order is not complete: payment PENDING; look again with `tillhook orders show ord_"),
    ],
)
def test_a_payment_that_does_not_end_well_is_exit_code_1(folder: Folder, pay: str, says: str) -> None:
    sale = tried(folder, "--pay", pay, code=1)

    (problem,) = sale["problems"]
    assert problem.startswith(says)
    assert sale["poslog"] is None
    assert sale["receipt"] == ""


def test_a_question_that_raises_is_named_with_its_line(folder: Folder, guest: Callable[[str], None]) -> None:
    guest("    @hookimpl\n    def poslog_for(self, order, store):\n        raise ValueError('no idea')\n")
    result = folder.run("try", "demo")

    assert result.exit_code == 1
    assert "Traceback" not in result.output
    lines = result.stderr.splitlines()
    assert "tillhook: the order is not complete: payment CAPTURED" in lines
    assert any("poslog_for" in line and "guest 1.0" in line for line in lines)
    assert any("ValueError" in line and "tillhook_guest.py:8" in line for line in lines)


def test_a_question_that_is_done_without_is_named_as_well(folder: Folder, guest: Callable[[str], None]) -> None:
    guest("    @hookimpl\n    def receipt_fields_for(self, order):\n        return order.nothing\n")
    sale = tried(folder, code=1)

    assert sale["order"]["order_status"] == "COMPLETED"
    (problem,) = sale["problems"]
    assert "nothing" in problem
    assert "tillhook_guest.py:8" in problem


def test_a_duty_that_does_not_end_is_exit_code_1(folder: Folder, guest: Callable[[str], None]) -> None:
    guest(
        "    @hookimpl\n    def fulfil_order(self, order, outside):\n        raise RetryLater('the office is shut')\n"
    )
    sale = tried(folder, code=1)

    (problem,) = sale["problems"]
    assert problem == "fulfil_order of guest has not ended (PENDING): RetryLater: the office is shut"
    assert ("fulfil_order", "demo", "DONE") in steps(sale)


def test_a_duty_that_is_given_up_is_exit_code_1(folder: Folder, guest: Callable[[str], None]) -> None:
    guest("    @hookimpl\n    def fulfil_order(self, order, outside):\n        raise Permanent('never')\n")
    assert tried(folder, code=1)["problems"] == ["fulfil_order of guest has not ended (DEAD): Permanent: never"]


def test_a_step_that_is_refused_says_which(folder: Folder, guest: Callable[[str], None]) -> None:
    guest("    @hookimpl\n    def problems_for(self, basket):\n        return ['we are closed']\n")
    line = folder.refused("try", "demo")

    assert line.startswith("making the order: ")
    assert "we are closed" in line


# --- what cannot be tried


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("dmo",), 2, "no store type 'dmo' (did you mean 'demo'?)"),
        (("demo", "--region", "NO"), 2, "demo has no store in NO (known: sto_demo_dk in DK, sto_demo_se in SE)"),
        (("demo", "--store", "sto_1"), 2, "demo has no store 'sto_1'"),
        (("demo", "--store", "sto_demo_se", "--region", "DK"), 2, "demo has no store 'sto_demo_se' in DK"),
        (("demo", "--pay", "aprove"), 2, "'sandbox' has no such payment (did you mean 'approve'?)"),
        ((), 2, "Missing argument 'STORE_TYPE'"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(
    folder: Folder, arguments: tuple[str, ...], code: int, says: str
) -> None:
    assert says in folder.refused("try", *arguments, code=code)


def bring_in(folder: Folder, store_id: str, catalogue: str) -> None:
    """A real store, in which real money is taken."""
    (folder.path / "stores.toml").write_text(
        f'[[stores]]\nstore_id = "{store_id}"\nstore_type = "demo"\nregion = "DK"\nname = "Real"\ncurrency = "DKK"\n'
        f'timezone = "Europe/Copenhagen"\ncatalogue = "{catalogue}"\nretailer_store_id = "7"\n'
    )
    folder.ok("db", "upgrade")
    folder.ok("stores", "import", "stores.toml")


def test_nothing_is_sold_in_a_store_that_is_not_for_demonstration(folder: Folder) -> None:
    bring_in(folder, "sto_real", "real")

    assert "sto_real is no demonstration store" in folder.refused("try", "demo", "--store", "sto_real")
    assert tried(folder)["store_id"] == "sto_demo_dk"


@pytest.mark.parametrize("command", [("try", "demo"), ("demo",)])
@pytest.mark.parametrize(
    ("store_id", "catalogue", "says"),
    [
        ("sto_demo_dk", "real", "sto_demo_dk is a real store (Real), and a plugin offers a demonstration store"),
        ("sto_real", "demo_dk", "the catalogue demo_dk is that of the real store sto_real (Real)"),
    ],
)
def test_a_demonstration_never_takes_the_place_of_what_is_real(
    folder: Folder, command: tuple[str, ...], store_id: str, catalogue: str, says: str
) -> None:
    bring_in(folder, store_id, catalogue)
    before = folder.ok("stores", "list", "--json"), items(folder)

    assert says in folder.refused(*command)
    assert (folder.ok("stores", "list", "--json"), items(folder)) == before


def items(folder: Folder) -> list[tuple[str, ...]]:
    with sqlite3.connect(folder.database) as db:
        return db.execute("SELECT catalogue, gtin FROM item").fetchall()


def test_a_demonstration_store_that_takes_real_money_is_not_brought_in(
    folder: Folder, guest: Callable[[str], None]
) -> None:
    guest(
        "    @hookimpl\n    def demonstrations(self):\n        return (Demonstration(stores=(Store('sto_x', 'demo', "
        "'DK', 'X', 'DKK', 'Europe/Copenhagen', 'x', '1'),)),)\n"
    )
    line = folder.refused("try", "demo")
    assert line.startswith("the demonstration store sto_x is not marked as one (demo=True)")


def test_duties_of_other_sales_are_left_to_those_who_do_them(folder: Folder) -> None:
    system = TillShop(folder.configuration, furnish=lambda platform: str(prepare(platform)))
    waiting = system("demo/DK").scan("9521234001010").pay(token="tok_approve").order_id
    system.close()
    assert len(tried(folder)["messages"]) == 1

    with sqlite3.connect(folder.database) as db:
        rows = "SELECT subscriber, attempts FROM delivery WHERE stream_key = ?"
        assert db.execute(rows, (waiting,)).fetchall() == [("fulfil_order:demo", 0)]


def test_a_store_type_that_is_broken_says_why(folder: Folder) -> None:
    folder.change('"receipts", "demo"]', '"receipts", "demo", "missing"]')
    line = folder.refused("try", "demo")
    assert "'missing'" in line
    assert "not installed" in line


def test_a_store_type_without_a_store_says_what_to_do(folder: Folder) -> None:
    folder.change('"receipts", "demo"]', '"receipts"]')
    folder.change("demo.workstation_id", "# demo.workstation_id")
    assert "let a plugin offer one (`demonstrations`)" in folder.refused("try", "demo")


def test_without_a_configuration_it_says_so(folder: Folder) -> None:
    folder.configuration.unlink()
    assert "no such file" in folder.refused("try", "demo", code=2)
