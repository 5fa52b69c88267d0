"""Write jobs to the database, one transaction per method."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence

from sqlalchemy import Connection

from host.database import jobs as job_rows
from host.database import measurements as measurement_rows
from host.database import programs as program_rows
from host.database import sentinels as sentinel_rows
from host.database.engine import Database
from host.database.owners import job_owners, job_requests
from host.database.owners.job_requests import JobRequest
from host.database.summaries import put_summary
from host.jobs.job_state import JobState
from host.measuring import statistics
from host.measuring.stopping import NextVisit
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import NotFound
from latlab.domain.failure import Failure
from latlab.domain.job import Job
from latlab.domain.measurement import Measurement, Visit
from latlab.domain.program import Program


class JobRecords:
    """The jobs in a database. Every method raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(
        self, job: Job, owner: str, *, waits: bool = False, request: JobRequest | None = None
    ) -> Program:
        """Store a new job with its first owner, and return its program.

        Args:
            job: The job.
            owner: Who asks for it.
            waits: Whether the owner waits for it without a stream.
            request: The request, if it came with an id.

        Raises:
            NotFound: The program was never uploaded.
            sqlalchemy.exc.IntegrityError: The request was answered before.
        """
        with self._database.reading() as connection:
            program = program_rows.get_program(connection, job.program_sha256)
        if program is None:
            raise NotFound(f"no program {job.program_sha256[:12]} was uploaded: upload it first")
        with self._database.writing() as connection:
            job_rows.add_job(connection, job)
            _ask(connection, job.id, owner, waits, request)
        return program

    def join(
        self, job_id: str, owner: str, *, waits: bool = False, request: JobRequest | None = None
    ) -> None:
        """Store that one more owner asks for a job, which may have ended. Args as for `open`."""
        with self._database.writing() as connection:
            _ask(connection, job_id, owner, waits, request)

    def withdraw(self, job: Job, owner: str) -> None:
        """Store that an owner has cancelled a job, which goes on for others."""
        with self._database.writing() as connection:
            job_owners.end_for_one(connection, job.id, owner, time.time_ns())

    def open_sentinel(self, target_id: str, program: Program, spec: BenchmarkSpec) -> JobState:
        """Store and return a sentinel's job for the caller alone: no worker is offered it."""
        sha256, now_unix_ns = program.sha256, time.time_ns()
        job = Job(uuid.uuid4().hex, target_id, sha256, spec, now_unix_ns, is_sentinel=True)
        with self._database.writing() as connection:
            job_rows.add_job(connection, job)
        return JobState(job, program)

    def set_priority(self, job: Job, priority: int) -> None:
        """Store a job's new priority."""
        with self._database.writing() as connection:
            job_rows.set_priority(connection, job.id, priority)

    def ask(self, job: Job, needed: NextVisit, device_serial: str) -> str:
        """Record that a run is about to be asked for, and return its run_id."""
        run_id = uuid.uuid4().hex
        with self._database.writing() as connection:
            job_rows.ask_visit(
                connection, run_id, job.id, device_serial, needed.traced, time.time_ns()
            )
        return run_id

    def answer(self, run_id: str, outcome: Visit | Failure) -> None:
        """Store the outcome of a run."""
        with self._database.writing() as connection:
            job_rows.answer_visit(connection, run_id, outcome, time.time_ns())

    def end(self, job: Job, failure: Failure) -> Measurement | Failure:
        """End the job with `failure`, and return how it ended: another lab may have been first."""
        with self._database.writing() as connection:
            if job_rows.end_with_failure(connection, job, failure, time.time_ns()):
                job_owners.end_for_owners(connection, job.id)
                return failure
            return measurement_rows.outcome_of(connection, job.id)

    def complete(
        self, state: JobState, kernel_ns: Sequence[float] | None
    ) -> tuple[Measurement, Measurement | Failure]:
        """End the job with the measurement of its visits.

        Returns that measurement, and how the job ended: another lab may have been first.
        """
        job = state.job
        measurement = Measurement(
            id=uuid.uuid4().hex,
            target_id=job.target_id,
            program_sha256=job.program_sha256,
            spec=job.spec,
            unix_ns=time.time_ns(),
            visits=tuple(state.visits),
            suspect=state.suspect,
        )
        summary = statistics.summary_or_reason(state.visits)
        with self._database.writing() as connection:
            if not job_rows.end_with_measurement(
                connection, job, measurement.id, kernel_ns, measurement.unix_ns, state.suspect
            ):
                return measurement, measurement_rows.outcome_of(connection, job.id)
            put_summary(connection, measurement.id, statistics.VERSION, summary)
            job_owners.end_for_owners(connection, job.id)
        return measurement, measurement

    def kept_programs(self) -> set[str]:
        """Return the SHA-256 of the programs of the sentinel and of the baselines."""
        with self._database.reading() as connection:
            pinned = sentinel_rows.pinned_program(connection)
            baselines = program_rows.stored_baselines(connection)
        kept = {baseline.program_sha256 for baseline in baselines}
        return kept if pinned is None else kept | {pinned}


def _ask(
    connection: Connection, job_id: str, owner: str, waits: bool, request: JobRequest | None
) -> None:
    now_unix_ns = time.time_ns()
    job_owners.add_owner(connection, job_id, owner, waits=waits, now_unix_ns=now_unix_ns)
    if request is not None:
        job_requests.add_request(connection, request, job_id, now_unix_ns)
