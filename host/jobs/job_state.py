"""The state of one open job."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field

from host.measuring.stopping import NextVisit, progress
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import Job
from latlab.domain.measurement import Visit
from latlab.domain.program import Program

# After such a failure a second visit would fail too.
FINAL_KINDS = frozenset(
    {
        FailureKind.NOT_A_PROGRAM,
        FailureKind.BAD_INPUT,
        FailureKind.UNSUPPORTED,
        FailureKind.OUT_OF_MEMORY,
        FailureKind.EXECUTION_ERROR,
        FailureKind.REFUSED,
    }
)
MAX_FAILED_VISITS = 3
# A device that connects but never answers must not hold a job for ever. One that changes its
# route is still there.
MAX_TIMES_LOST = 3  # by each route
# Nor must a job that the lab cannot go on with hold a device for ever.
MAX_DEFECTS = 3


@dataclass(frozen=True, slots=True)
class WaitingOwner:
    """A client that waits for its jobs without a stream: an owner who has created them."""

    owner: str


@dataclass(eq=False)
class JobState:
    """An open job and its visits so far.

    Attributes:
        job: The job.
        program: The program that it measures.
        visits: The visits that brought samples.
        failures: The visits that failed.
        asked: A run that was asked for and not yet answered, with its run_id. After a crash of
            the host it is fetched before anything else.
        device_serial: The device that was asked for the last run.
        times_lost: How often that device was lost while the run was under way, by route.
        last_asked_ns: When the last run was asked for, in the time of `time.monotonic_ns`.
        suspect: Whether some visits were made while the sentinel had drifted.
        rests_until_ns: Until when the job rests, in the same time; 0 if it does not.
        opened_ns: When the job was opened, in the same time.
        defects: How often a defect of the lab kept the job from going on.
        clients: Who waits for the job: streams, and owners who wait without one. No stream is left
            if its client has gone or the daemon restarted.
        owners: Who has asked for the job and has not cancelled it.
        paused_ns: When the last client left and wanted the job to pause, in the same time; 0 if
            the job goes on without clients. A daemon that restarts goes on with every job.
    """

    job: Job
    program: Program
    visits: list[Visit] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    asked: tuple[str, NextVisit] | None = None
    device_serial: str = ""
    times_lost: Counter[str] = field(default_factory=Counter)
    last_asked_ns: int = 0
    suspect: bool = False
    rests_until_ns: int = 0
    opened_ns: int = field(default_factory=time.monotonic_ns)
    defects: int = 0
    clients: set[Hashable] = field(default_factory=set)
    owners: set[str] = field(default_factory=set)
    paused_ns: int = 0

    @property
    def is_paused(self) -> bool:
        """True if the job makes no visit until a client asks for it again.

        A job that needs no more visits ends all the same.
        """
        return bool(self.paused_ns) and isinstance(self.next(), NextVisit)

    @property
    def is_within_pair(self) -> bool:
        """True if the next visit belongs right beside the last one."""
        return self.job.spec.is_paired and len(self.visits) % 2 == 1

    def asked_for_s(self) -> float:
        """Return since when the last run is asked for, in seconds; 0 if a daemon before asked."""
        return (time.monotonic_ns() - self.last_asked_ns) / 1e9 if self.last_asked_ns else 0.0

    def ask(self, run_id: str, needed: NextVisit, device_serial: str) -> None:
        """Note that a device is asked for a run now."""
        self.asked = (run_id, needed)
        self.device_serial = device_serial
        self.times_lost.clear()
        self.last_asked_ns = time.monotonic_ns()

    def answer(self, outcome: Visit | Failure) -> None:
        """Note the outcome of the run that was asked for."""
        self.asked = None
        if isinstance(outcome, Visit):
            self.visits.append(outcome)
        else:
            self.failures.append(outcome)

    def next(self) -> NextVisit | Failure | None:
        """Return the visit that the job needs, a Failure if it cannot go on, or None if it is
        complete."""
        for failure in self.failures:
            if failure.kind in FINAL_KINDS:
                return failure
        if len(self.failures) >= MAX_FAILED_VISITS:
            return self.failures[-1]
        return progress(self.job.spec, self.visits)


class OpenJobs:
    """The open jobs, by id, target and request. All methods need the caller's lock."""

    def __init__(self) -> None:
        self._by_id: dict[str, JobState] = {}
        self._by_target: dict[str, dict[str, JobState]] = defaultdict(dict)
        # What makes two requests the same job while it is open.
        self._by_request: dict[tuple[str, str, BenchmarkSpec], JobState] = {}

    def add(self, state: JobState) -> None:
        """Add an open job."""
        job = state.job
        self._by_id[job.id] = self._by_target[job.target_id][job.id] = state
        self._by_request[job.target_id, job.program_sha256, job.spec] = state

    def remove(self, job: Job) -> JobState | None:
        """Remove a job that has ended, and return its state; None if it is not among them."""
        state = self._by_target[job.target_id].pop(job.id, None)
        if state is not None:
            del self._by_id[job.id]
            del self._by_request[job.target_id, job.program_sha256, job.spec]
        return state

    def get(self, job_id: str) -> JobState | None:
        """Return an open job; None if there is none with this id."""
        return self._by_id.get(job_id)

    def requested(
        self, target_id: str, program_sha256: str, spec: BenchmarkSpec
    ) -> JobState | None:
        """Return the open job of a request; None if there is none."""
        return self._by_request.get((target_id, program_sha256, spec))

    def of_target(self, target_id: str) -> list[JobState]:
        """Return the open jobs of a target."""
        return list(self._by_target.get(target_id, {}).values())

    def all(self) -> list[JobState]:
        """Return all open jobs."""
        return list(self._by_id.values())
