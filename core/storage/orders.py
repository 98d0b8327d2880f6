"""Orders, their POSLog documents and the sold set of EPCs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tillhook.core.domain.completed import PosLog
from tillhook.core.domain.money import Money
from tillhook.core.domain.order import Order, OrderPaymentStatus, OrderStatus, Platform
from tillhook.core.domain.tax import TaxResult
from tillhook.core.storage.baskets import LINES
from tillhook.core.storage.database import Tx
from tillhook.core.storage.prepared import Prepared, constant
from tillhook.core.storage.tables import poslog, sold_epc
from tillhook.core.storage.tables import sale_order as t

_TAX: Final = msgspec.json.Decoder(TaxResult)
_COLUMNS: Final = (
    t.c.order_id, t.c.o_id, t.c.store_id, t.c.customer_id, t.c.basket_id, t.c.platform, t.c.status, t.c.payment_status,
    t.c.total, t.c.currency, t.c.lines, t.c.tax, t.c.created_at, t.c.completed_at, t.c.business_day_date,
    t.c.transaction_number, t.c.transaction_id_poslog,
)  # fmt: skip
_BY_ID: Final = Prepared(sa.select(*_COLUMNS).where(t.c.order_id == sa.bindparam("p_order")))
_BY_BASKET: Final = Prepared(
    sa.select(*_COLUMNS).where(
        t.c.basket_id == sa.bindparam("p_basket"), t.c.status != constant(OrderStatus.CANCELLED.value)
    )
)
_OF_CUSTOMER: Final = Prepared(
    sa.select(*_COLUMNS)
    .where(t.c.customer_id == sa.bindparam("p_customer"))
    .order_by(t.c.created_at.desc(), t.c.order_id.desc())
    .limit(sa.bindparam("p_limit"))
)
_INSERT: Final = Prepared(sa.insert(t))
_COMPLETE: Final = Prepared(
    sa.update(t)
    .where(t.c.order_id == sa.bindparam("p_order"), t.c.status == OrderStatus.CREATED.value)
    .values(
        status=sa.bindparam("p_status"),
        payment_status=sa.bindparam("p_payment_status"),
        completed_at=sa.bindparam("p_completed_at"),
        business_day_date=sa.bindparam("p_business_day"),
        transaction_number=sa.bindparam("p_number"),
        transaction_id_poslog=sa.bindparam("p_transaction_id"),
    )
)
_CANCEL: Final = Prepared(
    sa.update(t)
    .where(t.c.order_id == sa.bindparam("p_order"), t.c.status == OrderStatus.CREATED.value)
    .values(status=OrderStatus.CANCELLED.value)
)
_INSERT_POSLOG: Final = Prepared(sa.insert(poslog))
_SELECT_POSLOG: Final = Prepared(
    sa.select(poslog.c.media_type, poslog.c.document, poslog.c.reference).where(
        poslog.c.order_id == sa.bindparam("p_order")
    )
)


def _taken(dialect: Any) -> Any:
    insert = dialect.insert(sold_epc)
    return insert.on_conflict_do_update(
        index_elements=["epc"],
        set_={"sold_at": insert.excluded.sold_at},
        where=sold_epc.c.order_id == insert.excluded.order_id,
    )


_TAKE_EPC: Final = Prepared({"postgresql": _taken(postgresql), "sqlite": _taken(sqlite)})
_FREE_EPC: Final = Prepared(
    sa.delete(sold_epc).where(sold_epc.c.epc == sa.bindparam("p_epc"), sold_epc.c.order_id == sa.bindparam("p_order"))
)
_IS_SOLD: Final = Prepared(
    sa.select(sold_epc.c.epc)
    .select_from(sold_epc.join(t, t.c.order_id == sold_epc.c.order_id))
    .where(sold_epc.c.epc == sa.bindparam("p_epc"), t.c.completed_at.is_not(None))
)


def _order(row: Any) -> Order:
    return Order(
        order_id=row[0],
        o_id=row[1],
        store_id=row[2],
        customer_id=row[3],
        basket_id=row[4],
        platform=Platform(row[5]),
        status=OrderStatus(row[6]),
        payment_status=OrderPaymentStatus(row[7]),
        total=Money(row[8], row[9]),
        lines=LINES.decode(row[10]),
        tax=_TAX.decode(row[11]),
        created_at=row[12],
        completed_at=row[13],
        business_day_date=row[14],
        transaction_number=row[15],
        transaction_id_poslog=row[16],
    )


def load_order(tx: Tx, order_id: str) -> Order | None:
    row = _BY_ID.one(tx, {"p_order": order_id})
    return None if row is None else _order(row)


def live_order_of(tx: Tx, basket_id: str) -> Order | None:
    """The basket's order that is not cancelled; there is at most one."""
    row = _BY_BASKET.one(tx, {"p_basket": basket_id})
    return None if row is None else _order(row)


def orders_of(tx: Tx, customer_id: str, limit: int) -> tuple[Order, ...]:
    """A shopper's newest orders first."""
    return tuple(_order(row) for row in _OF_CUSTOMER.all(tx, {"p_customer": customer_id, "p_limit": limit}))


def insert_order(tx: Tx, order: Order) -> None:
    _INSERT.run(
        tx,
        {
            "order_id": order.order_id,
            "o_id": order.o_id,
            "store_id": order.store_id,
            "customer_id": order.customer_id,
            "basket_id": order.basket_id,
            "platform": order.platform.value,
            "status": order.status.value,
            "payment_status": order.payment_status.value,
            "total": order.total.minor,
            "currency": order.total.currency,
            "lines": msgspec.json.encode(order.lines).decode(),
            "tax": msgspec.json.encode(order.tax).decode(),
            "created_at": order.created_at,
        },
    )


def complete_order(tx: Tx, order: Order) -> bool:
    """Write what completion decided, if the order is still CREATED."""
    done = _COMPLETE.run(
        tx,
        {
            "p_order": order.order_id,
            "p_status": order.status.value,
            "p_payment_status": order.payment_status.value,
            "p_completed_at": order.completed_at,
            "p_business_day": order.business_day_date,
            "p_number": order.transaction_number,
            "p_transaction_id": order.transaction_id_poslog,
        },
    )
    return done == 1


def cancel_order(tx: Tx, order_id: str) -> bool:
    return _CANCEL.run(tx, {"p_order": order_id}) == 1


def insert_poslog(tx: Tx, order_id: str, document: PosLog, now: datetime) -> None:
    _INSERT_POSLOG.run(
        tx,
        {
            "order_id": order_id,
            "media_type": document.media_type,
            "document": document.document,
            "reference": document.reference,
            "created_at": now,
        },
    )


def load_poslog(tx: Tx, order_id: str) -> PosLog | None:
    row = _SELECT_POSLOG.one(tx, {"p_order": order_id})
    return None if row is None else PosLog(row[0], row[1], row[2])


def is_sold(tx: Tx, epc: str) -> bool:
    """Whether a piece belongs to a completed order."""
    return _IS_SOLD.one(tx, {"p_epc": epc}) is not None


def claim_epcs(tx: Tx, epcs: Sequence[str], store_id: str, order_id: str, now: datetime) -> tuple[str, ...]:
    """Put pieces into the sold set for an order; those that stay with another order, which was first.

    They are claimed before the payment and count as sold when the order completes.
    """
    # In one order for all: two orders with the same pieces must not wait for each other.
    rows = [{"epc": epc, "store_id": store_id, "order_id": order_id, "sold_at": now} for epc in sorted(epcs)]
    return tuple(row["epc"] for row in rows if _TAKE_EPC.run(tx, row) != 1)  # type: ignore[misc]


def free_epcs(tx: Tx, epcs: Sequence[str], order_id: str) -> None:
    """Let go of an order's pieces, so that another order may claim them."""
    _FREE_EPC.run_all(tx, [{"p_epc": epc, "p_order": order_id} for epc in sorted(epcs)])
