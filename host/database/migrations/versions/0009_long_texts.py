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
    with op.batch_alter_table("programs") as programs:
        programs.alter_column(
            "exporter",
            existing_type=sa.String(length=64),
            type_=sa.String(length=1000),
            existing_nullable=False,
        )
