"""The queue as clients see it. What takes long is computed now and then for all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from host.jobs.dispatcher import Dispatcher
from host.jobs.job_state import JobState
from host.jobs.queue import Rank, rank
from host.jobs.wait_reasons import QueuePosition, ServingDevice

COMPUTING_SHARE = 0.02  # of the time, for each value

T = TypeVar("T")
Serving: TypeAlias = Callable[[], Mapping[str, Sequence[ServingDevice]]]


class Place(NamedTuple):
    """The position of an open job, and the devices that serve its target."""

    position: QueuePosition
    serving: Sequence[ServingDevice]


class QueueView:
    """Shows the queue to any number of clients at a bounded cost. Thread-safe."""

    def __init__(self, dispatcher: Dispatcher, serving: Serving) -> None:
        self._dispatcher = dispatcher
        self._serving = _Recent(serving)
        self._ranked = _Recent(self._rank_all)

    def ranked(self) -> Sequence[tuple[Rank, JobState]]:
        """Return the open jobs as of a moment ago with their ranks, the first in rank first."""
        return self._ranked.get()

    def place(self, state: JobState) -> Place:
        """Return the place of an open job, with its devices as of a moment ago."""
        serving = self._serving.get().get(state.job.target_id, ())
        return Place(self._dispatcher.position(state), serving)

    def _rank_all(self) -> Sequence[tuple[Rank, JobState]]:
        states = self._dispatcher.all_states()
        return sorted(((rank(state), state) for state in states), key=itemgetter(0))


class _Recent(Generic[T]):
    """A value that is computed anew unless that would take more than a share of the time."""

    def __init__(self, compute: Callable[[], T]) -> None:
        self._compute = compute
        self._computing = threading.Lock()
        self._value: T | None = None
        self._computed_s = self._took_s = 0.0

    def get(self) -> T:
        with self._computing:
            started_s = time.monotonic()
            is_old = started_s >= self._computed_s + self._took_s / COMPUTING_SHARE
            if self._value is None or is_old:
                self._value = self._compute()
                self._computed_s, self._took_s = started_s, time.monotonic() - started_s
            return self._value
