"""Read jobs that have ended."""

from __future__ import annotations

from sqlalchemy import Connection, select

from host.database.jobs import job_from_row
from host.database.schema import jobs, measurements
from latlab.domain.job import Job


def get_ended_job(connection: Connection, job_id: str) -> tuple[Job, int] | None:
    """Return a job that has ended, and when; None if there is none. Raises UnreadableRow."""
    query = select(jobs).where(jobs.c.id == job_id, jobs.c.ended_unix_ns.is_not(None))
    row = connection.execute(query).one_or_none()
    return None if row is None else (job_from_row(row), row.ended_unix_ns)


def job_of_measurement(connection: Connection, measurement_id: str) -> str:
    """Return the id of the job that ended with a measurement."""
    query = select(measurements.c.job_id).where(measurements.c.id == measurement_id)
    return str(connection.execute(query).scalar_one())
