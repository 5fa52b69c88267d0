"""What is known of one open job."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from host.measuring.stopping import NextVisit, progress
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import Job
from latlab.domain.measurement import Visit
from latlab.domain.program import Program

# A second visit would end as the first one did.
FINAL_KINDS = frozenset(
    {
        FailureKind.NOT_A_PROGRAM,
        FailureKind.BAD_INPUT,
        FailureKind.UNSUPPORTED,
        FailureKind.OUT_OF_MEMORY,
        FailureKind.EXECUTION_ERROR,
    }
)
MAX_FAILED_VISITS = 3
# A device that connects and never answers must not hold a job for ever.
MAX_TIMES_LOST = 3


@dataclass(eq=False)
class JobState:
    """An open job and its visits so far. `asked` is a run that was asked for and not yet
    answered: after a crash of the host, the first thing to fetch, from the device of
    `device_serial`, which was lost `times_lost` times while it ran. `suspect`: some of the
    visits were made while the sentinel drifted. `clients` wait for it; none where they have
    gone, or the daemon was restarted."""

    job: Job
    program: Program
    visits: list[Visit] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    asked: tuple[str, NextVisit] | None = None
    device_serial: str = ""
    times_lost: int = 0
    last_asked_ns: int = 0
    suspect: bool = False
    rests_until_ns: int = 0
    clients: set[Hashable] = field(default_factory=set)

    def next(self) -> NextVisit | Failure | None:
        """The visit it needs; a Failure when it cannot go on; None when it is complete."""
        for failure in self.failures:
            if failure.kind in FINAL_KINDS:
                return failure
        if len(self.failures) >= MAX_FAILED_VISITS:
            return self.failures[-1]
        return progress(self.job.spec, self.visits)
