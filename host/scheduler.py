"""Which visit comes next, and when a job has ended. Nothing here waits, reads or writes.

The visits of a campaign are interleaved over its programs, because a machine has moods that
last seconds: spread visits see several of them, a contiguous run sees one and looks steady.

Turns and rests are in the time of `time.monotonic_ns`: the wall clock may jump.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice

from host.domain import Failure, FailureKind, Job, Program, Visit
from host.summary import NextVisit, progress

# Programs whose visits are interleaved: wide enough to spread a measurement over three
# minutes, and to end a campaign without stragglers, whose spaced visits leave the device
# idle; narrow enough that results keep coming.
WINDOW = 64

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
    visits were made while the sentinel drifted."""

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

    def next(self) -> NextVisit | Failure | None:
        """The visit it needs; a Failure when it cannot go on; None when it is complete."""
        for failure in self.failures:
            if failure.kind in FINAL_KINDS:
                return failure
        if len(self.failures) >= MAX_FAILED_VISITS:
            return self.failures[-1]
        return progress(self.job.spec, self.visits)


class JobQueue:
    """The open jobs. One that a device has taken is that device's alone until it is put back,
    so that many devices may serve a target; and what a device was asked is fetched from that
    device. Taking a job costs the same however many are open: they are kept in the order of
    their age, and only the oldest are looked at.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, list[JobState]] = defaultdict(list)  # by target, oldest first
        self._resting: dict[str, list[JobState]] = defaultdict(list)  # by target, soonest first
        self._asked: dict[str, list[JobState]] = defaultdict(list)  # by the device's serial
        self._taken: set[JobState] = set()

    def add(self, state: JobState) -> None:
        if state.asked is not None:
            self._asked[state.device_serial].append(state)
        elif state.rests_until_ns:
            insort(self._resting[state.job.target_id], state, key=_waking)
        else:
            insort(self._waiting[state.job.target_id], state, key=_age)

    def take(self, device_serial: str, target_ids: Collection[str], now_ns: int) -> JobState | None:
        """The job whose turn it is on the device, which serves `target_ids`: one with an
        unanswered run first, else the longest unvisited of the `WINDOW` oldest that neither
        rest nor are taken."""
        asked = (s for s in self._asked[device_serial] if s.job.target_id in target_ids)
        chosen = next(asked, None) or min(
            self._oldest(target_ids, now_ns),
            key=lambda state: state.last_asked_ns,
            default=None,
        )
        if chosen is not None:
            self.remove(chosen)
            self._taken.add(chosen)
        return chosen

    def take_asked(self, device_serial: str) -> list[tuple[JobState, str]]:
        """All with an unanswered run of the device, and its run_id."""
        asked = [
            (state, state.asked[0])
            for state in self._asked.pop(device_serial, [])
            if state.asked is not None
        ]
        self._taken.update(state for state, _ in asked)
        return asked

    def put_back(self, state: JobState) -> None:
        """One that has ended in the meantime stays away."""
        if state in self._taken:
            self._taken.remove(state)
            self.add(state)

    def remove(self, state: JobState) -> None:
        """Wherever it is."""
        self._taken.discard(state)
        if state in self._asked[state.device_serial]:
            self._asked[state.device_serial].remove(state)
        for states, key in (
            (self._waiting[state.job.target_id], _age),
            (self._resting[state.job.target_id], _waking),
        ):
            place = bisect_left(states, key(state), key=key)
            if place < len(states) and states[place] is state:
                del states[place]

    def next_rested_ns(self, target_ids: Iterable[str]) -> float:
        """When the first job that rests has rested; infinite if none does."""
        soonest = (self._resting[id][0] for id in target_ids if self._resting[id])
        return min((state.rests_until_ns for state in soonest), default=math.inf)

    def upcoming(self, target_ids: Iterable[str]) -> list[Program]:
        """Of the jobs whose turn comes soon and that were never visited, the oldest first."""
        heads = (self._waiting[target_id][: 2 * WINDOW] for target_id in target_ids)
        soon = islice(merge(*heads, key=_age), 2 * WINDOW)
        return [state.program for state in soon if not state.last_asked_ns]

    def _oldest(self, target_ids: Collection[str], now_ns: int) -> Iterator[JobState]:
        for target_id in target_ids:
            resting = self._resting[target_id]
            while resting and resting[0].rests_until_ns <= now_ns:
                woken = resting.pop(0)
                woken.rests_until_ns = 0
                self.add(woken)
        heads = (self._waiting[target_id][:WINDOW] for target_id in target_ids)
        return islice(merge(*heads, key=_age), WINDOW)


def _age(state: JobState) -> tuple[int, str]:
    return state.job.created_unix_ns, state.job.id


def _waking(state: JobState) -> tuple[int, str]:
    return state.rests_until_ns, state.job.id
