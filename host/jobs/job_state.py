"""The state of one open job."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

from host.measuring.stopping import NextVisit, progress
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
        clients: Who waits for the job. None are left if they have gone or the daemon restarted.
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

    def next(self) -> NextVisit | Failure | None:
        """Return the visit that the job needs, a Failure if it cannot go on, or None if it is
        complete."""
        for failure in self.failures:
            if failure.kind in FINAL_KINDS:
                return failure
        if len(self.failures) >= MAX_FAILED_VISITS:
            return self.failures[-1]
        return progress(self.job.spec, self.visits)
