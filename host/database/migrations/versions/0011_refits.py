"""Add a table of the predictors' refits, each with the score of the predictor before it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "refits",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("target_id", sa.String(length=16), nullable=False),
        sa.Column("unix_ns", sa.BigInteger(), nullable=False),
        sa.Column("measurements", sa.Integer(), nullable=False),
        sa.Column("fit_s", sa.Double(), nullable=False),
        sa.Column("predictor", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("score_networks", sa.Integer(), nullable=True),
        sa.Column("score_guessed", sa.Integer(), nullable=True),
        sa.Column("score_mean_error", sa.Double(), nullable=True),
        sa.Column("score_within_5pct", sa.Double(), nullable=True),
        sa.Column("score_inside_interval", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_refits_target_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refits")),
    )
    op.create_index(op.f("ix_refits_target_id"), "refits", ["target_id"])
