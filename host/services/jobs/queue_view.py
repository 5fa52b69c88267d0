"""The queue as clients see it: computed now and then for all of them."""

from __future__ import annotations

import functools
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from host.jobs.dispatcher import Dispatcher
from host.jobs.job_state import JobState
from host.jobs.queue import rank
from host.jobs.wait_reasons import QueuePosition, ServingDevice

# A view is computed anew when it is so old, or when a job has come or gone since.
MAX_AGE_S = 0.25
# It gets older where computing it takes long.
COMPUTING_SHARE = 0.02  # of the time

Rank = tuple[int, int, str]
Serving = Callable[[str], Sequence[ServingDevice]]


class Place(NamedTuple):
    """The position of an open job, and the devices that serve its target."""

    position: QueuePosition
    serving: Sequence[ServingDevice]


@dataclass(frozen=True)
class QueueSnapshot:
    """The open jobs at one time.

    Attributes:
        ranked: Every open job with its rank, the first in rank first.
        ranks_of_targets: The ranks of each target's jobs that are not paused, in order.
    """

    ranked: Sequence[tuple[Rank, JobState]]
    ranks_of_targets: Mapping[str, Sequence[Rank]]


class QueueView:
    """Shows the queue to any number of clients at a bounded cost. Thread-safe."""

    def __init__(self, dispatcher: Dispatcher, serving: Serving) -> None:
        self._dispatcher = dispatcher
        self._serving = serving
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

    def places(self, states: Iterable[JobState]) -> list[Place]:
        """Return the places of open jobs: how many come before them as of a moment ago."""
        ranks, serving = self.get().ranks_of_targets, functools.cache(self._serving)
        places = []
        for state in states:
            target_id = state.job.target_id
            ahead = bisect_left(ranks.get(target_id, ()), rank(state))
            places.append(Place(self._dispatcher.position(state, ahead), serving(target_id)))
        return places

    def _compute(self) -> QueueSnapshot:
        states = self._dispatcher.all_states()
        ranked = sorted(((rank(state), state) for state in states), key=itemgetter(0))
        by_target: dict[str, list[Rank]] = defaultdict(list)
        for its_rank, state in ranked:
            if not state.is_paused:
                by_target[state.job.target_id].append(its_rank)
        return QueueSnapshot(ranked, by_target)
