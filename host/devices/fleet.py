"""The workers of the lab's devices, which come and go while the lab runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from host.devices.transports.transport import Transport
from host.devices.worker import DeviceWorker
from latlab.domain.errors import NotReady


class Fleet:
    """Holds one worker for each way to a device, until the way is removed.

    The worker of a device that is away waits for it. Any thread may call every method.
    """

    def __init__(self, make_worker: Callable[[Transport], DeviceWorker]) -> None:
        self._make_worker = make_worker
        self._lock = threading.Lock()
        self._workers: dict[str, DeviceWorker] = {}
        self._stopped = False

    @property
    def workers(self) -> list[DeviceWorker]:
        """The present workers, in the order in which they were added."""
        with self._lock:
            self._forget_removed()
            return list(self._workers.values())

    def add(self, transport: Transport) -> None:
        """Start a worker for a device; if one of that name works already, make it connect again.

        Raises NotReady while a removed worker of that name ends its last visit.
        """
        with self._lock:
            if self._stopped:
                return
            self._forget_removed()
            if (known := self._workers.get(transport.name)) is not None:
                if known.is_removed:
                    raise NotReady(
                        f"{transport.name} was removed, but its last visit still runs: add it "
                        "again later"
                    )
                known.reconnect()
                return
            worker = self._workers[transport.name] = self._make_worker(transport)
            worker.start()

    def reconnect(self, name: str) -> None:
        """Make a worker connect again; harmless if there is none."""
        with self._lock:
            if (worker := self._workers.get(name)) is not None:
                worker.reconnect()

    def remove(self, name: str) -> None:
        """End the worker of this name after its visit; harmless if there is none."""
        with self._lock:
            if (worker := self._workers.get(name)) is not None:
                worker.remove()

    def stop(self) -> None:
        """End the workers of all devices, and start no more."""
        with self._lock:
            self._stopped = True
            workers = list(self._workers.values())
        with ThreadPoolExecutor(len(workers) or 1) as pool:
            list(pool.map(DeviceWorker.stop, workers))

    def _forget_removed(self) -> None:
        for name, worker in list(self._workers.items()):
            if worker.is_removed and not worker.is_alive():
                del self._workers[name]
