"""The lab's devices, which come while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from host.device_worker import DeviceWorker, Transport


class Fleet:
    """A worker for each way to a device. None ever leaves: a device that is away is one whose
    worker waits for it. Every method may be called from any thread."""

    def __init__(self, hire: Callable[[Transport], DeviceWorker]) -> None:
        self._hire = hire
        self._lock = threading.Lock()
        self._workers: dict[str, DeviceWorker] = {}
        self._stopped = False

    @property
    def workers(self) -> list[DeviceWorker]:
        """As they are now, the first added first."""
        with self._lock:
            return list(self._workers.values())

    def add(self, transport: Transport) -> None:
        """Starts its worker; where one of that name works already, has it connect anew."""
        with self._lock:
            if self._stopped:
                return
            if (known := self._workers.get(transport.name)) is not None:
                known.reconnect()
                return
            worker = self._workers[transport.name] = self._hire(transport)
            worker.start()

    def stop(self) -> None:
        """Ends all of them, and takes no more."""
        with self._lock:
            self._stopped = True
            workers = list(self._workers.values())
        with ThreadPoolExecutor(len(workers) or 1) as pool:
            list(pool.map(DeviceWorker.stop, workers))
