"""Add the quantiles of all runs to summaries, which the daemon then makes anew from the samples.

A summary without them is by an earlier version of the statistic. The daemon replaces it before
anybody reads it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    for name in ("median_ns", "p90_ns", "p99_ns"):
        op.add_column("summaries", sa.Column(name, sa.Double(), nullable=True))
    op.add_column("summaries", sa.Column("runs", sa.Integer(), nullable=True))
