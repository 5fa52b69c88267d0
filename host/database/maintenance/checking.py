"""Check that the database is whole, and that what it says fits together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from host.database.engine import Database
from host.database.maintenance.measurement_checks import findings_of_measurements
from host.database.maintenance.program_checks import findings_of_programs
from host.database.maintenance.sqlite_files import broken_references, problems
from host.database.schema import failures, jobs, measurements
from host.database.summaries import Statistic
from latlab.domain.database.maintenance import DatabaseFinding, Progress

JOBS_A_PAGE = 5_000
MAX_DAMAGE = 100  # lines of SQLite's own checks
RESTORE = "restore a backup: `latlab lab down`, then `latlab db restore FILE`"
MEASURE_AGAIN = (
    "measure its network again; the lab never writes this, so the database was edited or damaged"
)


def check(
    database: Database, programs: Path, statistic: Statistic
) -> Iterator[Progress | DatabaseFinding]:
    """Yield what is wrong with the database, and how far the check is.

    Rows are read page by page, each in a short transaction, so a lab may go on meanwhile.

    Args:
        database: The database.
        programs: The folder of the programs' files.
        statistic: By which the stored summaries are computed again.

    Raises:
        StorageError: The database cannot be read at all.
    """
    if database.engine.dialect.name == "sqlite":
        yield from _damage(Path(database.engine.url.database or ""))
    yield from _jobs(database)
    yield from findings_of_measurements(database, statistic)
    yield from findings_of_programs(database, programs)


def _damage(file: Path) -> Iterator[Progress | DatabaseFinding]:
    yield Progress("checking the file", 0, 2)
    for line in problems(file, MAX_DAMAGE):
        yield DatabaseFinding("damaged file", file.name, line, RESTORE)
    yield Progress("checking the file", 1, 2)
    for table, row_id, parent in broken_references(file, MAX_DAMAGE):
        yield DatabaseFinding(
            "broken reference",
            f"row {row_id} of {table}",
            f"it refers to a row of {parent} that does not exist",
            RESTORE,
        )
    yield Progress("checking the file", 2, 2)


def _jobs(database: Database) -> Iterator[Progress | DatabaseFinding]:
    """A job that ended has one measurement or failure. An open one has none."""
    page = (
        select(
            jobs.c.id,
            jobs.c.ended_unix_ns,
            measurements.c.id.label("measurement_id"),
            failures.c.id.label("failure_id"),
        )
        .outerjoin(measurements, measurements.c.job_id == jobs.c.id)
        .outerjoin(failures, failures.c.job_id == jobs.c.id)
        .order_by(jobs.c.id)
        .limit(JOBS_A_PAGE)
    )
    with database.reading() as connection:
        total = connection.scalar(select(func.count()).select_from(jobs)) or 0
    done, last_id = 0, ""
    yield Progress("checking jobs", done, total)
    while True:
        with database.reading() as connection:
            rows = connection.execute(page.where(jobs.c.id > last_id)).all()
        if not rows:
            return
        for row in rows:
            if problem := _job_problem(row):
                yield DatabaseFinding("wrong end of a job", f"job {row.id}", problem, MEASURE_AGAIN)
        done, last_id = done + len(rows), rows[-1].id
        yield Progress("checking jobs", done, max(done, total))


def _job_problem(row: Any) -> str:  # noqa: ANN401 -- a row of four columns
    outcomes = (row.measurement_id is not None) + (row.failure_id is not None)
    if row.ended_unix_ns is None:
        return "it is open, and has an outcome already" if outcomes else ""
    if outcomes == 2:
        return "it ended with a measurement and with a failure"
    return "" if outcomes else "it ended with neither a measurement nor a failure"
