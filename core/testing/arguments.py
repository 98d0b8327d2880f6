"""Arguments for any hook that fit one sale: what the core would hand over with it.

Where a provider or a shopper could have written a card number, there is one: no plugin may show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final, get_type_hints

from hypothesis import strategies as st

from tillhook.core.domain.aftersale import (
    Coupon,
    Customer,
    Discrepancy,
    GateCheck,
    Refund,
    SettlementEntry,
    SettlementKind,
    Shift,
    Subscription,
)
from tillhook.core.domain.basket import Basket
from tillhook.core.domain.completed import CompletedOrder
from tillhook.core.domain.order import Order
from tillhook.core.domain.payment import Payment, PaymentStatus
from tillhook.core.domain.receipt import Receipt, ReceiptType, Rule, Text
from tillhook.core.domain.store import ScanCode, Store
from tillhook.core.roles.outside import Outside
from tillhook.core.testing.planted import PLANTED_CARD
from tillhook.core.testing.strategies import baskets, customers, moments, names, order_of, refunds
from tillhook.hookspecs import HOOKS

Strategy = st.SearchStrategy[Any]

_FREE: Final[dict[str, Strategy]] = {
    "number": st.integers(1, 9_999_999),
    "status": st.sampled_from(("ACCEPTED", "READY_TO_COLLECT", "COLLECTED")),
    "source": st.just("wallet"),
    "payload": st.just({"order_id": "ord_1", "amount_minor": 1999, "currency": "EUR", "card": PLANTED_CARD}),
    "at": moments,
}
"""Arguments that have nothing to do with the sale, by name."""


def arguments_for(hook: str, sale: tuple[CompletedOrder, Store], outside: Outside) -> st.SearchStrategy[dict[str, Any]]:
    """Every argument of a hook by its name."""
    order, store = sale
    by_name = _FREE | {
        "code": st.sampled_from(order.lines).map(lambda line: line.barcode),
        "customer_id": st.just(order.customer_id),
    }
    by_type = {Outside: st.just(outside)} | _of_sale(order, store) | _of_store(store)
    hints = {name: hint for name, hint in get_type_hints(HOOKS[hook]).items() if name != "return"}
    return st.fixed_dictionaries(
        {name: by_name[name] if name in by_name else by_type[hint] for name, hint in hints.items()}
    )


def _of_sale(order: CompletedOrder, store: Store) -> dict[Any, Strategy]:
    payment = Payment(
        "pay_1", order.order_id, "provider", PaymentStatus.REJECTED, order.total, message=f"Declined: {PLANTED_CARD}."
    )
    receipt = names.map(lambda name: Receipt(ReceiptType.ORDER, "Receipt", "en", (Text(name), Rule())))
    return {
        CompletedOrder: st.just(order),
        Order: st.just(order_of(order)),
        Store: st.just(store),
        Refund: refunds(order),
        Payment: st.just(payment),
        Receipt: receipt,
        ReceiptType: st.sampled_from(ReceiptType),
        Basket: baskets(store.currency),
        Customer | None: st.none() | customers,
        ScanCode: st.sampled_from(order.lines).map(lambda line: ScanCode(line.barcode, line.gtin)),
        Sequence[Coupon]: st.lists(st.just(Coupon("SAVE10", "summer", "10 off")), max_size=1),
    }


def _of_store(store: Store) -> dict[Any, Strategy]:
    epcs = ("urn:epc:id:sgtin:9521234.000101.1001", "urn:epc:id:sgtin:9521234.000101.1002")
    return {
        GateCheck: moments.map(lambda at: GateCheck(store.store_id, "gate_1", epcs, epcs[:1], at)),
        Shift: moments.map(
            lambda at: Shift(
                "shf_1",
                store.store_id,
                "900",
                "opr_1",
                store.currency,
                at - timedelta(hours=8),
                at,
                starting_amount=5000,
                bank_drop=10000,
                tender_declaration=7500,
                transaction_count=12,
                refund_count=1,
            )
        ),
        Subscription: st.sampled_from(("TRIAL", "ACTIVE", "CANCELLED", "EXPIRED")).map(
            lambda status: Subscription("sub_1", "cus_1", store.store_type, status, expires_at=None)
        ),
        SettlementEntry: st.sampled_from(SettlementKind).map(
            lambda kind: SettlementEntry(
                "provider",
                kind,
                "psp_1",
                "pay_1",
                date(2026, 5, 4),
                None,
                store.currency,
                1999,
                30,
                1969,
                raw={"card": PLANTED_CARD},
            )
        ),
        Discrepancy: st.just(Discrepancy("amount", store.store_id, "ord_1", "19.99 EUR", "19.98 EUR")),
    }
