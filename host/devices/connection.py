"""Connect to a device, and register it when it answers."""

from __future__ import annotations

import threading
import time

from host.agent.client import AgentClient
from host.database import device_history as history_rows
from host.database import devices as device_rows
from host.database import sentinels as sentinel_rows
from host.database.engine import Database
from host.devices.readiness.health_watch import HealthWatch
from host.devices.readiness.heat_watch import HeatWatch
from host.devices.transports.transport import Transport
from host.home.config import NO_GROUP, LabConfig
from host.jobs.routes import Routes
from latlab.domain.device import Device, EventKind
from latlab.domain.errors import Unavailable
from latlab.domain.measurement import Conditions
from latlab.domain.target import Target, targets_of

CONNECT_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0)


class Connection:
    """The connection of one worker to its device.

    `agent` is None while the device is away, or served by another route. `device`, `targets` and
    `group` are those that the device had when it last answered; a spare serves no targets.
    """

    def __init__(
        self,
        transport: Transport,
        database: Database,
        health: HealthWatch,
        config: LabConfig,
        routes: Routes,
    ) -> None:
        self.agent: AgentClient | None = None
        self.serving_route = ""  # the route that serves the device, as far as this one knows
        self.device: Device | None = None
        self.targets: dict[str, Target] = {}
        self.group = NO_GROUP
        self.heat = HeatWatch()
        self._transport = transport
        self._database = database
        self._health = health
        self._config = config
        self._routes = routes
        self._must_renew = threading.Event()

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
    def is_spare(self) -> bool:
        """True if another route serves the device, and this one is to take over from it."""
        return self.agent is None and self.serving_route not in ("", self._transport.name)

    def renew(self) -> None:
        """Connect again soon, since the device may have come or gone. From any thread."""
        self._must_renew.set()

    def wait(self, timeout_s: float) -> None:
        """Wait until `renew` is called, at most `timeout_s`."""
        self._must_renew.wait(timeout_s)

    def open(self, stopping: threading.Event) -> bool:
        """Connect to the device in a bounded number of tries, and register it unless another route
        serves it.

        Returns False if `stopping` was set meanwhile. Raises Unavailable after the last try.
        """
        self.agent, self.serving_route = None, ""
        lost = Unavailable("it was never tried")
        for pause_s in CONNECT_PAUSES_S:
            self._must_renew.clear()
            try:
                agent = self._transport.connect()
                self._enter(agent, agent.describe())
            except Unavailable as error:
                lost = error
                if self.close():
                    self._health.gone(EventKind.LOST, str(error))
                self._must_renew.wait(pause_s)
                if stopping.is_set():
                    return False
            else:
                return True
        raise lost

    def close(self) -> bool:
        """Leave the device to its other routes. Returns whether there are any."""
        return self.device is not None and self._routes.exit(
            self.device.serial, self._transport.name
        )

    def _enter(self, agent: AgentClient, device: Device) -> None:
        group = self._config.group_of(device.serial, device.model, self._transport.name)
        targets = {target.id: target for target in targets_of(device, group.core_classes)}
        if self.device is not None and self.device.serial != device.serial:
            self.close()
        route = self._transport.name
        server = self._routes.enter(device.serial, device.agent_id, targets, route, self.renew)
        self.device, self.group, self.serving_route = device, group, server
        if self.is_spare:
            self.targets = {}
            return
        with self._database.writing() as connection:
            device_rows.register(connection, device, route, time.time_ns())
            for target in targets.values():
                device_rows.register_target(connection, target)
            self._health.connected(connection, device.serial)
            answered = history_rows.newest_answered(connection, device.serial)
            if (pinned := sentinel_rows.pinned_program(connection)) is not None:
                sentinel_rows.pin(connection, pinned)
        if answered:  # the last connection may have ended before their acknowledgement
            agent.acknowledge(*answered)
        self.heat.max_c = group.max_c
        self.heat.connected(agent)
        self.agent = agent
        self.targets = targets  # last: it serves them now
