"""How far jobs have come, for those who ask."""

from __future__ import annotations

import functools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Generic, TypeVar

from host.database import measurements as measurement_rows
from host.database.engine import Database
from host.database.owners import job_owners
from host.database.owners.ended_jobs import get_ended_job
from host.jobs.dispatcher import Dispatcher
from host.jobs.job_state import JobState
from host.jobs.wait_reasons import wait_reason, waits_for
from host.predicting.estimates import ProvisionalLatencies, known_steadying, measured_latency
from host.predicting.predictors import Predictors
from host.services.jobs.queue_view import Place, QueueView, Serving
from latlab.domain.access.token import AccessToken, Scope
from latlab.domain.errors import NotFound, NotReady
from latlab.domain.estimate import LatencyEstimate, MeasuredLatency
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import JobPhase, JobStatus, WaitReason
from latlab.domain.measurement import Measurement

# Many clients may watch one job, and its outcome is made for all of them. Its age is computed
# anew after this time.
OUTCOME_S = 10.0
OUTCOMES = 512
# What is usual on a target changes slowly.
SPREAD_S = 600.0
STRIPES = 16

T = TypeVar("T")


class JobStatuses:
    """Tells how far jobs have come. Thread-safe.

    Args:
        database: Where the jobs are stored.
        dispatcher: The open jobs.
        predictors: Correct the latencies.
        serving: Returns the devices that serve each target, by its id.

    Attributes:
        view: The queue.
    """

    def __init__(
        self,
        database: Database,
        dispatcher: Dispatcher,
        predictors: Predictors,
        serving: Serving,
    ) -> None:
        self.view = QueueView(dispatcher, serving)
        self._database = database
        self._dispatcher = dispatcher
        self._predictors = predictors
        self._ended: _Shared[JobStatus] = _Shared(OUTCOMES, OUTCOME_S)
        self._provisional: _Shared[LatencyEstimate] = _Shared(OUTCOMES, SPREAD_S)
        self._latencies, self._latencies_s = ProvisionalLatencies(database, predictors), 0.0

    def find(self, job_id: str, caller: AccessToken, place: Place | None = None) -> JobStatus:
        """Return a job of the caller, or of anybody if the caller may operate the lab.

        Args:
            job_id: The job's id.
            caller: Who asks.
            place: Where the job is if it is open; None: where it is now.

        Raises:
            NotFound: The caller has no such job.
        """
        state = self._dispatcher.find(job_id)
        if state is not None and caller.owner in state.owners:
            return self.of_open(state, caller.owner, place)
        with self._database.reading() as connection:
            owners = job_owners.owners_of(connection, job_id)
        mine = next((each for each in owners if each.owner == caller.owner), None)
        if not owners or (mine is None and not caller.allows(Scope.OPERATE)):
            raise _unknown(job_id)
        owner = owners[0].owner if mine is None else mine.owner
        status = self._ended_status(job_id) if state is None else self.of_open(state, owner, place)
        if status is None and (state := self._dispatcher.find(job_id, waits=True)) is not None:
            status = self.of_open(state, owner, place)
        if status is None:  # it ended just now, or is open in another lab
            raise NotReady(f"job {job_id} is not open in this lab: ask again")
        if mine is not None and mine.cancelled_unix_ns is not None:
            status = _cancelled(status, mine.cancelled_unix_ns)
        return replace(status, owner=owner)

    def ended(self, job_id: str, caller: AccessToken) -> JobStatus | None:
        """Return a job of the caller as it has ended for the caller; None if it has not."""
        status = self._ended_status(job_id)
        if status is not None:
            return replace(status, owner=caller.owner)
        status = self.find(job_id, caller)
        return status if status.phase.has_ended else None

    def of_open(self, state: JobState, owner: str, place: Place | None = None) -> JobStatus:
        """Return the status of an open job for one of its owners. Args as for `find`."""
        position, serving = place or self.view.place(state)
        reason = wait_reason(position, serving)
        phase = JobPhase.RUNNING if reason is None else JobPhase.QUEUED
        if reason is WaitReason.PAUSED:
            phase = JobPhase.PAUSED
        visits = tuple(state.visits)
        return JobStatus(
            id=state.job.id,
            target_id=state.job.target_id,
            program_sha256=state.job.program_sha256,
            spec=state.job.spec,
            priority=state.job.priority,
            created_unix_ns=state.job.created_unix_ns,
            phase=phase,
            owner=owner,
            ahead=position.ahead if phase is JobPhase.QUEUED else None,
            wait_reason=reason,
            waits_for=waits_for(position, serving),
            visits_done=len(visits),
            provisional=self._provisional.get(
                (state.job.id, len(visits)),
                lambda: self._known_latencies().estimate(state.job, state.program.kernels, visits),
            )
            if visits
            else None,
        )

    def _ended_status(self, job_id: str) -> JobStatus | None:
        """Return the status of a job that has ended altogether; None if it is open."""
        return self._ended.get((job_id, 0), lambda: self._read(job_id))

    def _read(self, job_id: str) -> JobStatus | None:
        with self._database.reading() as connection:
            found = get_ended_job(connection, job_id)
            if found is None:
                return None
            outcome = measurement_rows.outcome_of(connection, job_id)
        job, ended_unix_ns = found
        reported: MeasuredLatency | Failure
        visits_done = 0
        if isinstance(outcome, Measurement):
            steadying_of = functools.partial(known_steadying, self._predictors)
            reported = measured_latency(self._database, outcome, steadying_of)
            visits_done = len(outcome.visits)
        else:
            reported = outcome
        return JobStatus(
            id=job.id,
            target_id=job.target_id,
            program_sha256=job.program_sha256,
            spec=job.spec,
            priority=job.priority,
            created_unix_ns=job.created_unix_ns,
            phase=_phase_of(reported),
            visits_done=visits_done,
            ended_unix_ns=ended_unix_ns,
            outcome=reported,
        )

    def _known_latencies(self) -> ProvisionalLatencies:
        """Return what knows the usual spread of a target's visits, which it asks for only once."""
        now_s = time.monotonic()
        if now_s > self._latencies_s + SPREAD_S:
            self._latencies = ProvisionalLatencies(self._database, self._predictors)
            self._latencies_s = now_s
        return self._latencies


class _Shared(Generic[T]):
    """Values that are made once for all threads that ask for them, and kept for a while."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._lock = threading.Lock()
        self._making = [threading.Lock() for _ in range(STRIPES)]
        self._values: OrderedDict[tuple[str, int], tuple[float, T]] = OrderedDict()

    def get(self, key: tuple[str, int], make: Callable[[], T | None]) -> T | None:
        with self._making[hash(key) % STRIPES]:
            with self._lock:
                made_s, kept = self._values.get(key, (0.0, None))
            value: T | None = kept
            if value is None or time.monotonic() > made_s + self._seconds:
                value = make()
                if value is not None:
                    self._keep(key, value)
            return value

    def _keep(self, key: tuple[str, int], value: T) -> None:
        with self._lock:
            self._values[key] = (time.monotonic(), value)
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)


def _phase_of(outcome: MeasuredLatency | Failure) -> JobPhase:
    if isinstance(outcome, MeasuredLatency):
        return JobPhase.SUCCEEDED
    is_cancelled = outcome.kind is FailureKind.CANCELLED
    return JobPhase.CANCELLED if is_cancelled else JobPhase.FAILED


def _cancelled(status: JobStatus, ended_unix_ns: int) -> JobStatus:
    """Return the status of a job for an owner who has cancelled it, while it goes on for others."""
    return replace(
        status,
        phase=JobPhase.CANCELLED,
        ahead=None,
        wait_reason=None,
        waits_for="",
        provisional=None,
        ended_unix_ns=ended_unix_ns,
        outcome=Failure(FailureKind.CANCELLED, "its owner cancelled it; it goes on for others"),
    )


def _unknown(job_id: str) -> NotFound:
    return NotFound(f"no job {job_id!r} of yours: CreateMeasurement answers the names of jobs")
