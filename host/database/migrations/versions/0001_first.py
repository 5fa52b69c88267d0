"""Make the tables of the first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "devices",
        sa.Column("serial", sa.String(length=128), nullable=False),
        sa.Column("transport", sa.String(length=16), nullable=False),
        sa.Column("description", sa.JSON(), nullable=False),
        sa.Column("first_seen_unix_ns", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_unix_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_devices")),
    )
    op.create_table(
        "kernels",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("text", sa.String(length=512), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kernels")),
        sa.UniqueConstraint("text", name=op.f("uq_kernels_text")),
    )
    op.create_table(
        "programs",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("backend", sa.String(length=32), nullable=False),
        sa.Column("input_shapes", sa.JSON(), nullable=False),
        sa.Column("kernel_ids", sa.LargeBinary(), nullable=False),
        sa.Column("undelegated", sa.JSON(), nullable=False),
        sa.Column("exporter", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_programs")),
    )
    op.create_table(
        "targets",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("device_model", sa.String(length=256), nullable=False),
        sa.Column("os_build", sa.String(length=256), nullable=False),
        sa.Column("runtime_version", sa.String(length=64), nullable=False),
        sa.Column("runner_build", sa.String(length=64), nullable=False),
        sa.Column("backend", sa.String(length=32), nullable=False),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.Column("core_class", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_targets")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("target_id", sa.String(length=16), nullable=False),
        sa.Column("program_sha256", sa.String(length=64), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("created_unix_ns", sa.BigInteger(), nullable=False),
        sa.Column("ended_unix_ns", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["program_sha256"], ["programs.sha256"], name=op.f("fk_jobs_program_sha256")
        ),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_jobs_target_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_ended_unix_ns"), "jobs", ["ended_unix_ns"], unique=False)
    op.create_index(
        op.f("ix_jobs_target_id_program_sha256"),
        "jobs",
        ["target_id", "program_sha256"],
        unique=False,
    )
    op.create_table(
        "leases",
        sa.Column("device_serial", sa.String(length=128), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("expires_unix_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_serial"], ["devices.serial"], name=op.f("fk_leases_device_serial")
        ),
        sa.PrimaryKeyConstraint("device_serial", name=op.f("pk_leases")),
    )
    op.create_table(
        "failures",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("unix_ns", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_failures_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_failures")),
        sa.UniqueConstraint("job_id", name=op.f("uq_failures_job_id")),
    )
    op.create_table(
        "measurements",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("unix_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_measurements_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_measurements")),
        sa.UniqueConstraint("job_id", name=op.f("uq_measurements_job_id")),
    )
    op.create_table(
        "visits",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("device_serial", sa.String(length=128), nullable=False),
        sa.Column("traced", sa.Boolean(), nullable=False),
        sa.Column("asked_unix_ns", sa.BigInteger(), nullable=False),
        sa.Column("answered_unix_ns", sa.BigInteger(), nullable=True),
        sa.Column("failure_kind", sa.String(length=32), nullable=True),
        sa.Column("failure_message", sa.Text(), nullable=True),
        sa.Column("wall_ns", sa.LargeBinary(), nullable=True),
        sa.Column("cpu_ns", sa.LargeBinary(), nullable=True),
        sa.Column("involuntary_switches", sa.LargeBinary(), nullable=True),
        sa.Column("warmup_runs", sa.Integer(), nullable=True),
        sa.Column("load_ns", sa.BigInteger(), nullable=True),
        sa.Column("peak_rss_bytes", sa.BigInteger(), nullable=True),
        sa.Column("conditions_before", sa.JSON(), nullable=True),
        sa.Column("conditions_after", sa.JSON(), nullable=True),
        sa.Column("trace_names", sa.JSON(), nullable=True),
        sa.Column("trace_ns", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["device_serial"], ["devices.serial"], name=op.f("fk_visits_device_serial")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_visits_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visits")),
        sa.UniqueConstraint("run_id", name=op.f("uq_visits_run_id")),
    )
    op.create_index(op.f("ix_visits_job_id"), "visits", ["job_id"], unique=False)
    op.create_table(
        "kernel_timings",
        sa.Column("measurement_id", sa.String(length=32), nullable=False),
        sa.Column("kernel_ids", sa.LargeBinary(), nullable=False),
        sa.Column("mean_ns", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["measurement_id"], ["measurements.id"], name=op.f("fk_kernel_timings_measurement_id")
        ),
        sa.PrimaryKeyConstraint("measurement_id", name=op.f("pk_kernel_timings")),
    )
