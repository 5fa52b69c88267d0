"""The lab's devices, which come and go while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from host.devices.transports.transport import Transport
from host.devices.worker import DeviceWorker
from latlab.domain.errors import NotReady


class Fleet:
    """A worker for each way to a device, until it is removed: a device that is away is one
    whose worker waits for it. Every method may be called from any thread."""

    def __init__(self, hire: Callable[[Transport], DeviceWorker]) -> None:
        self._hire = hire
        self._lock = threading.Lock()
        self._workers: dict[str, DeviceWorker] = {}
        self._stopped = False

    @property
    def workers(self) -> list[DeviceWorker]:
        """As they are now, the first added first."""
        with self._lock:
            self._forget_removed()
            return list(self._workers.values())

    def add(self, transport: Transport) -> None:
        """Starts its worker; where one of that name works already, has it connect anew.
        Raises NotReady where one of that name was removed and ends its last visit."""
        with self._lock:
            if self._stopped:
                return
            self._forget_removed()
            if (known := self._workers.get(transport.name)) is not None:
                if known.is_removed:
                    raise NotReady(f"{transport.name} ends its last visit: add it again after it")
                known.reconnect()
                return
            worker = self._workers[transport.name] = self._hire(transport)
            worker.start()

    def remove(self, name: str) -> None:
        """Has its worker leave, as soon as its visit is over. Harmless where there is none."""
        with self._lock:
            if (worker := self._workers.get(name)) is not None:
                worker.remove()

    def stop(self) -> None:
        """Ends all of them, and takes no more."""
        with self._lock:
            self._stopped = True
            workers = list(self._workers.values())
        with ThreadPoolExecutor(len(workers) or 1) as pool:
            list(pool.map(DeviceWorker.stop, workers))

    def _forget_removed(self) -> None:
        for name, worker in list(self._workers.items()):
            if worker.is_removed and not worker.is_alive():
                del self._workers[name]
