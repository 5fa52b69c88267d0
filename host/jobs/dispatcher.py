"""Hand the open jobs, which clients submit, to the workers of devices."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from contextlib import nullcontext
from uuid import uuid4

from host.database.engine import Database
from host.database.owners.job_requests import JobRequest
from host.jobs.events import EventQueue, JobEvent, Listeners, progress_event
from host.jobs.idle_workers import IdleWorkers
from host.jobs.job_state import JobState, OpenJobs, WaitingOwner
from host.jobs.overdue import OverdueJobs, why_overdue
from host.jobs.owners.owner_use import OwnerUse
from host.jobs.queue import JobQueue
from host.jobs.records import JobRecords
from host.jobs.restoring import load_open_jobs
from host.jobs.routes import Routes
from host.jobs.wait_reasons import QueuePosition, position
from host.measuring.stopping import NextVisit
from latlab.domain.access.limits import UNLIMITED, OwnerLimits
from latlab.domain.access.token import LOCAL_OWNER
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import Job
from latlab.domain.measurement import Measurement, Visit
from latlab.domain.program import Program


class Dispatcher:
    """The open jobs, shared by the services and the workers of devices.

    A change is written to the database before it can be seen here.

    Args:
        database: Where the jobs are stored.
        on_measured: Called with the target's id after each new measurement.
        limits: How many jobs and how much device time each owner may use.

    Attributes:
        on_end: Called with a job's id when it has ended for one or all of its owners.
        use: What each owner uses.
    """

    def __init__(
        self,
        database: Database,
        on_measured: Callable[[str], None] = lambda target_id: None,
        limits: OwnerLimits = UNLIMITED,
    ) -> None:
        self.use = OwnerUse(limits)
        self._on_measured = on_measured
        self.on_end: Callable[[str], None] = lambda job_id: None
        self._records = JobRecords(database)
        self._overdue = OverdueJobs(database)
        self._submitting = threading.Lock()  # held while the database writes, unlike the next
        self._lock = threading.Lock()
        self._idle = IdleWorkers(self._lock)
        self._listeners = Listeners()
        self._open = OpenJobs()
        self._queue = JobQueue()
        self.routes = Routes()
        for state in load_open_jobs(database):
            self._add(state)

    def submit(
        self,
        target_id: str,
        program_sha256: str,
        spec: BenchmarkSpec,
        listener: EventQueue | None,
        priority: int = 0,
        owner: str = LOCAL_OWNER,
        request: JobRequest | None = None,
    ) -> Job:
        """Join an open job for the same measurement, or else open one, and return it.

        Args:
            target_id: Where the program is measured.
            program_sha256: SHA-256 of the program.
            spec: How it is measured.
            listener: Receives the job's events, and takes turns with others. None: the owner
                waits for the job without a stream.
            priority: That of a job that is open already may rise.
            owner: Who asks for the job.
            request: The request, if it came with an id.

        Raises:
            NotFound: The program was never uploaded.
            LimitReached: The owner has too many open jobs, or has used up the device time.
            sqlalchemy.exc.IntegrityError: The request was answered before.
        """
        client = WaitingOwner(owner) if listener is None else listener
        with self._submitting:
            with self._lock:
                known = self._open.requested(target_id, program_sha256, spec)
                self.use.check_job(owner, "" if known is None else known.job.id)
                if known is not None:
                    self._listeners.add(known.job.id, listener)
            if known is not None:
                if listener is None or owner not in known.owners:
                    self._records.join(known.job.id, owner, waits=listener is None, request=request)
                return self._join(known, client, priority, owner)
            job = Job(uuid4().hex, target_id, program_sha256, spec, time.time_ns(), False, priority)
            program = self._records.open(job, owner, waits=listener is None, request=request)
            with self._lock:
                self._listeners.add(job.id, listener)
                self._add(JobState(job, program, clients={client}, owners={owner}))
                self._idle.wake_one(target_id)
            return job

    def withdraw(self, state: JobState, owner: str) -> None:
        """End the job for one of its owners; altogether if no other owner waits for it."""
        with self._submitting:  # nobody joins it meanwhile
            if not state.owners - {owner}:
                return self.end(state, Failure(FailureKind.CANCELLED, "it was cancelled"))
            self._records.withdraw(state.job, owner)
            with self._lock:
                state.owners.discard(owner)
                self.use.left(state.job.id, owner)
                if WaitingOwner(owner) in state.clients:
                    self._queue.leave(state, WaitingOwner(owner))
        self.on_end(state.job.id)

    def unsubscribe(self, listener: EventQueue, *, pause: bool = False) -> None:
        """Send the client no more events of its jobs, which stay open.

        With `pause`, those that no other client waits for make no more visits until one does.
        """
        with self._lock:
            self._listeners.remove(listener)
            paused_ns = time.monotonic_ns() if pause else 0
            self._queue.forget(listener, self._open.all(), paused_ns)

    def leave(self, device_serial: str, why: Failure, patience_s: float = 0.0) -> None:
        """Take a device's jobs away from it, unless a route has led to it in the last `patience_s`.

        The runs that it was asked for have failed, and other devices may try. Jobs of its targets
        that no other device serves end with `why`. A second call ends jobs opened since.
        """
        abandoned = self.routes.abandon(device_serial, patience_s)
        if abandoned is not None:
            self.give_up(device_serial, why)
            for state in self.open_states(abandoned):
                self.end(state, why)

    def give_up(self, device_serial: str, why: Failure) -> None:
        """Let the runs fail that the device has not answered. Other devices may try again."""
        with self._lock:
            asked = self._queue.take_asked(device_serial)
        for state, run_id in asked:
            self.answer(state, run_id, why)
            self.put_back(state)

    def give_up_absent(self) -> None:
        """Give up devices that were asked for a run before a restart and did not join since."""
        with self._lock:
            absent = set(self._queue.devices_asked()) - self.routes.expected()
        for serial in absent:
            why = f"{serial} has not come back since the lab was restarted"
            self.give_up(serial, Failure(FailureKind.DEVICE_LOST, why))

    def take(
        self, device_serial: str, target_ids: Collection[str], timeout_s: float
    ) -> JobState | None:
        """Wait for the next job for the device; None if there was none in time.

        No other device gets the job until it is put back.
        """
        with self._lock:
            state = self._queue.take(device_serial, target_ids, time.monotonic_ns())
            if state is None:
                rest_ns = self._queue.next_rested_ns(target_ids) - time.monotonic_ns()
                rest_s = min(timeout_s, max(0.0, rest_ns / 1e9))
                self._idle.wait(device_serial, target_ids, rest_s)
                state = self._queue.take(device_serial, target_ids, time.monotonic_ns())
            return state

    def put_back(self, state: JobState) -> None:
        """Let any device take the job again."""
        with self._lock:
            self._queue.put_back(state)
            self._idle.wake_one(state.job.target_id)

    def upcoming(self, target_ids: Collection[str]) -> list[Program]:
        """Return the programs of jobs whose turn comes soon and that were never visited."""
        with self._lock:
            return self._queue.upcoming(target_ids)

    def rest(self, state: JobState, until_ns: int) -> None:
        """Give the job no visit until `until_ns`, a time of `time.monotonic_ns`."""
        with self._lock:
            state.rests_until_ns = until_ns

    def open_sentinel(self, target_id: str, program: Program, spec: BenchmarkSpec) -> JobState:
        """Open a job of a sentinel for the caller alone. No worker is offered it."""
        return self._records.open_sentinel(target_id, program, spec)

    def ask(self, state: JobState, needed: NextVisit, device_serial: str) -> str:
        """Record that a run is about to be asked for, and return its run_id."""
        run_id = self._records.ask(state.job, needed, device_serial)
        self._overdue.asked(state.job.target_id)
        with self._lock:
            state.ask(run_id, needed, device_serial)
        return run_id

    def answer(self, state: JobState, run_id: str, outcome: Visit | Failure) -> None:
        """Record the outcome of a run of the job."""
        self._records.answer(run_id, outcome)
        with self._lock:
            self.use.visited(state.job.id, state.asked_for_s())
            state.answer(outcome)
            self._listeners.tell(state.job.id, progress_event(state))

    def end(self, state: JobState, failure: Failure) -> None:
        """End the job with `failure`, unless another lab on this database has ended it."""
        self._ended(state.job, self._records.end(state.job, failure))

    def complete(self, state: JobState, kernel_ns: Sequence[float] | None) -> Measurement:
        """End the job with its visits' measurement, unless another lab has ended it. Return it."""
        measurement, outcome = self._records.complete(state, kernel_ns)
        self._ended(state.job, outcome)
        self._on_measured(state.job.target_id)
        return measurement

    def end_overdue(self, max_age_ns: float) -> None:
        """End the jobs for which nothing was measured on their target for too long."""
        for state in self._overdue.find(self.all_states(), max_age_ns):
            self.end(state, why_overdue(state, max_age_ns))

    def suspect(self, target_id: str) -> None:
        """Mark the target's open jobs that have visits. Their measurements will be suspect."""
        for state in self.open_states([target_id]):
            state.suspect |= bool(state.visits)

    def all_states(self) -> list[JobState]:
        """Return the states of all open jobs."""
        with self._lock:
            return self._open.all()

    def open_states(self, target_ids: Iterable[str]) -> list[JobState]:
        """Return the states of the open jobs of some targets."""
        with self._lock:
            return [state for id in target_ids for state in self._open.of_target(id)]

    def count_open(self, target_ids: Iterable[str]) -> int:
        """Count the open jobs of some targets that are not paused."""
        return sum(not state.is_paused for state in self.open_states(target_ids))

    def find(self, job_id: str, *, waits: bool = False) -> JobState | None:
        """Return an open job's state, or None. `waits`: for jobs that are being opened."""
        with self._submitting if waits else nullcontext(), self._lock:
            return self._open.get(job_id)

    def position(self, state: JobState) -> QueuePosition:
        """Return the position of an open job."""
        with self._lock:
            return position(state, self._queue)

    def programs_in_use(self) -> set[str]:
        """Return the SHA-256 of the programs that jobs, the sentinel or the baselines need."""
        kept = self._records.kept_programs()
        return kept.union(state.job.program_sha256 for state in self.all_states())

    def _join(self, state: JobState, client: Hashable, priority: int, owner: str) -> Job:
        if priority > state.job.priority:
            self._records.set_priority(state.job, priority)
        with self._lock:
            # It may have ended in between; then a listener has its outcome.
            if self._open.get(state.job.id) is state:
                state.owners.add(owner)
                self.use.opened(state.job.id, owner)
                self._queue.join(state, client, priority)
                self._idle.wake_one(state.job.target_id)
                if state.visits and isinstance(client, EventQueue):
                    client.put(progress_event(state))
            return state.job

    def _add(self, state: JobState) -> None:
        self.use.opened(state.job.id, *state.owners)
        self._open.add(state)
        self._queue.add(state)

    def _ended(self, job: Job, outcome: Measurement | Failure) -> None:
        with self._lock:
            if (state := self._open.remove(job)) is not None:  # None: the job is a sentinel's
                self._queue.remove(state)
                self.use.ended(job.id)
            self._listeners.end(job.id, JobEvent(job.program_sha256, outcome))
        self.on_end(job.id)
