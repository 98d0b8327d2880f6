"""What shadows say: a second calculator, engine or gateway beside the live one.

The next revision is 0003. There is no way back from here, as in 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "shadow_comparison",
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("asked", sa.String(length=16), nullable=False),
        sa.Column("shadow", sa.String(length=64), nullable=False),
        sa.Column("live", sa.String(length=64), nullable=False),
        sa.Column("store_type", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=8), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("differences", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["order_id"], ["sale_order.order_id"], name=op.f("fk_shadow_comparison_order_id_sale_order")
        ),
        sa.PrimaryKeyConstraint("order_id", "asked", "shadow", name=op.f("pk_shadow_comparison")),
    )
    op.create_index("ix_shadow_comparison_at", "shadow_comparison", ["at"])
