"""A request reads only what it needs: how many SQL statements each one takes is fixed here."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from tillhook.core.storage.prepared import Prepared
from tillhook.core.testing.shop import TillShop
from tillhook_demo import epcs

BANANAS, APPLES = "9521234001010", "9521234001027"


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch, shop: TillShop) -> list[str]:
    """Every statement sent to the database from here on, without BEGIN and COMMIT; ``clear()`` starts anew."""
    seen: list[str] = []
    shop("demo/DK").scan(BANANAS)  # the store is remembered from here on
    shop("demo/SE").scan(epc=epcs(3)[2])
    execute, run_all = Prepared._execute, Prepared.run_all

    def note(self: Prepared, tx: Any, plan: Any, parameters: Any) -> Any:
        seen.append(plan.sql)
        return execute(self, tx, plan, parameters)

    def note_all(self: Prepared, tx: Any, many: Any) -> None:
        if len(many) > 1:
            seen.append(f"{len(many)} x {self._statement}")
        run_all(self, tx, many)

    def note_unprepared(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    monkeypatch.setattr(Prepared, "_execute", note)
    monkeypatch.setattr(Prepared, "run_all", note_all)
    for engine in (shop.platform.db._read_engine, shop.platform.db._write_engine):
        sa.event.listen(engine, "before_cursor_execute", note_unprepared)
    return seen


def test_a_first_scan_takes_three_statements(shop: TillShop, statements: list[str]) -> None:
    till = shop("demo/DK")
    statements.clear()
    till.scan(BANANAS)
    assert len(statements) == 3, statements


def test_every_further_scan_takes_four_statements_however_full_the_basket(
    shop: TillShop, statements: list[str]
) -> None:
    till = shop("demo/DK").scan(BANANAS)
    for barcode in (APPLES, BANANAS, APPLES):
        statements.clear()
        till.scan(barcode)
        assert len(statements) == 4, statements


def test_a_scanned_tag_costs_one_more_to_see_that_it_is_unsold(shop: TillShop, statements: list[str]) -> None:
    first, second, _ = epcs(3)
    till = shop("demo/SE").scan(epc=first)
    statements.clear()
    till.scan(epc=second)
    assert len(statements) == 5, statements


def test_ordering_takes_seven_statements(shop: TillShop, statements: list[str]) -> None:
    till = shop("demo/DK").scan(BANANAS)
    statements.clear()
    till.ordered()
    assert len(statements) == 7, statements


def test_paying_and_completing_takes_a_fixed_number_of_statements(shop: TillShop, statements: list[str]) -> None:
    till = shop("demo/DK").scan(BANANAS).scan(APPLES)
    till.session()
    statements.clear()
    till.paid(token="tok_approve")
    assert len(statements) == 13, statements
