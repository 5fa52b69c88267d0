"""Add columns for the values of a program's inputs, and for a visit's first run and memory."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("programs", sa.Column("input_values", sa.JSON(), nullable=True))
    op.add_column("visits", sa.Column("trace_instructions", sa.JSON(), nullable=True))
    op.add_column("visits", sa.Column("first_run_ns", sa.BigInteger(), nullable=True))
    op.add_column("visits", sa.Column("planned_bytes", sa.BigInteger(), nullable=True))
