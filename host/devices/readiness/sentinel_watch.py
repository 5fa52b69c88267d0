"""When a device's targets are due for their sentinel, and what follows from it."""

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
class _Duty:
    """jobs_left: that may end before the next sentinel; until_s: of time.monotonic, up to
    which the target's jobs wait."""

    watch: Watch
    jobs_left: int
    until_s: float


class SentinelWatch:
    """Over the targets of one device, by its worker."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._duties: dict[str, _Duty] = {}
        self._unpinned: set[str] = set()  # targets without a sentinel, not to be asked for again

    def watch(self, target_id: str) -> Watch | None:
        """None before the sentinel's first measurement since the lab came up."""
        duty = self._duties.get(target_id)
        return None if duty is None else duty.watch

    def awake(self, target_ids: Iterable[str]) -> list[str]:
        """Those whose jobs need not wait for now."""
        now_s = time.monotonic()
        duties = self._duties.copy()
        return [id for id in target_ids if id not in duties or duties[id].until_s <= now_s]

    def due(self, target_id: str) -> Program | None:
        """The sentinel, where it is to be measured before the target's next visit."""
        duty = self._duties.get(target_id)
        if duty is not None and duty.jobs_left > 0:
            return None
        return self.program(target_id)

    def program(self, target_id: str) -> Program | None:
        """The sentinel; None where none is pinned."""
        if target_id in self._unpinned:
            return None
        # Before it is read: one that is pinned meanwhile is not missed.
        self._unpinned.add(target_id)
        with self._database.reading() as connection:
            sentinel = sentinel_rows.get_sentinel(connection, target_id)
        if sentinel is None:
            return None
        self._unpinned.discard(target_id)
        return sentinel[0]

    def pinned(self) -> None:
        """From any thread, once a sentinel is: targets that had none have one now."""
        self._unpinned.clear()

    def reconnected(self) -> None:
        self.pinned()  # by another lab on this database, it may be
        for duty in self._duties.copy().values():
            duty.jobs_left = 0

    def job_ended(self, target_id: str) -> None:
        if (duty := self._duties.get(target_id)) is not None:
            duty.jobs_left -= 1

    def renew(self, target_id: str) -> None:
        """Its baseline was renewed: what was held against the old one is forgotten."""
        self._duties.pop(target_id, None)

    def take(self, target_id: str, device_serial: str, measurement: Measurement | None) -> Watch:
        """Judges a measurement of the sentinel, and marks what it makes suspect. None where
        none came about: a disturbed machine, say, which tells nothing of a drift."""
        watch = self.watch(target_id) or Watch()
        if measurement is not None:
            watch = self._judge(watch, measurement)
            self._mark(watch, measurement, device_serial)
        jobs_left = 0 if watch.misses else JOBS_BETWEEN
        self._duties[target_id] = _Duty(watch, jobs_left, time.monotonic() + watch.pause_s)
        return watch

    def _judge(self, before: Watch, measurement: Measurement) -> Watch:
        """Against the baseline; where there is none of use, it is the baseline itself."""
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
