"""The queue as clients see it: computed now and then for all of them."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from host.jobs.dispatcher import Dispatcher
from host.jobs.job_state import JobState
from host.jobs.queue import rank
from host.jobs.wait_reasons import QueuePosition

# A view is computed anew when it is so old, or when a job has come or gone since.
MAX_AGE_S = 0.25
# It gets older where computing it takes long.
COMPUTING_SHARE = 0.05  # of the time

Rank = tuple[int, int, str]


@dataclass(frozen=True)
class QueueSnapshot:
    """The open jobs at one time.

    Attributes:
        positions: Every open job and its position, the first in rank first.
        ranks: (jobs,) their ranks, in the same order.
        ranks_of_targets: The ranks of each target's jobs that are not paused.
    """

    positions: Sequence[tuple[JobState, QueuePosition]]
    ranks: Sequence[Rank]
    ranks_of_targets: Mapping[str, Sequence[Rank]]


class QueueView:
    """Shows the queue to any number of clients at a bounded cost. Thread-safe."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._computing = threading.Lock()
        self._snapshot: QueueSnapshot | None = None
        self._computed_s = self._took_s = 0.0
        self._is_outdated = False

    def outdate(self) -> None:
        """Take note that a job has come or gone."""
        self._is_outdated = True

    def get(self) -> QueueSnapshot:
        """Return the open jobs as of a moment ago."""
        with self._computing:
            started_s = time.monotonic()
            is_due = self._is_outdated or started_s >= self._computed_s + MAX_AGE_S
            may = started_s >= self._computed_s + self._took_s / COMPUTING_SHARE
            if self._snapshot is None or (is_due and may):
                self._is_outdated = False
                self._snapshot = self._compute()
                self._computed_s, self._took_s = started_s, time.monotonic() - started_s
            return self._snapshot

    def position(self, state: JobState) -> QueuePosition:
        """Return the position of an open job: its state now, and its place as of a moment ago."""
        ranks = self.get().ranks_of_targets.get(state.job.target_id, ())
        return self._dispatcher.position(state, bisect_left(ranks, rank(state)))

    def _compute(self) -> QueueSnapshot:
        positions = self._dispatcher.positions()
        ranks = [rank(state) for state, _ in positions]
        by_target: dict[str, list[Rank]] = defaultdict(list)
        for (state, position), its_rank in zip(positions, ranks, strict=True):
            if not position.is_paused:
                by_target[state.job.target_id].append(its_rank)
        return QueueSnapshot(positions, ranks, by_target)
