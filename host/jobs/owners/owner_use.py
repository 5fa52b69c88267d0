"""How much of the lab each owner uses, against its limits."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable

from host.jobs.owners.daily_use import DailyUse
from latlab.domain.access.limits import OwnerLimits
from latlab.domain.errors import LimitReached, TooLarge

MB = 1e6
# When an owner with too many open jobs may try again: after the mean time between the ends of its
# last jobs, within these bounds.
RECENT_ENDS = 20
SOONEST_S, LATEST_S = 1.0, 600.0
# Its share of a limit that an owner must have left to begin something. Times are rounded.
_EPSILON = 1e-9


class OwnerUse:
    """Open jobs, device time and uploads of each owner.

    Device time and uploads are counted since the daemon's start: they are kept in memory.
    """

    def __init__(self, limits: OwnerLimits, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing.

        Args:
            limits: What each owner may use.
            clock: Returns the time in seconds.
        """
        self._limits = limits
        self._clock = clock
        self._began_s = clock()
        self._lock = threading.Lock()
        self._device_s = DailyUse(clock)
        self._uploaded = DailyUse(clock)  # bytes
        self._owners: dict[str, set[str]] = defaultdict(set)  # by the job's id
        self._open: Counter[str] = Counter()  # jobs by owner
        self._ends_s: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=RECENT_ENDS))

    def check_job(self, owner: str, job_id: str = "") -> None:
        """Raise LimitReached if the owner may not ask for a job now.

        Args:
            owner: Who asks.
            job_id: The job, if it is open already. Its owners may ask for it at any time.
        """
        limits = self._limits.of(owner)
        with self._lock:
            if owner in self._owners.get(job_id, ()):
                return
            if self._open[owner] >= limits.open_jobs:
                wait_s = self._mean_end_s(owner)
                raise LimitReached(
                    f"{owner} has {self._open[owner]} open jobs, and may have"
                    f" {limits.open_jobs:g}: ask again in about {wait_s:.0f} s, when some may have"
                    " ended, or cancel some",
                    wait_s,
                )
            most_s = limits.device_minutes_per_day * 60
            wait_s = self._device_s.wait_s(owner, most_s * (1 - _EPSILON))
        if wait_s:
            raise LimitReached(
                f"{owner} has used the {limits.device_minutes_per_day:g} minutes of device time"
                f" that it may use within 24 hours: ask again in {_duration(wait_s)}",
                wait_s,
            )

    def upload(self, owner: str, size_bytes: int) -> None:
        """Count an upload that begins.

        Raises:
            LimitReached: The owner may upload the program later.
            TooLarge: The owner may never upload it.
        """
        most_mb = self._limits.of(owner).upload_mb_per_day
        if size_bytes > most_mb * MB:
            raise TooLarge(
                f"the program has {size_bytes / MB:.1f} MB, and {owner} may upload {most_mb:g} MB"
                " a day: ask the lab's owner for more (upload_mb_per_day in lab.toml)"
            )
        with self._lock:
            wait_s = self._uploaded.wait_s(owner, most_mb * MB - size_bytes)
            if not wait_s:
                self._uploaded.add(owner, size_bytes)
        if wait_s:
            raise LimitReached(
                f"{owner} may upload {most_mb:g} MB within 24 hours: upload this program in"
                f" {_duration(wait_s)}",
                wait_s,
            )

    def opened(self, job_id: str, *owners: str) -> None:
        """Note that some owners wait for a job."""
        with self._lock:
            for owner in owners:
                if owner not in self._owners[job_id]:
                    self._owners[job_id].add(owner)
                    self._open[owner] += 1

    def visited(self, job_id: str, device_s: float) -> None:
        """Count the device time of a job's visit, which its owners share."""
        with self._lock:
            owners = self._owners.get(job_id, ())
            for owner in owners:
                self._device_s.add(owner, device_s / len(owners))

    def left(self, job_id: str, owner: str) -> None:
        """Note that the owner waits for a job no longer."""
        with self._lock:
            if owner in self._owners.get(job_id, ()):
                self._owners[job_id].remove(owner)
                self._open[owner] -= 1

    def ended(self, job_id: str) -> None:
        """Note that a job has ended."""
        with self._lock:
            for owner in self._owners.pop(job_id, ()):
                self._open[owner] -= 1
                self._ends_s[owner].append(self._clock())

    def _mean_end_s(self, owner: str) -> float:
        ends_s = self._ends_s[owner]
        first_s = ends_s[0] if len(ends_s) > 1 else self._began_s
        mean_s = (self._clock() - first_s) / max(1, len(ends_s) - 1)
        return min(LATEST_S, max(SOONEST_S, mean_s))


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes / 60:.1f} hours" if minutes >= 90 else f"{max(1, round(minutes))} minutes"
