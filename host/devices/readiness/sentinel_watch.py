"""Measure the sentinels of a device's targets when they are due, and judge them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass

from host.database import sentinels as sentinel_rows
from host.database.engine import Database
from host.devices.readiness.sentinel_rule import JOBS_BETWEEN, Watch, judge
from host.measuring.statistics import summarize
from latlab.domain.measurement import Measurement
from latlab.domain.program import Program

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _WatchedTarget:
    """A target whose sentinel was measured since the lab came up.

    Attributes:
        watch: What the sentinel has shown.
        jobs_left: How many jobs may end before the next sentinel.
        until_s: Until when the target's jobs wait, in time.monotonic's time.
    """

    watch: Watch
    jobs_left: int
    until_s: float


class SentinelWatch:
    """Watches the sentinels of one device's targets for its worker."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watched: dict[str, _WatchedTarget] = {}
        self._unpinned: set[str] = set()  # targets without a sentinel, not to be asked for again

    def watch(self, target_id: str) -> Watch | None:
        """Return what the target's sentinel has shown; None if the lab has not measured it yet."""
        target = self._watched.get(target_id)
        return None if target is None else target.watch

    def awake(self, target_ids: Iterable[str]) -> list[str]:
        """Return the targets whose jobs need not wait for their sentinel now."""
        now_s = time.monotonic()
        watched = self._watched.copy()
        return [id for id in target_ids if id not in watched or watched[id].until_s <= now_s]

    def due(self, target_id: str) -> Program | None:
        """Return the sentinel if it must be measured before the target's next visit."""
        target = self._watched.get(target_id)
        if target is not None and target.jobs_left > 0:
            return None
        return self.program(target_id)

    def program(self, target_id: str) -> Program | None:
        """Return the program of the target's sentinel; None if none is pinned."""
        if target_id in self._unpinned:
            return None
        # Added before the database is read, so that a sentinel pinned meanwhile is not missed.
        self._unpinned.add(target_id)
        with self._database.reading() as connection:
            sentinel = sentinel_rows.get_sentinel(connection, target_id)
        if sentinel is None:
            return None
        self._unpinned.discard(target_id)
        return sentinel[0]

    def pinned(self) -> None:
        """Note that a sentinel was pinned: targets without one have one now. From any thread."""
        self._unpinned.clear()

    def reconnected(self) -> None:
        """Note that the device was away: its sentinels are due, and may be other ones."""
        self.pinned()
        for target in self._watched.copy().values():
            target.jobs_left = 0

    def job_ended(self, target_id: str) -> None:
        """Note that a job of the target has ended."""
        if (target := self._watched.get(target_id)) is not None:
            target.jobs_left -= 1

    def renew(self, target_id: str) -> None:
        """Forget what comparisons with the target's old baseline have shown."""
        self._watched.pop(target_id, None)

    def take(self, target_id: str, device_serial: str, measurement: Measurement | None) -> Watch:
        """Judge a measurement of the target's sentinel, and mark what it makes suspect.

        Args:
            target_id: The target.
            device_serial: The device that made the measurement.
            measurement: The measurement; None if it failed, on a disturbed machine for example,
                which says nothing about a drift.

        Returns:
            What the sentinel has shown so far.
        """
        watch = self.watch(target_id) or Watch()
        if measurement is not None:
            watch = self._judge(watch, measurement)
            self._mark(watch, measurement, device_serial)
        jobs_left = 0 if watch.misses else JOBS_BETWEEN
        self._watched[target_id] = _WatchedTarget(
            watch, jobs_left, time.monotonic() + watch.pause_s
        )
        return watch

    def _judge(self, before: Watch, measurement: Measurement) -> Watch:
        """Compare a measurement with the baseline; without a usable one, it is the baseline."""
        target_id = measurement.target_id
        now = summarize(measurement.visits)
        if now is None:
            return before
        with self._database.writing() as connection:
            sentinel = sentinel_rows.get_sentinel(connection, target_id)
            baseline = sentinel and sentinel[1]
            if baseline is None:
                sentinel_rows.set_baseline(connection, target_id, measurement.id)
        then = summarize((baseline or measurement).visits) or now
        return judge(before, now, then.latency_ns)

    def _mark(self, watch: Watch, measurement: Measurement, device_serial: str) -> None:
        if not watch.misses:
            return
        with self._database.writing() as connection:
            sentinel_rows.mark_suspect(connection, measurement.id)
            if watch.drifted:
                sentinel_rows.mark_since_last_good(connection, measurement.target_id, device_serial)
        log.warning(
            "target %s: the sentinel is %+.1f %% off its baseline%s",
            measurement.target_id,
            100 * watch.drift,
            "; jobs wait" if watch.drifted else ", once",
        )
