"""Replace the column of transports' names by a wider one, since names may be addresses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("ALTER TABLE devices RENAME COLUMN transport TO short_transport")
    op.add_column(
        "devices",
        sa.Column("transport", sa.String(length=256), nullable=False, server_default=""),
    )
    op.execute("UPDATE devices SET transport = short_transport")
    op.drop_column("devices", "short_transport")
