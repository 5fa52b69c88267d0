"""The open jobs, shared by the services that submit them and the workers that do them."""

from __future__ import annotations

import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from host import sentinel
from host.database import jobs as job_rows
from host.database import measurements as measurement_rows
from host.database import programs as program_rows
from host.database import sentinels as sentinel_rows
from host.database.engine import Database
from host.domain import BenchmarkSpec, Failure, Job, Measurement, Program, Visit
from host.errors import NotFound
from host.scheduler import JobState, choose, next_rested, upcoming
from host.summary import NextVisit


@dataclass(frozen=True, slots=True)
class Progress:
    visits_done: int


@dataclass(frozen=True, slots=True)
class JobEvent:
    program_sha256: str
    event: Progress | Measurement | Failure


class Listener(Protocol):
    """A queue without a bound: putting never waits."""

    def put(self, event: JobEvent, /) -> None: ...


class JobBoard:
    """Memory follows the database: a change is written before it is seen here."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed = threading.Condition()
        self._listeners: dict[str, list[Listener]] = defaultdict(list)
        with database.reading() as connection:
            open_jobs = job_rows.open_jobs(connection)
        self._states = {job.id: self._load(job) for job in open_jobs}
        self._open = {_request(job): job for job in open_jobs}

    def submit(
        self, target_id: str, program_sha256: str, spec: BenchmarkSpec, listener: Listener
    ) -> Job:
        """Joins an open job for the same, else opens one. Its events go to `listener`.

        Raises NotFound for a program that was never uploaded.
        """
        with self._changed:
            if (known := self._open.get((target_id, program_sha256, spec))) is not None:
                self._listeners[known.id].append(listener)
                return known
            job = Job(uuid.uuid4().hex, target_id, program_sha256, spec, time.time_ns())
            with self._database.reading() as connection:
                program = program_rows.get_program(connection, program_sha256)
            if program is None:
                raise NotFound(f"no program {program_sha256[:12]} was uploaded")
            with self._database.writing() as connection:
                job_rows.add_job(connection, job)
            self._states[job.id] = JobState(job, program)
            self._open[_request(job)] = job
            self._listeners[job.id].append(listener)
            self._changed.notify_all()
            return job

    def unsubscribe(self, listener: Listener) -> None:
        with self._changed:
            for listeners in self._listeners.values():
                if listener in listeners:
                    listeners.remove(listener)

    def take(self, target_ids: Collection[str], timeout_s: float) -> JobState | None:
        """The next job for a device that serves `target_ids`, its caller's until it is put
        back; None when none came."""
        with self._changed:
            if (state := choose(self._states.values(), target_ids, time.time_ns())) is None:
                rested_unix_ns = next_rested(self._states.values(), target_ids)
                self._changed.wait(min(timeout_s, max(0.0, rested_unix_ns - time.time_ns()) / 1e9))
                state = choose(self._states.values(), target_ids, time.time_ns())
            if state is not None:
                state.taken = True
            return state

    def put_back(self, state: JobState) -> None:
        with self._changed:
            state.taken = False
            self._changed.notify_all()

    def upcoming(self, target_ids: Collection[str]) -> list[Program]:
        with self._changed:
            return upcoming(self._states.values(), target_ids)

    def rest(self, state: JobState, until_unix_ns: int) -> None:
        with self._changed:
            state.rests_until_unix_ns = until_unix_ns

    def open_sentinel(self, target_id: str, program: Program) -> JobState:
        """A job for its caller alone: no worker is offered it."""
        job = Job(
            uuid.uuid4().hex,
            target_id,
            program.sha256,
            sentinel.SPEC,
            time.time_ns(),
            is_sentinel=True,
        )
        with self._database.writing() as connection:
            job_rows.add_job(connection, job)
        return JobState(job, program)

    def ask(self, state: JobState, needed: NextVisit, device_serial: str) -> str:
        """Records that a run is about to be asked for; its run_id."""
        run_id, now_unix_ns = uuid.uuid4().hex, time.time_ns()
        with self._database.writing() as connection:
            job_rows.ask_visit(
                connection, run_id, state.job.id, device_serial, needed.traced, now_unix_ns
            )
        with self._changed:
            state.asked = (run_id, needed)
            state.last_asked_unix_ns = now_unix_ns
        return run_id

    def answer(self, state: JobState, run_id: str, outcome: Visit | Failure) -> None:
        with self._database.writing() as connection:
            job_rows.answer_visit(connection, run_id, outcome, time.time_ns())
        with self._changed:
            state.asked = None
            if isinstance(outcome, Visit):
                state.visits.append(outcome)
            else:
                state.failures.append(outcome)
            self._tell(state.job, Progress(len(state.visits)))

    def end(self, state: JobState, failure: Failure) -> None:
        with self._database.writing() as connection:
            job_rows.end_with_failure(connection, state.job, failure, time.time_ns())
        self._ended(state.job, failure)

    def complete(self, state: JobState, kernel_ns: Sequence[float] | None) -> Measurement:
        measurement_id = uuid.uuid4().hex
        with self._database.writing() as connection:
            job_rows.end_with_measurement(
                connection, state.job, measurement_id, kernel_ns, time.time_ns(), state.suspect
            )
            measurement = measurement_rows.get_measurement(connection, measurement_id)
        if measurement is None:
            raise AssertionError("a row that was just written is there")
        self._ended(state.job, measurement)
        return measurement

    def suspect(self, target_id: str) -> None:
        """The visits made so far for the target's open jobs, and so their measurements."""
        with self._changed:
            for state in self._states.values():
                if state.job.target_id == target_id:
                    state.suspect |= bool(state.visits)

    def open_states(self, target_ids: Collection[str]) -> list[JobState]:
        with self._changed:
            return [s for s in self._states.values() if s.job.target_id in target_ids]

    def programs_in_use(self) -> set[str]:
        with self._database.reading() as connection:
            pinned = sentinel_rows.pinned_program(connection)
        with self._changed:
            jobs = {state.job.program_sha256 for state in self._states.values()}
        return jobs if pinned is None else jobs | {pinned}

    def _ended(self, job: Job, outcome: Measurement | Failure) -> None:
        with self._changed:
            if self._states.pop(job.id, None) is not None:
                self._open.pop(_request(job), None)
            self._tell(job, outcome)
            self._listeners.pop(job.id, None)

    def _tell(self, job: Job, event: Progress | Measurement | Failure) -> None:
        for listener in self._listeners[job.id]:
            listener.put(JobEvent(job.program_sha256, event))

    def _load(self, job: Job) -> JobState:
        with self._database.reading() as connection:
            program = program_rows.get_program(connection, job.program_sha256)
            answered = job_rows.answered_visits(connection, job.id)
            asked = job_rows.asked_visits(connection, job.id)
        if program is None:
            raise AssertionError("a job's program is held by a foreign key")
        return JobState(
            job=job,
            program=program,
            visits=[outcome for outcome in answered if isinstance(outcome, Visit)],
            failures=[outcome for outcome in answered if isinstance(outcome, Failure)],
            asked=(asked[-1][0], NextVisit(asked[-1][1])) if asked else None,
        )


def _request(job: Job) -> tuple[str, str, BenchmarkSpec]:
    """What makes two requests the same job while it is open."""
    return job.target_id, job.program_sha256, job.spec
