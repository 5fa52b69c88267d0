"""The open jobs, shared by the services that submit them and the workers that do them."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from host.database.engine import Database
from host.jobs.events import JobEvent, Listener, Progress
from host.jobs.job_state import JobState
from host.jobs.queue import JobQueue, rank
from host.jobs.records import JobRecords
from host.jobs.restoring import load_open_jobs
from host.jobs.wait_reasons import Place
from host.measuring.stopping import NextVisit
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import Job
from latlab.domain.measurement import Measurement, Visit
from latlab.domain.program import Program


@dataclass(frozen=True, slots=True)
class _Idle:
    """A worker that waits for a job of one of these targets."""

    offered: threading.Condition
    target_ids: Collection[str]


class JobBoard:
    """Memory follows the database: a change is written before it is seen here."""

    def __init__(self, database: Database) -> None:
        self._records = JobRecords(database)
        self._submitting = threading.Lock()  # held while the database writes, unlike the next
        self._lock = threading.Lock()
        self._idle: dict[str, _Idle] = {}  # by the device's serial
        self._listeners: dict[str, list[Listener]] = defaultdict(list)
        self._open: dict[tuple[str, str, BenchmarkSpec], JobState] = {}
        self._states: dict[str, dict[str, JobState]] = defaultdict(dict)  # by target, by job
        self._queue = JobQueue()
        self._served: dict[str, frozenset[str]] = {}  # targets, by the device's serial
        for state in load_open_jobs(database):
            self._add(state)

    def submit(
        self,
        target_id: str,
        program_sha256: str,
        spec: BenchmarkSpec,
        listener: Listener,
        priority: int = 0,
    ) -> Job:
        """Joins an open job for the same, whose priority then may rise; else opens one. Its
        events go to `listener`, which is the client that takes turns with others.

        Raises NotFound for a program that was never uploaded.
        """
        with self._submitting:
            with self._lock:
                if (known := self._open.get((target_id, program_sha256, spec))) is not None:
                    self._listeners[known.job.id].append(listener)
            if known is not None:
                return self._join(known, listener, priority)
            job = Job(
                uuid.uuid4().hex,
                target_id,
                program_sha256,
                spec,
                time.time_ns(),
                priority=priority,
            )
            program = self._records.open(job)
            with self._lock:
                self._listeners[job.id].append(listener)
                self._add(JobState(job, program, clients={listener}))
                self._wake_one(target_id)
            return job

    def unsubscribe(self, listener: Listener) -> None:
        with self._lock:
            for listeners in self._listeners.values():
                if listener in listeners:
                    listeners.remove(listener)
            for state in self._open.values():
                if listener in state.clients:
                    self._queue.leave(state, listener)
            self._queue.forget(listener)

    def join(self, device_serial: str, target_ids: Iterable[str]) -> None:
        """The device is there and serves these targets."""
        with self._lock:
            self._served[device_serial] = frozenset(target_ids)

    def leave(self, device_serial: str, target_ids: Iterable[str], why: Failure) -> None:
        """The device is away for longer than its jobs wait. What it was asked has failed, and
        others may try; jobs of its targets that no other device serves end with `why`. Said
        again, it ends those that have come since."""
        with self._lock:
            self._served.pop(device_serial, None)
            abandoned = frozenset(target_ids).difference(*self._served.values())
        self.give_up(device_serial, why)
        for state in self.open_states(abandoned):
            self.end(state, why)

    def give_up(self, device_serial: str, why: Failure) -> None:
        """What the device was asked and has not answered has failed, and others may try."""
        with self._lock:
            asked = self._queue.take_asked(device_serial)
        for state, run_id in asked:
            self.answer(state, run_id, why)
            self.put_back(state)

    def give_up_absent(self) -> None:
        """What was asked before a restart of the daemon of devices that have not joined since:
        no worker would ever say of them that they are away."""
        with self._lock:
            absent = set(self._queue.devices_asked()) - self._served.keys()
        for serial in absent:
            why = f"{serial} has not come back since the lab was restarted"
            self.give_up(serial, Failure(FailureKind.DEVICE_LOST, why))

    def take(
        self, device_serial: str, target_ids: Collection[str], timeout_s: float
    ) -> JobState | None:
        """The next job for the device, which serves `target_ids`; None when none came. It is
        this device's alone until it is put back."""
        with self._lock:
            state = self._queue.take(device_serial, target_ids, time.monotonic_ns())
            if state is None:
                idle = _Idle(threading.Condition(self._lock), target_ids)
                self._idle[device_serial] = idle
                rest_ns = self._queue.next_rested_ns(target_ids) - time.monotonic_ns()
                idle.offered.wait(min(timeout_s, max(0.0, rest_ns / 1e9)))
                self._idle.pop(device_serial, None)
                state = self._queue.take(device_serial, target_ids, time.monotonic_ns())
            return state

    def put_back(self, state: JobState) -> None:
        with self._lock:
            self._queue.put_back(state)
            self._wake_one(state.job.target_id)

    def upcoming(self, target_ids: Collection[str]) -> list[Program]:
        """Of the jobs whose turn comes soon and that were never visited."""
        with self._lock:
            return self._queue.upcoming(target_ids)

    def rest(self, state: JobState, until_ns: int) -> None:
        """In the time of `time.monotonic_ns`."""
        with self._lock:
            state.rests_until_ns = until_ns

    def open_sentinel(self, target_id: str, program: Program, spec: BenchmarkSpec) -> JobState:
        """A job for its caller alone: no worker is offered it."""
        return self._records.open_sentinel(target_id, program, spec)

    def ask(self, state: JobState, needed: NextVisit, device_serial: str) -> str:
        """Records that a run is about to be asked for; its run_id."""
        run_id = self._records.ask(state.job, needed, device_serial)
        with self._lock:
            state.asked = (run_id, needed)
            state.device_serial = device_serial
            state.times_lost = 0
            state.last_asked_ns = time.monotonic_ns()
        return run_id

    def answer(self, state: JobState, run_id: str, outcome: Visit | Failure) -> None:
        self._records.answer(run_id, outcome)
        with self._lock:
            state.asked = None
            if isinstance(outcome, Visit):
                state.visits.append(outcome)
            else:
                state.failures.append(outcome)
            self._tell(state.job, Progress(len(state.visits)))

    def end(self, state: JobState, failure: Failure) -> None:
        """With `failure`, unless another lab on this database has ended the job."""
        self._ended(state.job, self._records.end(state.job, failure))

    def complete(self, state: JobState, kernel_ns: Sequence[float] | None) -> Measurement:
        """Of its visits, unless another lab on this database has ended the job."""
        measurement, outcome = self._records.complete(state, kernel_ns)
        self._ended(state.job, outcome)
        return measurement

    def suspect(self, target_id: str) -> None:
        """The visits made so far for the target's open jobs, and so their measurements."""
        with self._lock:
            for state in self._states[target_id].values():
                state.suspect |= bool(state.visits)

    def open_states(self, target_ids: Iterable[str]) -> list[JobState]:
        with self._lock:
            return [state for id in target_ids for state in self._states[id].values()]

    def count_open(self, target_ids: Iterable[str]) -> int:
        with self._lock:
            return sum(len(self._states[id]) for id in target_ids)

    def places(self) -> list[tuple[JobState, Place]]:
        """Every open job and where it stands, the first in rank first."""
        with self._lock:
            states = sorted((s for of in self._states.values() for s in of.values()), key=rank)
            ahead: Counter[str] = Counter()
            placed = []
            for state in states:
                target_id = state.job.target_id
                place = Place(
                    is_taken=self._queue.is_taken(state),
                    awaited_from="" if state.asked is None else state.device_serial,
                    rests=state.rests_until_ns > 0,
                    ahead=ahead[target_id],
                )
                ahead[target_id] += 1
                placed.append((state, place))
            return placed

    def programs_in_use(self) -> set[str]:
        pinned = self._records.pinned_program()
        with self._lock:
            jobs = {state.job.program_sha256 for state in self._open.values()}
        return jobs if pinned is None else jobs | {pinned}

    def _join(self, state: JobState, listener: Listener, priority: int) -> Job:
        if priority > state.job.priority:
            self._records.set_priority(state.job, priority)
        with self._lock:
            # It may have ended meanwhile; then the listener has been told.
            if state.job.id in self._states[state.job.target_id]:
                self._queue.join(state, listener, priority)
            return state.job

    def _add(self, state: JobState) -> None:
        self._states[state.job.target_id][state.job.id] = state
        self._open[_request(state.job)] = state
        self._queue.add(state)

    def _wake_one(self, target_id: str) -> None:
        """One is enough for one job; the others look again by themselves."""
        for device_serial, idle in self._idle.items():
            if target_id in idle.target_ids:
                del self._idle[device_serial]
                idle.offered.notify()
                return

    def _ended(self, job: Job, outcome: Measurement | Failure) -> None:
        with self._lock:
            # A sentinel's is not among them.
            if (state := self._states[job.target_id].pop(job.id, None)) is not None:
                self._open.pop(_request(job), None)
                self._queue.remove(state)
            self._tell(job, outcome)
            self._listeners.pop(job.id, None)

    def _tell(self, job: Job, event: Progress | Measurement | Failure) -> None:
        for listener in self._listeners[job.id]:
            listener.put(JobEvent(job.program_sha256, event))


def _request(job: Job) -> tuple[str, str, BenchmarkSpec]:
    """What makes two requests the same job while it is open."""
    return job.target_id, job.program_sha256, job.spec
