"""Schedules: when the work of plugins is due next, who does it now, and how it ended.

There is no way back from here, as in 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "schedule",
        sa.Column("plugin", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("place", sa.String(length=200), nullable=False),
        sa.Column("next_at", INSTANT, nullable=False),
        sa.Column("lease_owner", sa.String(length=100), nullable=True),
        sa.Column("lease_until", INSTANT, nullable=True),
        sa.Column("last_started_at", INSTANT, nullable=True),
        sa.Column("last_finished_at", INSTANT, nullable=True),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("plugin", "name", "place", name=op.f("pk_schedule")),
    )
