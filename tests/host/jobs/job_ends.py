from __future__ import annotations

from sqlalchemy import text

from host.database.engine import Database
from host.home.paths import LabHome


def ends_of_jobs(home: LabHome) -> dict[str, int]:
    """How often each job has ended, as a Measurement or a Failure."""
    database = Database(home.database_url)
    with database.reading() as connection:
        rows = connection.execute(
            text(
                "SELECT jobs.id, (SELECT count(*) FROM measurements WHERE job_id = jobs.id)"
                " + (SELECT count(*) FROM failures WHERE job_id = jobs.id) FROM jobs"
            )
        ).all()
    database.close()
    return {row[0]: row[1] for row in rows}
