"""Widen two columns: an operator may join many tensors, and an exporter may say much."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    with op.batch_alter_table("kernels") as kernels:
        kernels.alter_column(
            "text",
            existing_type=sa.String(length=512),
            type_=sa.String(length=2000),
            existing_nullable=False,
        )
    # Jobs refer to programs, so SQLite cannot write that table anew.
    op.execute("ALTER TABLE programs RENAME COLUMN exporter TO short_exporter")
    op.add_column(
        "programs",
        sa.Column("exporter", sa.String(length=1000), nullable=False, server_default=""),
    )
    op.execute("UPDATE programs SET exporter = short_exporter")
    op.drop_column("programs", "short_exporter")
