"""The tables. Amounts are minor units; times are UTC instants; documents are JSON text that only we read and write.

A basket's and an order's lines are one document each: they are always read and written whole, and one row per
change is what keeps a scan short. Every change of a price is a row of ``price_modification``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware UTC time: ``timestamptz`` on PostgreSQL, integer microseconds since 1970 on SQLite."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(sa.BigInteger() if dialect.name == "sqlite" else sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone; times here are aware")
        return (value - _EPOCH) // _MICROSECOND if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if dialect.name == "sqlite":
            return _EPOCH + timedelta(microseconds=value)
        found: datetime = value
        return found.astimezone(UTC)


_NAMES: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata: Final = sa.MetaData(naming_convention=_NAMES)

_Id: Final = sa.String(64)
_Code: Final = sa.String(64)
_Big: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""An autoincrementing key must be exactly INTEGER on SQLite."""


def _text(name: str, length: int | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=False, server_default="")


def _amount(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


store = sa.Table(
    "store",
    metadata,
    sa.Column("store_id", _Id, primary_key=True),
    sa.Column("store_type", _Code, nullable=False),
    sa.Column("region", sa.String(8), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("timezone", sa.String(64), nullable=False),
    sa.Column("catalogue", _Code, nullable=False),
    _text("retailer_store_id", 64),
    sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.true()),
    sa.Column("rfid", sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.Column("demo", sa.Boolean(), nullable=False, server_default=sa.false()),
    _text("address", 500),
    _text("tax_registration", 64),
)

item = sa.Table(
    "item",
    metadata,
    sa.Column("catalogue", _Code, primary_key=True),
    sa.Column("gtin", sa.String(14), primary_key=True),
    sa.Column("item_id", _Id, nullable=False, unique=True),
    sa.Column("barcode", sa.String(64), nullable=False),
    sa.Column("name", sa.String(500), nullable=False),
    _amount("price"),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("tax_code", _Code, nullable=False),
    _text("category", 200),
    _text("retailer_product_id", 64),
    sa.Column("max_basket_quantity", sa.Integer(), nullable=False, server_default="0"),
    _text("blocked_reason", 200),
    _text("row_hash", 64),
    sa.CheckConstraint("price >= 0", name="price_not_negative"),
)

basket = sa.Table(
    "basket",
    metadata,
    sa.Column("basket_id", _Id, primary_key=True),
    sa.Column("store_id", _Id, sa.ForeignKey("store.store_id"), nullable=False),
    sa.Column("customer_id", _Id, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("lines", sa.Text(), nullable=False),
    _amount("total"),
    sa.Column("last_line_no", sa.Integer(), nullable=False),
    sa.Column("last_sequence", sa.Integer(), nullable=False),
    sa.Column("version", sa.Integer(), nullable=False),
    sa.Column("created_at", Instant(), nullable=False),
    sa.Column("expires_at", Instant(), nullable=False),
)

price_modification = sa.Table(
    "price_modification",
    metadata,
    sa.Column("basket_id", _Id, sa.ForeignKey("basket.basket_id"), primary_key=True),
    sa.Column("sequence", sa.Integer(), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("line_no", sa.Integer(), nullable=False),
    _amount("amount"),
    _amount("total"),
    sa.Column("reason", sa.Text(), nullable=False),
    sa.Column("at", Instant(), nullable=False),
)

sale_order = sa.Table(
    "sale_order",
    metadata,
    sa.Column("order_id", _Id, primary_key=True),
    sa.Column("o_id", sa.BigInteger(), nullable=False),
    sa.Column("store_id", _Id, sa.ForeignKey("store.store_id"), nullable=False),
    sa.Column("customer_id", _Id, nullable=False),
    sa.Column("basket_id", _Id, sa.ForeignKey("basket.basket_id"), nullable=False),
    sa.Column("platform", sa.String(32), nullable=False),
    sa.Column("status", sa.String(24), nullable=False),
    sa.Column("payment_status", sa.String(24), nullable=False),
    _amount("total"),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("lines", sa.Text(), nullable=False),
    sa.Column("tax", sa.Text(), nullable=False),
    sa.Column("created_at", Instant(), nullable=False),
    sa.Column("completed_at", Instant()),
    sa.Column("business_day_date", sa.Date()),
    sa.Column("transaction_number", sa.BigInteger()),
    sa.Column("transaction_id_poslog", sa.String(64)),
    sa.UniqueConstraint("store_id", "o_id"),
    sa.UniqueConstraint("store_id", "transaction_number"),
    sa.Index(
        "uq_sale_order_basket_id_live",
        "basket_id",
        unique=True,
        sqlite_where=sa.text("status <> 'CANCELLED'"),
        postgresql_where=sa.text("status <> 'CANCELLED'"),
    ),
    sa.Index("ix_sale_order_customer_id_created_at", "customer_id", "created_at"),
)

payment = sa.Table(
    "payment",
    metadata,
    sa.Column("payment_id", _Id, primary_key=True),
    sa.Column("order_id", _Id, sa.ForeignKey("sale_order.order_id"), nullable=False, unique=True),
    sa.Column("gateway", _Code, nullable=False),
    sa.Column("status", sa.String(24), nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    _amount("amount"),
    _amount("authorised"),
    _amount("captured"),
    _amount("refunded"),
    _amount("refund_processing"),
    sa.Column("session_id", _Id, unique=True),
    _text("psp_reference", 200),
    _text("payment_method", 64),
    _text("redirect_url", 2000),
    _text("message", 500),
    _text("card_brand", 32),
    _text("card_last4", 4),
    sa.Column("version", sa.Integer(), nullable=False, server_default="0"),
    sa.Column("created_at", Instant(), nullable=False),
    sa.Column("updated_at", Instant(), nullable=False),
    sa.CheckConstraint("captured <= authorised", name="captured_within_authorised"),
    sa.CheckConstraint("refunded + refund_processing <= captured", name="refunded_within_captured"),
)

payment_operation = sa.Table(
    "payment_operation",
    metadata,
    sa.Column("operation_id", _Id, primary_key=True),
    sa.Column("payment_id", _Id, sa.ForeignKey("payment.payment_id"), nullable=False, index=True),
    sa.Column("verb", sa.String(16), nullable=False),
    _amount("amount"),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("idempotency_key", sa.String(100), nullable=False, unique=True),
    sa.Column("status", sa.String(24), nullable=False),
    _text("psp_reference", 200),
    _text("reason", 500),
    sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
    sa.Column("inquire_at", Instant()),
    sa.Column("created_at", Instant(), nullable=False),
    sa.Column("updated_at", Instant(), nullable=False),
    sa.Index(
        "ix_payment_operation_open",
        "inquire_at",
        sqlite_where=sa.text("inquire_at IS NOT NULL"),
        postgresql_where=sa.text("inquire_at IS NOT NULL"),
    ),
)

sequence = sa.Table(
    "sequence",
    metadata,
    sa.Column("store_id", _Id, primary_key=True),
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("scope", sa.String(64), primary_key=True, server_default=""),
    sa.Column("last_no", sa.BigInteger(), nullable=False),
)

poslog = sa.Table(
    "poslog",
    metadata,
    sa.Column("order_id", _Id, sa.ForeignKey("sale_order.order_id"), primary_key=True),
    sa.Column("media_type", sa.String(100), nullable=False),
    sa.Column("document", sa.Text(), nullable=False),
    _text("reference", 200),
    sa.Column("created_at", Instant(), nullable=False),
)

sold_epc = sa.Table(
    "sold_epc",
    metadata,
    sa.Column("epc", sa.String(120), primary_key=True),
    sa.Column("store_id", _Id, nullable=False),
    sa.Column("order_id", _Id, sa.ForeignKey("sale_order.order_id"), nullable=False),
    sa.Column("sold_at", Instant(), nullable=False),
)

event = sa.Table(
    "event",
    metadata,
    sa.Column("seq", _Big, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(200), nullable=False),
    sa.Column("source", sa.String(100), nullable=False),
    sa.Column("type", sa.String(100), nullable=False),
    sa.Column("stream_key", sa.String(100), nullable=False),
    sa.Column("payload", sa.Text(), nullable=False),
    sa.Column("headers", sa.Text(), nullable=False, server_default="{}"),
    sa.Column("created_at", Instant(), nullable=False),
    sa.UniqueConstraint("source", "id"),
    sa.Index("ix_event_stream_key", "stream_key"),
)

delivery = sa.Table(
    "delivery",
    metadata,
    sa.Column("id", _Big, primary_key=True, autoincrement=True),
    sa.Column("event_seq", sa.BigInteger(), sa.ForeignKey("event.seq"), nullable=False),
    sa.Column("subscriber", sa.String(200), nullable=False),
    sa.Column("stream_key", sa.String(100), nullable=False),
    sa.Column("state", sa.SmallInteger(), nullable=False, server_default="0"),
    sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
    sa.Column("available_at", Instant(), nullable=False),
    sa.Column("lease_owner", sa.String(100)),
    sa.Column("lease_until", Instant()),
    _text("last_error"),
    _text("result"),
    sa.Column("duration_ms", sa.Integer()),
    sa.Column("finished_at", Instant()),
    sa.UniqueConstraint("event_seq", "subscriber"),
    *(
        sa.Index(name, *columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
        for name, columns, where in (
            ("ix_delivery_ready", ("available_at", "id"), "state = 0"),
            ("ix_delivery_stream", ("subscriber", "stream_key", "id"), "state IN (0, 1)"),
            ("ix_delivery_lease", ("lease_until",), "state = 1"),
            ("ix_delivery_dead", ("subscriber", "id"), "state = 3"),
        )
    ),
)

idempotency = sa.Table(
    "idempotency",
    metadata,
    sa.Column("scope", sa.String(200), primary_key=True),
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("status", sa.Integer()),
    sa.Column("body", sa.Text()),
    sa.Column("created_at", Instant(), nullable=False),
)

shadow_comparison = sa.Table(
    "shadow_comparison",
    metadata,
    sa.Column("order_id", _Id, sa.ForeignKey("sale_order.order_id"), primary_key=True),
    sa.Column("asked", sa.String(16), primary_key=True),
    sa.Column("shadow", _Code, primary_key=True),
    sa.Column("live", _Code, nullable=False),
    sa.Column("store_type", _Code, nullable=False),
    sa.Column("region", sa.String(8), nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("differences", sa.Text(), nullable=False),
    _amount("amount"),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("milliseconds", sa.Integer(), nullable=False),
    sa.Column("at", Instant(), nullable=False),
    sa.Index("ix_shadow_comparison_at", "at"),
)

schedule = sa.Table(
    "schedule",
    metadata,
    sa.Column("plugin", _Code, primary_key=True),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("place", sa.String(200), primary_key=True),
    sa.Column("next_at", Instant(), nullable=False),
    sa.Column("lease_owner", sa.String(100)),
    sa.Column("lease_until", Instant()),
    sa.Column("last_started_at", Instant()),
    sa.Column("last_finished_at", Instant()),
    _text("last_error"),
)

consumer = sa.Table(
    "consumer",
    metadata,
    sa.Column("topic", sa.String(100), primary_key=True),
    sa.Column("plugin", _Code, primary_key=True),
    sa.Column("place", sa.String(200), primary_key=True),
)
