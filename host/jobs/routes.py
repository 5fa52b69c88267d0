"""The routes to each device: one of them serves it, and the others are spares.

A phone may be known to adb by its cable and by Wi-Fi, and a board by two addresses.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from latlab.domain.errors import Unavailable


@dataclass(slots=True)
class _Known:
    """A device that a route has led to.

    Attributes:
        target_ids: The targets that the device serves.
        agent_id: The agent that serves them.
        wakes: For each route to the device, what makes it connect again. The first one serves.
        refused: The agents that were refused because of the device's serial, by their route.
        away_since_s: When the last route went, in the time of `time.monotonic`.
        is_left: Whether the device's jobs were taken away from it.
    """

    target_ids: frozenset[str] = frozenset()
    agent_id: str = ""
    wakes: dict[str, Callable[[], None]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    away_since_s: float = -float("inf")
    is_left: bool = False

    @property
    def server(self) -> str | None:
        """The name of the route that serves the device."""
        return next(iter(self.wakes), None)


class Routes:
    """Which routes lead to which device. Any thread may call every method."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._devices: dict[str, _Known] = {}  # by serial

    def enter(
        self,
        device_serial: str,
        agent_id: str,
        target_ids: Iterable[str],
        route: str,
        wake: Callable[[], None],
    ) -> str:
        """Note that a route leads to a device, and return the name of the route that serves it.

        Args:
            device_serial: The device's serial.
            agent_id: Its agent's id. Two machines with one serial have agents of two ids.
            target_ids: The targets that the device serves.
            route: The name of the route.
            wake: Makes the route connect again: it is to serve the device from now on, or the
                device may have gone to another route.

        Raises:
            Unavailable: The route leads to another machine, which has the same serial.
        """
        with self._lock:
            known = self._devices.setdefault(device_serial, _Known())
            server = known.server
            if server is None or server == route:
                known.wakes[route] = wake
                known.target_ids, known.agent_id = frozenset(target_ids), agent_id
                known.is_left = False
                return route
            if agent_id != known.agent_id:
                known.wakes.pop(route, None)
                if known.refused.get(route) != agent_id:
                    known.refused[route] = agent_id
                    known.wakes[server]()  # its agent may have been restarted unnoticed
                raise Unavailable(_is_copy(device_serial, server, route))
            if route not in known.wakes:
                known.wakes[route] = wake
                known.wakes[server]()  # the device may have moved to the new route
            return server

    def exit(self, device_serial: str, route: str) -> bool:
        """Note that the route leads to the device no longer; harmless if it did not.

        Returns whether another route leads to the device. If the route has served the device,
        the next one does from now on.
        """
        with self._lock:
            known = self._devices.get(device_serial, _Known())
            was_server = known.server == route
            if known.wakes.pop(route, None) is not None and not known.wakes:
                known.away_since_s = time.monotonic()
            if was_server and known.server is not None:
                known.wakes[known.server]()
            return bool(known.wakes)

    def lead_to(self, device_serial: str) -> bool:
        """Return whether a route leads to the device."""
        with self._lock:
            return device_serial in self._devices and bool(self._devices[device_serial].wakes)

    def recall(self, device_serial: str, target_ids: Iterable[str]) -> None:
        """Note the targets that a device has served, unless a route has led to it since."""
        with self._lock:
            self._devices.setdefault(device_serial, _Known(frozenset(target_ids)))

    def abandon(self, device_serial: str, patience_s: float) -> frozenset[str] | None:
        """Expect the device no longer if no route has led to it for `patience_s`.

        Returns the targets that no other device serves now; None if the device is expected.
        """
        with self._lock:
            known = self._devices.setdefault(device_serial, _Known())
            if known.wakes or time.monotonic() <= known.away_since_s + patience_s:
                return None
            known.is_left = True
            return known.target_ids.difference(
                *(other.target_ids for other in self._devices.values() if not other.is_left)
            )

    def expected(self) -> set[str]:
        """Return the serials of the devices that have come and were not abandoned since."""
        with self._lock:
            return {serial for serial, known in self._devices.items() if not known.is_left}


def _is_copy(serial: str, server: str, route: str) -> str:
    return (
        f"{route} is another machine than {server}, and both say that they are device {serial}."
        " If its disk is a copy, make it a device of its own: stop its agent there, delete the"
        " agent's state folder, run `rm /etc/machine-id && systemd-machine-id-setup`, start the"
        " agent, and enrol it again"
    )
