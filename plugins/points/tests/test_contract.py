"""Points keep the promises of loyalty and of rows on receipts; the balance is read from their own tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from tillhook import CompletedOrder, Store
from tillhook.core.testing.contracts import LoyaltyContract, ReceiptContract
from tillhook.core.testing.subject import Subject
from tillhook.core.testing.troubles import Line
from tillhook_points import Points, book


class TestPoints(LoyaltyContract):
    plugin = Points
    settings: ClassVar[Mapping[str, Any]] = {"points_per_unit": 2, "expiry_days": 0}
    guests = ("",)

    def balance(self, subject: Subject, line: Line, order: CompletedOrder, store: Store) -> int:
        held = line.tables.read(
            lambda tx: book.balance_of(tx, store.store_type, order.customer_id, datetime(2026, 3, 14, tzinfo=UTC))
        )
        return held or 0


class TestRows(ReceiptContract):
    plugin = Points
    settings: ClassVar[Mapping[str, Any]] = {"points_per_unit": 3, "label": "Poäng"}
