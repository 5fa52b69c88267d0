"""Add a table of excluded measurements, with the time and reason of each exclusion."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    no = sa.false()
    op.add_column(
        "measurements", sa.Column("is_excluded", sa.Boolean(), nullable=False, server_default=no)
    )
    op.create_table(
        "exclusions",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("measurement_id", sa.String(length=32), nullable=False),
        sa.Column("unix_ns", sa.BigInteger(), nullable=False),
        sa.Column("is_excluded", sa.Boolean(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["measurement_id"], ["measurements.id"], name=op.f("fk_exclusions_measurement_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exclusions")),
    )
    op.create_index(op.f("ix_exclusions_measurement_id"), "exclusions", ["measurement_id"])
