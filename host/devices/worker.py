"""One thread for each device: it takes the next visit, runs it, and stores the outcome."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from contextlib import AbstractContextManager
from functools import partial

from host.agent.client import AgentClient
from host.database.engine import Database
from host.devices.beside_visits.program_uploads import ProgramUploads
from host.devices.beside_visits.result_writer import ResultWriter
from host.devices.connection import Connection
from host.devices.job_server import JobServer
from host.devices.lease import DeviceLease
from host.devices.readiness.health_watch import HealthWatch
from host.devices.readiness.sentinel_watch import SentinelWatch
from host.devices.transports.transport import RouteGone, Transport
from host.devices.visit_runner import VisitRunner
from host.home.config import NO_CONFIG, LabConfig
from host.home.result_quarantine import ResultQuarantine
from host.jobs.dispatcher import Dispatcher
from latlab.common.program_store import ProgramStore
from latlab.domain.device import Device, DevicePhase, DeviceState, EventKind
from latlab.domain.errors import LabError, LeaseLost, Unavailable
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Conditions
from latlab.domain.target import Target

log = logging.getLogger(__name__)

IDLE_S = 1.0
LOST_PAUSE_S = 30.0
PAUSES_S = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, LOST_PAUSE_S)  # after failures in a row


class DeviceWorker(threading.Thread):
    """Serves every target of its device, one visit at a time, under a lease."""

    def __init__(
        self,
        transport: Transport,
        database: Database,
        board: Dispatcher,
        programs: ProgramStore,
        alone: AbstractContextManager[object],
        holder: str,
        quarantine: ResultQuarantine,
        config: LabConfig = NO_CONFIG,
    ) -> None:
        super().__init__(name=f"device-{transport.name}", daemon=True)
        self.transport = transport
        self.state = DeviceState(DevicePhase.CONNECTING, "", time.time_ns())
        self.sentinels = SentinelWatch(database)
        self.health = HealthWatch(database)
        self._board = board
        self._lease = DeviceLease(database, holder)
        self._stopping = threading.Event()
        self.is_removed = False  # whether `remove` was called
        self._failures = 0  # in a row
        self._connection = Connection(transport, database, self.health, config, board.routes)
        self.heat = self._connection.heat
        self._visits = VisitRunner(
            self._connection,
            programs,
            self._lease,
            self.health,
            quarantine,
            alone if transport.shares_host else contextlib.nullcontext(),
            self._stopping,
            self._show,
        )
        self.uploads = None if transport.shares_host else ProgramUploads(programs)
        self._jobs = JobServer(
            self._connection,
            board,
            self._visits,
            self.sentinels,
            ResultWriter(board, quarantine),
            self.uploads,
            self._stopping,
        )

    @property
    def device(self) -> Device | None:
        """The device's description; None until it has answered."""
        return self._connection.device

    @property
    def targets(self) -> dict[str, Target]:
        """The targets that the device serves, by id."""
        return self._connection.targets

    @property
    def is_connected(self) -> bool:
        """True if the device's agent answers."""
        return self._connection.agent is not None

    @property
    def obstacle(self) -> str:
        """The reason why the device takes no job now, for people; empty if it takes jobs."""
        state, barred = self.state, self.health.barred
        if barred is not None:
            return str(state.then(*barred, time.time_ns()))
        return "" if state.phase.is_at_work else str(state)

    def run(self) -> None:
        """Serve the device until `stop` or `remove` is called."""
        while not self._stopping.is_set():
            try:
                self._step()
            except Unavailable as error:
                log.warning("%s", error)
                self._connection.wait(self._pause_s())
                self._connection.renew()
            except LeaseLost as error:
                self._lease.lose()
                self._show(DevicePhase.HELD, str(error))
                self._stopping.wait(LOST_PAUSE_S)
            except Exception as error:
                # A defect must not silence the device for good.
                is_defect = not isinstance(error, LabError)
                self._show(DevicePhase.FAILED, "see the lab's log" if is_defect else str(error))
                log.exception("the worker of %s failed", self.transport.name)
                self._stopping.wait(self._pause_s())
        self._close()

    def reconnect(self) -> None:
        """Look for the device before anything else, since it may have come or gone."""
        self._connection.renew()

    def read_conditions(self) -> Conditions:
        """Return the device's present conditions. From any thread. Raises Unavailable."""
        return self._connection.read_conditions()

    def stop(self) -> None:
        """End the agent and with it the visit under way. Its job goes on at the next start."""
        self._stopping.set()
        self._connection.renew()
        self.transport.stop()
        self.join(timeout=10.0)

    def remove(self) -> None:
        """Ask the worker to end after the visit under way, and return at once.

        The device is left to its other routes. Without one, its jobs are left to other devices,
        and those that no other device serves end.
        """
        self.is_removed = True
        self._stopping.set()
        self._connection.renew()

    def _show(self, phase: DevicePhase, detail: str = "") -> None:
        remarks = (detail, self.heat.remark if phase.is_at_work else "")
        self.state = self.state.then(phase, ", ".join(filter(None, remarks)), time.time_ns())

    def _pause_s(self) -> float:
        """Return how long to wait after a failure: longer after each one in a row."""
        self._failures += 1
        return PAUSES_S[min(self._failures, len(PAUSES_S)) - 1]

    def _close(self) -> None:
        self._jobs.close()
        self.health.gone(EventKind.STOPPED)
        if self.is_removed:
            if self._connection.close():
                return  # another route goes on with the agent and the lease
            self.transport.stop()
            if self.device is not None:
                why = Failure(FailureKind.DEVICE_LOST, "it was removed from the lab")
                self._board.leave(self.device.serial, why)
        self._lease.release()

    def _step(self) -> None:
        agent = self._connection.agent
        if agent is None or self._connection.must_be_renewed:
            self._connect()
            return
        if self.health.probe_is_due:
            self._probe(agent)
            return
        if (barred := self.health.barred) is not None:
            self._stand_aside(*barred)
            return
        self._show(DevicePhase.IDLE)
        awake = self.sentinels.awake(self.targets)
        state = self._board.take(self._connection.known_device.serial, awake, IDLE_S)
        if state is None:
            self._jobs.settle()
            self._failures = 0
            return
        is_handed_over = False
        try:
            if not self._stopping.is_set():
                self._show(DevicePhase.MEASURING)
                is_handed_over = self._jobs.serve(agent, state)
                self._failures = 0
        finally:
            if not is_handed_over:
                self._board.put_back(state)

    def _connect(self) -> None:
        """Connect to the device. If that fails, wait before the next attempt.

        The device's open jobs fail once they have waited for long enough.
        """
        self._show(DevicePhase.CONNECTING)
        try:
            if not self._connection.open(self._stopping):
                return
        except Unavailable as error:
            self._show(DevicePhase.LOST, str(error))
            self._lose(error)
            self._connection.wait(LOST_PAUSE_S)
            return
        if self._connection.is_spare:
            self._show(DevicePhase.SPARE, f"{self._connection.serving_route} serves the device")
            while not self._connection.must_be_renewed:
                self._connection.wait(LOST_PAUSE_S)
            return
        self.sentinels.reconnected()

    def _lose(self, error: Unavailable) -> None:
        """Leave the device to its other routes if there are any, or else lose it in the end."""
        if self._connection.close():
            if isinstance(error, RouteGone):
                self.remove()
            return
        self.health.gone(EventKind.LOST, str(error))
        if self.device is not None:
            why = Failure(FailureKind.DEVICE_LOST, str(error))
            self._board.leave(self.device.serial, why, self.transport.patience_s)

    def _probe(self, agent: AgentClient) -> None:
        """Find out whether the device or the programs that failed on it are at fault."""
        self._show(*(self.health.barred or (DevicePhase.CHECKING, "several programs failed")))
        self._jobs.settle()
        self.health.probe(partial(self._jobs.probe, agent))

    def _stand_aside(self, phase: DevicePhase, detail: str) -> None:
        """Take no job, and leave to other devices what this one was asked."""
        self._show(phase, detail)
        self._jobs.settle()
        why = Failure(FailureKind.DEVICE_LOST, str(self.state))
        self._board.give_up(self._connection.known_device.serial, why)
        self._connection.wait(IDLE_S)
