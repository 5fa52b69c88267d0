"""A database with a row in each table, and all that it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import select

from host.database import devices, jobs, programs, sentinels, stored_measurements
from host.database.engine import Database
from host.database.raw import columns
from host.database.schema import metadata
from host.predicting.summaries import Summarizer
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import Job
from tests.host.fake_lab import DEVICE, TARGET
from tests.host.stored_lab import SPEC, Stored, visit, write_ordinary

Rows = dict[str, list[dict[str, Any]]]

MEASUREMENTS = 4


def fill(database: Database, folder: Path) -> list[Stored]:
    """Write measurements, an open job with a visit, a failed job, and what people decided."""
    stored = write_ordinary(database, folder, MEASUREMENTS)
    Summarizer(database).complete()
    sha256 = stored[0].file.program.sha256
    with database.writing() as connection:
        for number, is_open in enumerate((True, False)):
            job = Job(f"{number:032}", TARGET.id, sha256, SPEC, 100 + number)
            jobs.add_job(connection, job)
            jobs.ask_visit(connection, f"run {number}", job.id, DEVICE.serial, False, 100)
            jobs.answer_visit(connection, f"run {number}", visit(1_000_000), 101)
            if not is_open:
                failure = Failure(FailureKind.CRASHED, "it crashed: naïve – 'quoted'")
                jobs.end_with_failure(connection, job, failure, 102)
        sentinels.pin(connection, sha256)
        sentinels.set_baseline(connection, TARGET.id, stored[0].id)
        programs.set_baseline(connection, "main", sha256, 5)
        stored_measurements.exclude(connection, stored[1].id, "a build ran", 7)
        assert devices.acquire_lease(connection, DEVICE.serial, "holder", 10**12) == 1
    return stored


def contents(database: Database) -> Rows:
    """Return all rows of all tables, by the table's name."""
    with database.reading() as connection:
        return {
            table.name: sorted(
                (dict(row._mapping) for row in connection.execute(select(*columns(table)))),
                key=str,
            )
            for table in metadata.sorted_tables
        }


def without_identity(rows: Rows) -> Rows:
    """Return the rows of all tables but the database's id and the leases."""
    return {name: each for name, each in rows.items() if name not in ("database_id", "leases")}
