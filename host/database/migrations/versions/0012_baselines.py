"""Add a table of the programs that people keep under a name, to compare others with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "baselines",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("program_sha256", sa.String(length=64), nullable=False),
        sa.Column("unix_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["program_sha256"], ["programs.sha256"], name=op.f("fk_baselines_program_sha256")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_baselines")),
    )
