"""Add a table of summaries of measurements, which the daemon fills for those that exist."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "summaries",
        sa.Column("measurement_id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("latency_ns", sa.Double(), nullable=True),
        sa.Column("lower_ns", sa.Double(), nullable=True),
        sa.Column("upper_ns", sa.Double(), nullable=True),
        sa.Column("clean_visits", sa.Integer(), nullable=True),
        sa.Column("visits", sa.Integer(), nullable=True),
        sa.Column("memory_probe_ns", sa.Double(), nullable=True),
        sa.Column("traced_memory_probe_ns", sa.Double(), nullable=True),
        sa.Column("unusable", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["measurement_id"], ["measurements.id"], name=op.f("fk_summaries_measurement_id")
        ),
        sa.PrimaryKeyConstraint("measurement_id", name=op.f("pk_summaries")),
    )
