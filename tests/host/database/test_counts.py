"""The numbers of measurements that predictors may learn from, in SQLite and PostgreSQL alike."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection, func, select, text

from host.database import devices, jobs, programs, sentinels, stored_measurements
from host.database.engine import Database
from host.database.measurements import TRUSTED
from host.database.schema import jobs as job_rows
from host.database.schema import measurements
from latlab.domain.benchmark_spec import SUSTAINED_NS, BenchmarkSpec, VisitSpec
from latlab.domain.errors import UnreadableRow
from latlab.domain.job import Job
from latlab.domain.program import Program, TensorSpec
from tests.host.fake_lab import TARGET

PROGRAM = Program("ab" * 32, 4, "xnnpack", (TensorSpec((1, 8)),), (), (), "test")
OTHER = replace(TARGET, threads=2)
SPECS = (
    BenchmarkSpec(),
    BenchmarkSpec(max_visits=9),
    BenchmarkSpec(visit=VisitSpec(warmup_ns=SUSTAINED_NS)),
)
MEASUREMENTS = 120


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    with database.writing() as connection:
        programs.add_program(connection, PROGRAM)
        for target in (TARGET, OTHER):
            devices.register_target(connection, target)
    yield database
    database.close()


def slow_counts(connection: Connection) -> dict[str, int]:
    """Count by joining each measurement to its job, whose spec is read."""
    query = (
        select(job_rows.c.target_id, job_rows.c.spec, func.count().label("measured"))
        .join(measurements, measurements.c.job_id == job_rows.c.id)
        .where(TRUSTED)
        .group_by(job_rows.c.target_id, job_rows.c.spec)
    )
    counts: Counter[str] = Counter()
    for row in connection.execute(query):
        with contextlib.suppress(UnreadableRow):
            if not jobs.spec_from_text(row.spec).visit.is_sustained:
                counts[row.target_id] += row.measured
    return dict(counts)


def measure(database: Database) -> None:
    """Store measurements of every kind, in a random order."""
    rng = random.Random(0)
    with database.writing() as connection:
        for number in range(MEASUREMENTS):
            target, spec = rng.choice((TARGET, OTHER)), rng.choice(SPECS)
            is_sentinel = rng.random() < 0.2
            job = Job(f"{number:032}", target.id, PROGRAM.sha256, spec, number, is_sentinel)
            jobs.add_job(connection, job)
            suspect = rng.random() < 0.2
            jobs.end_with_measurement(connection, job, job.id, None, number, suspect)
            if rng.random() < 0.3:
                stored_measurements.exclude(connection, job.id, "why", 1)
                if rng.random() < 0.5:
                    stored_measurements.include(connection, job.id, 2)
            if rng.random() < 0.1:
                sentinels.mark_suspect(connection, job.id)


def test_they_equal_those_of_the_slow_query(database: Database) -> None:
    with database.reading() as connection:
        assert devices.measurement_counts(connection) == {}
    measure(database)
    with database.reading() as connection:
        counts = devices.measurement_counts(connection)
        assert counts == slow_counts(connection)
    assert counts.keys() == {TARGET.id, OTHER.id}
    assert 0 < sum(counts.values()) < MEASUREMENTS


def test_they_need_no_row_of_a_table(database: Database) -> None:
    if database.engine.dialect.name != "sqlite":
        pytest.skip("the plan of PostgreSQL depends on its statistics")
    measure(database)
    statements: list[str] = []
    with database.reading() as connection:
        recorded = connection.connection.driver_connection
        assert recorded is not None
        recorded.set_trace_callback(statements.append)
        devices.measurement_counts(connection)
        recorded.set_trace_callback(None)
        [query] = [each for each in statements if each.startswith("SELECT")]
        plan = [str(row) for row in connection.execute(text(f"EXPLAIN QUERY PLAN {query}"))]
    assert len(plan) == 1
    assert "COVERING INDEX ix_measurements_learned_target_id" in plan[0]


def test_a_database_of_an_older_version_counts_as_before(database: Database) -> None:
    """The migration fills the column."""
    measure(database)
    from alembic import command

    from host.database.connections import opening

    config = opening.migrations()
    with database.engine.begin() as connection:
        expected = slow_counts(connection)
        connection.execute(text("DROP INDEX ix_measurements_learned_target_id_suspect_is_excluded"))
        for name in ("learned_target_id", "traces_removed_unix_ns", "samples_removed_unix_ns"):
            connection.execute(text(f"ALTER TABLE measurements DROP COLUMN {name}"))
        config.attributes["connection"] = connection
        command.stamp(config, "0014", purge=True)
        command.upgrade(config, "0015")
        assert devices.measurement_counts(connection) == expected
