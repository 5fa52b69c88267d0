"""Connect to a device, and register it when it answers."""

from __future__ import annotations

import threading
import time

from host.agent.client import AgentClient
from host.database import devices as device_rows
from host.database import sentinels as sentinel_rows
from host.database.engine import Database
from host.devices.readiness.health_watch import HealthWatch
from host.devices.readiness.heat_watch import HeatWatch
from host.devices.transports.transport import Transport
from host.home.config import NO_GROUP, LabConfig
from latlab.domain.device import Device
from latlab.domain.errors import Unavailable
from latlab.domain.measurement import Conditions
from latlab.domain.target import Target, targets_of

CONNECT_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0)


class Connection:
    """The connection of one worker to its device.

    `agent` is None while the device is away. `device`, `targets` and `group` are those that the
    device had when it last answered.
    """

    def __init__(
        self, transport: Transport, database: Database, health: HealthWatch, config: LabConfig
    ) -> None:
        self.agent: AgentClient | None = None
        self.device: Device | None = None
        self.targets: dict[str, Target] = {}
        self.group = NO_GROUP
        self.heat = HeatWatch()
        self._transport = transport
        self._database = database
        self._health = health
        self._config = config
        self._must_renew = threading.Event()
        self._lost_s = time.monotonic()

    @property
    def must_be_renewed(self) -> bool:
        """True if the device may have come or gone since it was connected."""
        return self._must_renew.is_set()

    @property
    def known_device(self) -> Device:
        """The device's description. Raises Unavailable if it has never answered."""
        if self.device is None:
            raise Unavailable(f"the device behind {self._transport.name} is not connected yet")
        return self.device

    def read_conditions(self) -> Conditions:
        """Return the device's present conditions. From any thread. Raises Unavailable."""
        if (agent := self.agent) is None:
            raise Unavailable(f"the device behind {self._transport.name} is not connected")
        return agent.read_conditions()

    @property
    def is_given_up(self) -> bool:
        """True if the device has been away for longer than its jobs wait."""
        return time.monotonic() > self._lost_s + self._transport.patience_s

    def renew(self) -> None:
        """Connect again soon, since the device may have come or gone. From any thread."""
        self._must_renew.set()

    def wait(self, timeout_s: float) -> None:
        """Wait until `renew` is called, at most `timeout_s`."""
        self._must_renew.wait(timeout_s)

    def open(self, stopping: threading.Event) -> bool:
        """Connect to the device and register it, in a bounded number of tries.

        Returns False if `stopping` was set meanwhile. Raises Unavailable after the last try.
        """
        if self.agent is not None:
            self.agent, self._lost_s = None, time.monotonic()
        lost = Unavailable("it was never tried")
        for pause_s in CONNECT_PAUSES_S:
            self._must_renew.clear()
            try:
                agent = self._transport.connect()
                self.heat.connected(agent)
                self._register(agent, agent.describe())
            except Unavailable as error:
                lost = error
                self._must_renew.wait(pause_s)
                if stopping.is_set():
                    return False
            else:
                return True
        raise lost

    def _register(self, agent: AgentClient, device: Device) -> None:
        group = self._config.group_of(device.serial, device.model, self._transport.name)
        targets = targets_of(device, group.core_classes)
        with self._database.writing() as connection:
            device_rows.register(connection, device, self._transport.name, time.time_ns())
            for target in targets:
                device_rows.register_target(connection, target)
            self._health.connected(connection, device.serial)
            if (pinned := sentinel_rows.pinned_program(connection)) is not None:
                sentinel_rows.pin(connection, pinned)
        self.heat.max_c = group.max_c
        self.device, self.group, self.agent = device, group, agent
        self.targets = {target.id: target for target in targets}  # last: it serves them now
