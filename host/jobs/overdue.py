"""Find the open jobs that have waited for too long, so that every job ends.

A job waits in vain if nothing is measured on its target: no device serves the target any more, or
the one that does never gets well. So does a paused job that no client asks for again. Ages are in
the time of `time.monotonic_ns`, because the wall clock may jump. Only the time before the daemon's
start is known by the wall clock alone.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from host.database import device_history as history_rows
from host.database.engine import Database
from host.jobs.job_state import JobState
from latlab.domain.failure import Failure, FailureKind


class OverdueJobs:
    """Knows when a visit was last asked for on each target."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked_ns: dict[str, int] = {}  # by target

    def asked(self, target_id: str) -> None:
        """Note that a visit is asked for now."""
        self._asked_ns[target_id] = time.monotonic_ns()

    def find(self, states: Collection[JobState], max_age_ns: float) -> list[JobState]:
        """Return the jobs that are older than `max_age_ns` and saw no visit on their target since.

        Visits that an earlier daemon or another lab on this database has asked for count too.
        """
        oldest_ns = time.monotonic_ns() - max_age_ns
        late = [state for state in states if self._waits_since_ns(state) < oldest_ns]
        for target_id in {state.job.target_id for state in late}:
            with self._database.reading() as connection:
                asked_unix_ns = history_rows.last_asked_unix_ns(connection, target_id)
            asked_ns = monotonic_ns(asked_unix_ns or 0)
            self._asked_ns[target_id] = max(asked_ns, self._asked_ns.get(target_id, asked_ns))
        return [state for state in late if self._waits_since_ns(state) < oldest_ns]

    def _waits_since_ns(self, state: JobState) -> int:
        if state.paused_ns:
            return state.paused_ns
        return max(state.opened_ns, self._asked_ns.get(state.job.target_id, state.opened_ns))


def why_overdue(state: JobState, max_age_ns: float) -> Failure:
    """Return why a job ends that has waited for longer than `max_age_ns`."""
    hours = f"{max_age_ns / 3_600e9:g} h"
    if state.paused_ns:
        return Failure(
            FailureKind.CANCELLED, f"it was paused for {hours}: measure the network again"
        )
    return Failure(
        FailureKind.DEVICE_LOST,
        f"nothing was measured on its target for {hours}: `latlab lab status` shows which targets"
        " are served",
    )


def monotonic_ns(unix_ns: int) -> int:
    """Return a time of the past in the time of `time.monotonic_ns`."""
    return time.monotonic_ns() - max(0, time.time_ns() - unix_ns)
