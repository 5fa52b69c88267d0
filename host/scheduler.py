"""Which visit comes next, and when a job has ended. Pure functions.

The visits of a campaign are interleaved over its programs, because a machine has moods that
last seconds: spread visits see several of them, a contiguous run sees one and looks steady.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from host.domain import Failure, FailureKind, Job, Program, Visit
from host.summary import NextVisit, progress

# Programs whose visits are interleaved: wide enough to spread a measurement over two
# minutes, narrow enough that results keep coming.
WINDOW = 32

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


@dataclass
class JobState:
    """An open job and its visits so far. `taken`: a worker has it in hand. `asked` is a run
    that was asked for and not yet answered: after a crash of the host, the first thing to
    fetch. `suspect`: some of the visits were made while the sentinel drifted."""

    job: Job
    program: Program
    visits: list[Visit] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    taken: bool = False
    asked: tuple[str, NextVisit] | None = None
    last_asked_unix_ns: int = 0
    suspect: bool = False
    rests_until_unix_ns: int = 0

    def next(self) -> NextVisit | Failure | None:
        """The visit it needs; a Failure when it cannot go on; None when it is complete."""
        for failure in self.failures:
            if failure.kind in FINAL_KINDS:
                return failure
        if len(self.failures) >= MAX_FAILED_VISITS:
            return self.failures[-1]
        return progress(self.job.spec, self.visits)


def choose(
    states: Iterable[JobState], target_ids: Collection[str], now_unix_ns: int
) -> JobState | None:
    """The job whose turn it is on a device that serves `target_ids`: of those that nobody
    has in hand, one with an unanswered run first, else the longest unvisited of the `WINDOW`
    oldest that do not rest."""
    mine = [state for state in states if state.job.target_id in target_ids]
    mine.sort(key=lambda state: state.job.created_unix_ns)
    for state in mine:
        if state.asked is not None and not state.taken:
            return state
    awake = [state for state in mine if state.rests_until_unix_ns <= now_unix_ns][:WINDOW]
    free = (state for state in awake if not state.taken)
    return min(free, key=lambda state: state.last_asked_unix_ns, default=None)


def next_rested(states: Iterable[JobState], target_ids: Collection[str]) -> float:
    """When the first job that rests has rested, in ns of Unix time; infinite if none does."""
    mine = (state for state in states if state.job.target_id in target_ids and not state.taken)
    return min((state.rests_until_unix_ns for state in mine), default=math.inf)


def upcoming(states: Iterable[JobState], target_ids: Collection[str]) -> list[Program]:
    """Of the jobs whose turn comes soon and that were never visited, the oldest first."""
    mine = [state for state in states if state.job.target_id in target_ids]
    mine.sort(key=lambda state: state.job.created_unix_ns)
    return [state.program for state in mine[: 2 * WINDOW] if not state.last_asked_unix_ns]
