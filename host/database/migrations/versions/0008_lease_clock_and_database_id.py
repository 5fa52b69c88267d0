"""Name the database, and the clock by which each lease expires."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("leases", sa.Column("clock", sa.String(36), nullable=False, server_default=""))
    op.alter_column("leases", "expires_unix_ns", new_column_name="expires_ns")
    table = op.create_table(
        "database_id",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_database_id")),
    )
    op.bulk_insert(table, [{"id": uuid.uuid4().hex}])
