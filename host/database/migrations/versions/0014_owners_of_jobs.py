"""Add the owners of jobs, the ids of their requests, and indices for lists by page."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "job_owners",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=100), nullable=False),
        sa.Column("asked_unix_ns", sa.BigInteger(), nullable=False),
        sa.Column("waits", sa.Boolean(), nullable=False),
        sa.Column("cancelled_unix_ns", sa.BigInteger(), nullable=True),
        sa.Column("end_number", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_owners_job_id")),
        sa.PrimaryKeyConstraint("job_id", "owner", name=op.f("pk_job_owners")),
    )
    op.create_index(op.f("ix_job_owners_end_number"), "job_owners", ["end_number"])
    op.create_index(op.f("ix_job_owners_owner_end_number"), "job_owners", ["owner", "end_number"])
    op.create_table(
        "job_requests",
        sa.Column("owner", sa.String(length=100), nullable=False),
        sa.Column("request_id", sa.String(length=36), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("unix_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_requests_job_id")),
        sa.PrimaryKeyConstraint("owner", "request_id", name=op.f("pk_job_requests")),
    )
    op.create_index(op.f("ix_job_requests_unix_ns"), "job_requests", ["unix_ns"])
    # The jobs that are open were all asked for by the user who runs the lab.
    op.execute(
        "INSERT INTO job_owners (job_id, owner, asked_unix_ns, waits)"
        " SELECT id, 'local', created_unix_ns, FALSE FROM jobs"
        " WHERE ended_unix_ns IS NULL AND NOT is_sentinel"
    )
    op.create_index(op.f("ix_jobs_program_sha256"), "jobs", ["program_sha256"])
    op.create_index(op.f("ix_measurements_unix_ns_id"), "measurements", ["unix_ns", "id"])
    op.create_index(
        op.f("ix_summaries_latency_ns_measurement_id"),
        "summaries",
        ["latency_ns", "measurement_id"],
    )
    op.create_index(
        op.f("ix_visits_device_serial_asked_unix_ns_id"),
        "visits",
        ["device_serial", "asked_unix_ns", "id"],
    )
