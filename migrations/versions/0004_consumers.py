"""Consumers: which plugin takes a topic's messages in which place, for when it cannot be asked.

There is no way back from here, as in 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "consumer",
        sa.Column("topic", sa.String(length=100), nullable=False),
        sa.Column("plugin", sa.String(length=64), nullable=False),
        sa.Column("place", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("topic", "plugin", "place", name=op.f("pk_consumer")),
    )
