"""Say when samples were removed, and for which target's predictor a measurement counts."""

from __future__ import annotations

import contextlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

SUSTAINED_NS = 1_000_000_000  # a warm-up of so long heats the device


def upgrade() -> None:
    op.add_column("measurements", sa.Column("learned_target_id", sa.String(16), nullable=True))
    for name in ("traces_removed_unix_ns", "samples_removed_unix_ns"):
        op.add_column("measurements", sa.Column(name, sa.BigInteger(), nullable=True))
    connection = op.get_bind()
    specs = connection.scalars(sa.text("SELECT DISTINCT spec FROM jobs")).all()
    target_of_job = sa.text(
        "UPDATE measurements SET learned_target_id = (SELECT jobs.target_id FROM jobs"
        " WHERE jobs.id = measurements.job_id AND NOT jobs.is_sentinel"
        " AND jobs.spec NOT IN :unlearned)"
    ).bindparams(sa.bindparam("unlearned", type_=sa.Text(), expanding=True))
    connection.execute(
        target_of_job, {"unlearned": [spec for spec in specs if not _is_learned(spec)]}
    )
    op.create_index(
        op.f("ix_measurements_learned_target_id_suspect_is_excluded"),
        "measurements",
        ["learned_target_id", "suspect", "is_excluded"],
    )


def _is_learned(spec: str) -> bool:
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return bool(json.loads(spec)["visit"]["warmup_ns"] < SUSTAINED_NS)
    return False
