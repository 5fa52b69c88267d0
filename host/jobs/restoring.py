"""Load the open jobs from the database when the daemon starts."""

from __future__ import annotations

import functools
import logging
import time

from host.database import jobs as job_rows
from host.database import programs as program_rows
from host.database.engine import Database
from host.database.owners import job_owners
from host.jobs.job_state import JobState, WaitingOwner
from host.jobs.overdue import monotonic_ns
from host.measuring.stopping import NextVisit
from latlab.domain.checks.visit import visit_fault
from latlab.domain.errors import UnreadableRow
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Visit

log = logging.getLogger(__name__)


def load_open_jobs(database: Database) -> list[JobState]:
    """Return every open job as the last daemon left it.

    A job that cannot be read, or whose program cannot be read, ends with a Failure that says so.
    """
    with database.writing() as connection:
        for reason in job_rows.end_unreadable(connection, time.time_ns()):
            log.warning("%s: the job has ended", reason)
        get_program = functools.cache(functools.partial(program_rows.get_program, connection))
        states: dict[str, JobState] = {}
        for job in job_rows.open_jobs(connection):
            try:
                program = get_program(job.program_sha256)
            except UnreadableRow as error:
                why = Failure(FailureKind.AGENT_ERROR, f"{error}: measure the network again")
                job_rows.end_with_failure(connection, job, why, time.time_ns())
                log.warning("job %s has ended: %s", job.id, error)
                continue
            if program is None:
                raise AssertionError("a job's program is missing, although a foreign key holds it")
            states[job.id] = JobState(job, program, opened_ns=monotonic_ns(job.created_unix_ns))
        job_owners.end_missing(connection)  # of those that were ended just now
        for job_id, owners in job_owners.owners_of_open_jobs(connection).items():
            if (state := states.get(job_id)) is not None:
                state.owners.update(each.owner for each in owners)
                state.clients.update(WaitingOwner(each.owner) for each in owners if each.waits)
        for asked, outcome in job_rows.visits_of_open_jobs(connection):
            if (state := states.get(asked.job_id)) is None:
                continue
            if isinstance(outcome, Visit) and (fault := visit_fault(outcome)):
                outcome = Failure(
                    FailureKind.AGENT_ERROR, f"a stored visit makes no sense: {fault}"
                )
            if isinstance(outcome, Visit):
                state.visits.append(outcome)
            elif isinstance(outcome, Failure):
                state.failures.append(outcome)
            else:
                state.asked = (asked.run_id, NextVisit(asked.traced))
                state.device_serial = asked.device_serial
    return list(states.values())
