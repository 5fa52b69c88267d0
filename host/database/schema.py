"""The tables of the database. A sample series is one BLOB of little-endian int64.

    devices   targets   programs ─► kernels
                 ▲         ▲
                 └── jobs ─┘ ── one of ─► measurements ─► kernel_timings
                       ▲ ▲                failures      summaries
                  visits job_owners, job_requests
    refits: each fit of a target's predictor, and how good the predictor before it was
    sentinels: each target's reference program, and the measurement that is its baseline
    baselines: the programs that people keep under a name, to compare others with
    exclusions: when and why the owner of a measurement excluded it, or included it again
    leases: each device's holder, with a token that only grows
    database_id: one row, the name by which agents tell databases apart
    device_events: when each device came and went
    tokens, audit: who may use the lab, and what they have done; see `access.tables`

Change them together with a migration in `migrations/versions/`.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
)

MAX_KERNEL_CHARS = 2_000  # a row of PostgreSQL's index has 2704 bytes at most

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

devices = Table(
    "devices",
    metadata,
    Column("serial", String(128), primary_key=True),
    Column("transport", String(256), nullable=False, server_default=""),
    Column("description", JSON, nullable=False),  # as the newest agent sent it
    Column("first_seen_unix_ns", BigInteger, nullable=False),
    Column("last_seen_unix_ns", BigInteger, nullable=False),
    Column("is_drained", Boolean, nullable=False, server_default=false()),
    Column("note", Text, nullable=False, server_default=""),
)

# Events of devices, a few hundred for each.
device_events = Table(
    "device_events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("device_serial", String(128), ForeignKey("devices.serial"), nullable=False, index=True),
    Column("unix_ns", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("detail", Text, nullable=False),
)

targets = Table(
    "targets",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("device_model", String(256), nullable=False),
    Column("os_build", String(256), nullable=False),
    Column("runtime_version", String(64), nullable=False),
    Column("runner_build", String(64), nullable=False),
    Column("backend", String(32), nullable=False),
    Column("threads", Integer, nullable=False),
    Column("core_class", String(32), nullable=False),
)

kernels = Table(
    "kernels",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("text", String(MAX_KERNEL_CHARS), nullable=False, unique=True),
    Column("fields", JSON, nullable=False),
)

programs = Table(
    "programs",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("backend", String(32), nullable=False),
    Column("input_shapes", JSON, nullable=False),
    Column("input_values", JSON),  # dtype and range of each input; null: all are float32
    Column("kernel_ids", LargeBinary, nullable=False),  # int64, in execution order
    Column("undelegated", JSON, nullable=False),
    Column("exporter", String(1000), nullable=False),
)

# A job has ended when a measurement or a failure names it; never both.
jobs = Table(
    "jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("target_id", String(16), ForeignKey("targets.id"), nullable=False),
    Column("program_sha256", String(64), ForeignKey("programs.sha256"), nullable=False),
    Column("spec", Text, nullable=False),  # canonical JSON, compared as text
    Column("created_unix_ns", BigInteger, nullable=False),
    Column("ended_unix_ns", BigInteger),
    Column("is_sentinel", Boolean, nullable=False, server_default=false()),
    Column("priority", Integer, nullable=False, server_default="0"),
    Index(None, "target_id", "program_sha256"),
    Index(None, "program_sha256"),
    Index(None, "ended_unix_ns"),
)

# Who has asked for a job. It has ended for an owner who has cancelled it, or with the job.
job_owners = Table(
    "job_owners",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id"), primary_key=True),
    Column("owner", String(100), primary_key=True),
    Column("asked_unix_ns", BigInteger, nullable=False),
    Column("waits", Boolean, nullable=False),  # without a stream
    Column("cancelled_unix_ns", BigInteger),
    Column("end_number", BigInteger),  # it grows from end to end; null while it has not ended
    Index(None, "end_number"),
    Index(None, "owner", "end_number"),
)

# The requests of the last days that came with an id, so that one that is sent twice is one.
job_requests = Table(
    "job_requests",
    metadata,
    Column("owner", String(100), primary_key=True),
    Column("request_id", String(36), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("job_id", String(32), ForeignKey("jobs.id"), nullable=False),
    Column("unix_ns", BigInteger, nullable=False, index=True),
)

# A row without samples or failure is a run that was asked for and not yet answered.
visits = Table(
    "visits",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(32), nullable=False, unique=True),
    Column("job_id", String(32), ForeignKey("jobs.id"), nullable=False, index=True),
    Column("device_serial", String(128), ForeignKey("devices.serial"), nullable=False),
    Column("traced", Boolean, nullable=False),
    Column("asked_unix_ns", BigInteger, nullable=False),
    Column("answered_unix_ns", BigInteger),
    Column("failure_kind", String(32)),
    Column("failure_message", Text),
    Column("wall_ns", LargeBinary),
    Column("cpu_ns", LargeBinary),
    Column("involuntary_switches", LargeBinary),
    Column("warmup_runs", Integer),
    Column("load_ns", BigInteger),
    Column("peak_rss_bytes", BigInteger),
    Column("conditions_before", JSON),
    Column("conditions_after", JSON),
    Column("trace_names", JSON),  # of the kernels, in execution order
    Column("trace_ns", LargeBinary),  # int64, (kernels, traced runs)
    Column("trace_instructions", JSON),  # of the kernels; null if the runner did not say
    Column("first_run_ns", BigInteger),
    Column("planned_bytes", BigInteger),
    Index(None, "device_serial", "asked_unix_ns", "id"),
)

measurements = Table(
    "measurements",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("job_id", String(32), ForeignKey("jobs.id"), nullable=False, unique=True),
    Column("unix_ns", BigInteger, nullable=False),
    Column("suspect", Boolean, nullable=False, server_default=false()),
    Column("is_excluded", Boolean, nullable=False, server_default=false()),
    # The job's target if its predictor may learn from the measurement, because it is neither a
    # sentinel's nor of sustained load. With it, counting a million measurements takes no join.
    Column("learned_target_id", String(16)),
    # When `latlab db compact` removed the kernels' times of each traced run, and the series of
    # runs: then they are empty in the visits, and summary and kernel timings stay for ever.
    Column("traces_removed_unix_ns", BigInteger),
    Column("samples_removed_unix_ns", BigInteger),
    Index(None, "learned_target_id", "suspect", "is_excluded"),
    Index(None, "unix_ns", "id"),
)

# Each time a measurement was excluded or included again. The newest row holds.
exclusions = Table(
    "exclusions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("measurement_id", String(32), ForeignKey("measurements.id"), nullable=False, index=True),
    Column("unix_ns", BigInteger, nullable=False),
    Column("is_excluded", Boolean, nullable=False),
    Column("why", Text, nullable=False),
)

# The summary of a measurement's visits by one version of the statistic, or why there is none.
# The daemon adds those that are missing.
summaries = Table(
    "summaries",
    metadata,
    Column("measurement_id", String(32), ForeignKey("measurements.id"), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("latency_ns", Double),
    Column("lower_ns", Double),
    Column("upper_ns", Double),
    Column("clean_visits", Integer),
    Column("visits", Integer),
    Column("median_ns", Double),
    Column("p90_ns", Double),
    Column("p99_ns", Double),
    Column("runs", Integer),
    Column("memory_probe_ns", Double),
    Column("traced_memory_probe_ns", Double),
    Column("unusable", Text, nullable=False),  # empty if there is a summary
    Index(None, "latency_ns", "measurement_id"),
)

# Mean time of each kernel over a measurement's traced runs, in the program's order.
kernel_timings = Table(
    "kernel_timings",
    metadata,
    Column("measurement_id", String(32), ForeignKey("measurements.id"), primary_key=True),
    Column("kernel_ids", LargeBinary, nullable=False),  # int64
    Column("mean_ns", LargeBinary, nullable=False),  # float64
)

failures = Table(
    "failures",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("job_id", String(32), ForeignKey("jobs.id"), nullable=False, unique=True),
    Column("unix_ns", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("message", Text, nullable=False),
)

# Fits of predictors, at most `refits.KEPT` for each target. The score is that of the predictor
# before it; null if there is none.
refits = Table(
    "refits",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("target_id", String(16), ForeignKey("targets.id"), nullable=False, index=True),
    Column("unix_ns", BigInteger, nullable=False),
    Column("measurements", Integer, nullable=False),
    Column("fit_s", Double, nullable=False),
    Column("predictor", String(64), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("versions", JSON, nullable=False),  # of libraries, by name
    Column("score_networks", Integer),
    Column("score_guessed", Integer),
    Column("score_mean_error", Double),
    Column("score_within_5pct", Double),
    Column("score_inside_interval", Double),
)

sentinels = Table(
    "sentinels",
    metadata,
    Column("target_id", String(16), ForeignKey("targets.id"), primary_key=True),
    Column("program_sha256", String(64), ForeignKey("programs.sha256"), nullable=False),
    Column("baseline_id", String(32), ForeignKey("measurements.id")),  # null until measured
)

baselines = Table(
    "baselines",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("program_sha256", String(64), ForeignKey("programs.sha256"), nullable=False),
    Column("unix_ns", BigInteger, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("device_serial", String(128), ForeignKey("devices.serial"), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("clock", String(36), nullable=False, server_default=""),  # as `lease_clock` names it
    Column("expires_ns", BigInteger, nullable=False),  # by that clock
)

database_id = Table("database_id", metadata, Column("id", String(32), primary_key=True))
