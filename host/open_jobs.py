"""The open jobs as the database has them, when the daemon starts."""

from __future__ import annotations

import functools

from host.database import jobs as job_rows
from host.database import programs as program_rows
from host.database.engine import Database
from host.domain import Failure, Visit
from host.scheduler import JobState
from host.summary import NextVisit


def load_open_jobs(database: Database) -> list[JobState]:
    """Every open job, as the daemon before left it."""
    with database.reading() as connection:
        get_program = functools.cache(functools.partial(program_rows.get_program, connection))
        states: dict[str, JobState] = {}
        for job in job_rows.open_jobs(connection):
            program = get_program(job.program_sha256)
            if program is None:
                raise AssertionError("a job's program is held by a foreign key")
            states[job.id] = JobState(job, program)
        for asked, outcome in job_rows.visits_of_open_jobs(connection):
            state = states[asked.job_id]
            if isinstance(outcome, Visit):
                state.visits.append(outcome)
            elif isinstance(outcome, Failure):
                state.failures.append(outcome)
            else:
                state.asked = (asked.run_id, NextVisit(asked.traced))
                state.device_serial = asked.device_serial
    return list(states.values())
