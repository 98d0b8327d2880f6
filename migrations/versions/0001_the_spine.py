"""Stores, items, baskets, orders, payments, numbers, documents, events.

There is no way back from here: a shop's records are restored from a backup, not dropped by a command.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "event",
        sa.Column("seq", KEY, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("type", sa.String(length=100), nullable=False),
        sa.Column("stream_key", sa.String(length=100), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("headers", sa.Text(), server_default="{}", nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_event")),
        sa.UniqueConstraint("source", "id", name=op.f("uq_event_source_id")),
    )
    op.create_index("ix_event_stream_key", "event", ["stream_key"])

    op.create_table(
        "idempotency",
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name=op.f("pk_idempotency")),
    )

    op.create_table(
        "item",
        sa.Column("catalogue", sa.String(length=64), nullable=False),
        sa.Column("gtin", sa.String(length=14), nullable=False),
        sa.Column("item_id", sa.String(length=64), nullable=False),
        sa.Column("barcode", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("price", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("tax_code", sa.String(length=64), nullable=False),
        sa.Column("category", sa.String(length=200), server_default="", nullable=False),
        sa.Column("retailer_product_id", sa.String(length=64), server_default="", nullable=False),
        sa.Column("max_basket_quantity", sa.Integer(), server_default="0", nullable=False),
        sa.Column("blocked_reason", sa.String(length=200), server_default="", nullable=False),
        sa.Column("row_hash", sa.String(length=64), server_default="", nullable=False),
        sa.CheckConstraint("price >= 0", name=op.f("ck_item_price_not_negative")),
        sa.PrimaryKeyConstraint("catalogue", "gtin", name=op.f("pk_item")),
        sa.UniqueConstraint("item_id", name=op.f("uq_item_item_id")),
    )

    op.create_table(
        "sequence",
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("scope", sa.String(length=64), server_default="", nullable=False),
        sa.Column("last_no", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("store_id", "name", "scope", name=op.f("pk_sequence")),
    )

    op.create_table(
        "store",
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("store_type", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("catalogue", sa.String(length=64), nullable=False),
        sa.Column("retailer_store_id", sa.String(length=64), server_default="", nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("rfid", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("demo", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("address", sa.String(length=500), server_default="", nullable=False),
        sa.Column("tax_registration", sa.String(length=64), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("store_id", name=op.f("pk_store")),
    )

    op.create_table(
        "basket",
        sa.Column("basket_id", sa.String(length=64), nullable=False),
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("lines", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_line_no", sa.Integer(), nullable=False),
        sa.Column("last_sequence", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["store_id"], ["store.store_id"], name=op.f("fk_basket_store_id_store")),
        sa.PrimaryKeyConstraint("basket_id", name=op.f("pk_basket")),
    )

    op.create_table(
        "delivery",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("event_seq", sa.BigInteger(), nullable=False),
        sa.Column("subscriber", sa.String(length=200), nullable=False),
        sa.Column("stream_key", sa.String(length=100), nullable=False),
        sa.Column("state", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("available_at", INSTANT, nullable=False),
        sa.Column("lease_owner", sa.String(length=100), nullable=True),
        sa.Column("lease_until", INSTANT, nullable=True),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("result", sa.Text(), server_default="", nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["event_seq"], ["event.seq"], name=op.f("fk_delivery_event_seq_event")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("event_seq", "subscriber", name=op.f("uq_delivery_event_seq_subscriber")),
    )
    op.create_index(
        "ix_delivery_dead",
        "delivery",
        ["subscriber", "id"],
        sqlite_where=sa.text("state = 3"),
        postgresql_where=sa.text("state = 3"),
    )
    op.create_index(
        "ix_delivery_lease",
        "delivery",
        ["lease_until"],
        sqlite_where=sa.text("state = 1"),
        postgresql_where=sa.text("state = 1"),
    )
    op.create_index(
        "ix_delivery_ready",
        "delivery",
        ["available_at", "id"],
        sqlite_where=sa.text("state = 0"),
        postgresql_where=sa.text("state = 0"),
    )
    op.create_index(
        "ix_delivery_stream",
        "delivery",
        ["subscriber", "stream_key", "id"],
        sqlite_where=sa.text("state IN (0, 1)"),
        postgresql_where=sa.text("state IN (0, 1)"),
    )

    op.create_table(
        "price_modification",
        sa.Column("basket_id", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["basket_id"], ["basket.basket_id"], name=op.f("fk_price_modification_basket_id_basket")
        ),
        sa.PrimaryKeyConstraint("basket_id", "sequence", name=op.f("pk_price_modification")),
    )

    op.create_table(
        "sale_order",
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("o_id", sa.BigInteger(), nullable=False),
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("basket_id", sa.String(length=64), nullable=False),
        sa.Column("platform", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=24), nullable=False),
        sa.Column("payment_status", sa.String(length=24), nullable=False),
        sa.Column("total", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("lines", sa.Text(), nullable=False),
        sa.Column("tax", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("completed_at", INSTANT, nullable=True),
        sa.Column("business_day_date", sa.Date(), nullable=True),
        sa.Column("transaction_number", sa.BigInteger(), nullable=True),
        sa.Column("transaction_id_poslog", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["basket_id"], ["basket.basket_id"], name=op.f("fk_sale_order_basket_id_basket")),
        sa.ForeignKeyConstraint(["store_id"], ["store.store_id"], name=op.f("fk_sale_order_store_id_store")),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_sale_order")),
        sa.UniqueConstraint("store_id", "o_id", name=op.f("uq_sale_order_store_id_o_id")),
        sa.UniqueConstraint("store_id", "transaction_number", name=op.f("uq_sale_order_store_id_transaction_number")),
    )
    op.create_index("ix_sale_order_customer_id_created_at", "sale_order", ["customer_id", "created_at"])
    op.create_index(
        "uq_sale_order_basket_id_live",
        "sale_order",
        ["basket_id"],
        unique=True,
        sqlite_where=sa.text("status <> 'CANCELLED'"),
        postgresql_where=sa.text("status <> 'CANCELLED'"),
    )

    op.create_table(
        "payment",
        sa.Column("payment_id", sa.String(length=64), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("gateway", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=24), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("authorised", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("captured", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("refunded", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("refund_processing", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("session_id", sa.String(length=64), nullable=True),
        sa.Column("psp_reference", sa.String(length=200), server_default="", nullable=False),
        sa.Column("payment_method", sa.String(length=64), server_default="", nullable=False),
        sa.Column("redirect_url", sa.String(length=2000), server_default="", nullable=False),
        sa.Column("message", sa.String(length=500), server_default="", nullable=False),
        sa.Column("card_brand", sa.String(length=32), server_default="", nullable=False),
        sa.Column("card_last4", sa.String(length=4), server_default="", nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.CheckConstraint("captured <= authorised", name=op.f("ck_payment_captured_within_authorised")),
        sa.CheckConstraint(
            "refunded + refund_processing <= captured", name=op.f("ck_payment_refunded_within_captured")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["sale_order.order_id"], name=op.f("fk_payment_order_id_sale_order")),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_payment")),
        sa.UniqueConstraint("order_id", name=op.f("uq_payment_order_id")),
        sa.UniqueConstraint("session_id", name=op.f("uq_payment_session_id")),
    )

    op.create_table(
        "poslog",
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("reference", sa.String(length=200), server_default="", nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["sale_order.order_id"], name=op.f("fk_poslog_order_id_sale_order")),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_poslog")),
    )

    op.create_table(
        "sold_epc",
        sa.Column("epc", sa.String(length=120), nullable=False),
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("sold_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["sale_order.order_id"], name=op.f("fk_sold_epc_order_id_sale_order")),
        sa.PrimaryKeyConstraint("epc", name=op.f("pk_sold_epc")),
    )

    op.create_table(
        "payment_operation",
        sa.Column("operation_id", sa.String(length=64), nullable=False),
        sa.Column("payment_id", sa.String(length=64), nullable=False),
        sa.Column("verb", sa.String(length=16), nullable=False),
        sa.Column("amount", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("idempotency_key", sa.String(length=100), nullable=False),
        sa.Column("status", sa.String(length=24), nullable=False),
        sa.Column("psp_reference", sa.String(length=200), server_default="", nullable=False),
        sa.Column("reason", sa.String(length=500), server_default="", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("inquire_at", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payment.payment_id"], name=op.f("fk_payment_operation_payment_id_payment")
        ),
        sa.PrimaryKeyConstraint("operation_id", name=op.f("pk_payment_operation")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_payment_operation_idempotency_key")),
    )
    op.create_index(
        "ix_payment_operation_open",
        "payment_operation",
        ["inquire_at"],
        sqlite_where=sa.text("inquire_at IS NOT NULL"),
        postgresql_where=sa.text("inquire_at IS NOT NULL"),
    )
    op.create_index(op.f("ix_payment_operation_payment_id"), "payment_operation", ["payment_id"])
