"""Add the table of sentinels, and a column that marks suspect measurements."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "sentinels",
        sa.Column("target_id", sa.String(length=16), nullable=False),
        sa.Column("program_sha256", sa.String(length=64), nullable=False),
        sa.Column("baseline_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_sentinels_target_id")),
        sa.ForeignKeyConstraint(
            ["program_sha256"], ["programs.sha256"], name=op.f("fk_sentinels_program_sha256")
        ),
        sa.ForeignKeyConstraint(
            ["baseline_id"], ["measurements.id"], name=op.f("fk_sentinels_baseline_id")
        ),
        sa.PrimaryKeyConstraint("target_id", name=op.f("pk_sentinels")),
    )
    no = sa.false()
    op.add_column("jobs", sa.Column("is_sentinel", sa.Boolean(), nullable=False, server_default=no))
    op.add_column(
        "measurements", sa.Column("suspect", sa.Boolean(), nullable=False, server_default=no)
    )
