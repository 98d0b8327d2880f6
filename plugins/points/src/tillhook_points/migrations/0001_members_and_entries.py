"""Members with their balances, and every change of a balance. Times are seconds since 1970, UTC."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "points_member",
        sa.Column("scheme", sa.String(64), primary_key=True),
        sa.Column("customer_id", sa.String(64), primary_key=True),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("balance >= 0", name="ck_points_member_balance"),
    )
    op.create_index("ix_points_member_balance", "points_member", ["scheme", "balance"])
    op.create_table(
        "points_entry",
        sa.Column("entry_id", KEY, primary_key=True, autoincrement=True),
        sa.Column("scheme", sa.String(64), nullable=False),
        sa.Column("customer_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("reference", sa.String(100), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.String(64), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("per_unit", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["scheme", "customer_id"],
            ["points_member.scheme", "points_member.customer_id"],
            name="fk_points_entry_member",
        ),
        sa.UniqueConstraint("scheme", "customer_id", "kind", "reference", name="uq_points_entry_reference"),
    )
    op.create_index(
        "ix_points_entry_expires_at",
        "points_entry",
        ["scheme", "expires_at"],
        sqlite_where=sa.text("remaining > 0"),
        postgresql_where=sa.text("remaining > 0"),
    )
