"""Which visit comes next, and when a job has ended. Nothing here waits, reads or writes.

The visits of a campaign are interleaved over its programs, because a machine has moods that
last seconds: spread visits see several of them, a contiguous run sees one and looks steady.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice

from host.domain import Failure, FailureKind, Job, Program, Visit
from host.summary import NextVisit, progress

# Programs whose visits are interleaved: wide enough to spread five visits over a minute,
# narrow enough that results keep coming.
WINDOW = 16

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


@dataclass(eq=False)
class JobState:
    """An open job and its visits so far. `asked` is a run that was asked for and not yet
    answered: after a crash of the host, the first thing to fetch. `device_serial`: of the
    device that it is with, or was with last. `suspect`: some of the visits were made while
    the sentinel drifted."""

    job: Job
    program: Program
    visits: list[Visit] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    asked: tuple[str, NextVisit] | None = None
    device_serial: str = ""
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


class JobQueue:
    """The open jobs, each with one device at a time.

    A job is with a device from when the device takes it until the device takes another. So
    many devices may serve a target, and what a device was asked is fetched from that device.
    Taking a job costs the same however many are open: they are kept in the order of their
    age, and only the oldest are looked at.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, list[JobState]] = defaultdict(list)  # by target, oldest first
        self._resting: dict[str, list[JobState]] = defaultdict(list)  # by target, soonest first
        self._with_device: dict[str, list[JobState]] = defaultdict(list)  # by its serial

    def add(self, state: JobState) -> None:
        """One with an unanswered run is with the device that was asked."""
        if state.asked is None:
            self._let_go(state)
        else:
            self._with_device[state.device_serial].append(state)

    def take(
        self, device_serial: str, target_ids: Collection[str], now_unix_ns: int
    ) -> JobState | None:
        """The job whose turn it is on the device, which serves `target_ids`: one with an
        unanswered run first, else the longest unvisited of the `WINDOW` oldest that neither
        rest nor are with another device. Lets go of what the device had before."""
        taken = self._with_device[device_serial]
        for state in taken:
            if state.asked is not None and state.job.target_id in target_ids:
                return state
        for state in [state for state in taken if state.asked is None]:
            taken.remove(state)
            self._let_go(state)
        window = self._oldest(target_ids, now_unix_ns)
        chosen = min(window, key=lambda state: state.last_asked_unix_ns, default=None)
        if chosen is not None:
            self.remove(chosen)
            chosen.device_serial = device_serial
            taken.append(chosen)
        return chosen

    def remove(self, state: JobState) -> None:
        """Wherever it is."""
        target_id = state.job.target_id
        for states, key in (
            (self._waiting[target_id], _age),
            (self._resting[target_id], _waking),
        ):
            place = bisect_left(states, key(state), key=key)
            if place < len(states) and states[place] is state:
                del states[place]
                return
        self._with_device[state.device_serial].remove(state)

    def _let_go(self, state: JobState) -> None:
        if state.rests_until_unix_ns:
            insort(self._resting[state.job.target_id], state, key=_waking)
        else:
            insort(self._waiting[state.job.target_id], state, key=_age)

    def _oldest(self, target_ids: Collection[str], now_unix_ns: int) -> Iterator[JobState]:
        for target_id in target_ids:
            resting = self._resting[target_id]
            while resting and resting[0].rests_until_unix_ns <= now_unix_ns:
                woken = resting.pop(0)
                woken.rests_until_unix_ns = 0
                self._let_go(woken)
        heads = (self._waiting[target_id][:WINDOW] for target_id in target_ids)
        return islice(merge(*heads, key=_age), WINDOW)


def _age(state: JobState) -> tuple[int, str]:
    return state.job.created_unix_ns, state.job.id


def _waking(state: JobState) -> tuple[int, str]:
    return state.rests_until_unix_ns, state.job.id
