"""The workers that wait until they are offered a job."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Idle:
    """A worker that waits until it is offered a job of one of these targets."""

    offered: threading.Condition
    target_ids: Collection[str]


class IdleWorkers:
    """The workers that wait, by the serials of their devices. All methods need the lock."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._idle: dict[str, _Idle] = {}

    def __len__(self) -> int:
        return len(self._idle)

    def wait(self, device_serial: str, target_ids: Collection[str], timeout_s: float) -> None:
        """Let go of the lock until the worker is offered a job, or the time is over."""
        idle = _Idle(threading.Condition(self._lock), target_ids)
        self._idle[device_serial] = idle
        idle.offered.wait(timeout_s)
        self._idle.pop(device_serial, None)

    def wake_one(self, target_id: str) -> None:
        """Wake one worker, which is enough for one job; the others look again by themselves."""
        for device_serial, idle in self._idle.items():
            if target_id in idle.target_ids:
                del self._idle[device_serial]
                idle.offered.notify()
                return
