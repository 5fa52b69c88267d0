"""One thread for each device: it takes the next visit, has it run, and stores what came."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from functools import partial

from host.agent.client import AgentClient
from host.database.engine import Database
from host.devices.connection import Connection
from host.devices.lease import Hold
from host.devices.program_uploads import Uploads
from host.devices.readiness import sentinel_rule
from host.devices.readiness.health_watch import Standing
from host.devices.readiness.sentinel_watch import SentinelWatch
from host.devices.result_writer import Filing
from host.devices.transports.transport import Transport
from host.devices.visit_runner import VisitRunner
from host.home.config import NO_CONFIG, LabConfig
from host.jobs.dispatcher import Dispatcher
from host.jobs.job_state import MAX_TIMES_LOST, JobState
from host.measuring.kernel_times import kernel_times_ns
from host.measuring.stopping import NextVisit
from latlab.common.program_store import ProgramStore
from latlab.domain.device import Device, EventKind
from latlab.domain.errors import LeaseLost, TraceMismatch, Unavailable
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Conditions, Visit
from latlab.domain.program import Program
from latlab.domain.target import Target

log = logging.getLogger(__name__)

IDLE_S = 1.0
LOST_PAUSE_S = 30.0


class DeviceWorker(threading.Thread):
    """Serves every target of its device, one visit at a time, under a lease."""

    def __init__(
        self,
        transport: Transport,
        database: Database,
        board: Dispatcher,
        programs: ProgramStore,
        quiet: threading.Lock,
        holder: str,
        config: LabConfig = NO_CONFIG,
    ) -> None:
        super().__init__(name=f"device-{transport.name}", daemon=True)
        self.transport = transport
        self.state = "connecting"
        self.sentinels = SentinelWatch(database)
        self.standing = Standing(database)
        self._board = board
        self._programs = programs
        self._hold = Hold(database, holder)
        self._uploads = Uploads(programs)
        self._filing = Filing(board)
        self._stopping = threading.Event()
        self._removed = False
        self._connection = Connection(transport, database, self.standing, config)
        self._visits = VisitRunner(
            self._connection,
            programs,
            self._hold,
            self.standing,
            quiet if transport.shares_host else contextlib.nullcontext(),
            self._send_ahead,
            self._stopping,
            partial(setattr, self, "state"),
        )

    @property
    def device(self) -> Device | None:
        return self._connection.device

    @property
    def targets(self) -> dict[str, Target]:
        return self._connection.targets

    @property
    def is_connected(self) -> bool:
        return self._connection.agent is not None

    @property
    def obstacle(self) -> str:
        """Why it takes no job now; "" where it does."""
        is_at_work = self.state == "idle" or self.state.startswith("measuring")
        return self.standing.obstacle or ("" if is_at_work else self.state)

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._step()
            except Unavailable as error:
                self._connection.renew()
                log.warning("%s", error)
            except LeaseLost as error:
                self._hold.lose()
                self.state = f"held by another lab: {error}"
                self._stopping.wait(LOST_PAUSE_S)
            except Exception as error:
                # A defect must not silence the device for good.
                self.state = f"error: {error}"
                log.exception("the worker of %s failed", self.transport.name)
                self._stopping.wait(LOST_PAUSE_S)
        self._close()

    def reconnect(self) -> None:
        """Its device may have come or gone: to be looked for before anything else is asked."""
        self._connection.renew()

    def read_conditions(self) -> Conditions:
        """From any thread. Raises Unavailable."""
        if (agent := self._connection.agent) is None:
            raise Unavailable(f"the device behind {self.transport.name} is not connected")
        return agent.read_conditions()

    def stop(self) -> None:
        """Ends the agent, and with it a visit under way; its job goes on at the next start."""
        self._stopping.set()
        self._connection.renew()
        self.transport.stop()
        self.join(timeout=10.0)

    def remove(self) -> None:
        """Returns at once. A visit under way is the device's last; then it leaves its jobs to
        others, and those that no other device serves end."""
        self._removed = True
        self._stopping.set()
        self._connection.renew()

    @property
    def is_removed(self) -> bool:
        return self._removed

    def _close(self) -> None:
        self._filing.close()
        self._uploads.close()
        self.standing.gone(EventKind.STOPPED)
        if self._removed:
            self.transport.stop()
            if self.device is not None:
                why = Failure(FailureKind.DEVICE_LOST, "it was removed from the lab")
                self._board.leave(self.device.serial, self.targets, why)
        self._hold.release()

    def _step(self) -> None:
        agent = self._connection.agent
        if agent is None or self._connection.must_be_renewed:
            self._connect()
            return
        if self.standing.obstacle:
            self._stand_aside(agent)
            return
        self.state = "idle"
        awake = self.sentinels.awake(self.targets)
        state = self._board.take(self._connection.known_device.serial, awake, IDLE_S)
        if state is None:
            self._filing.settle()
            return
        with contextlib.ExitStack() as held:
            held.callback(self._board.put_back, state)
            if not self._stopping.is_set():
                self.state = "measuring"
                self._serve(agent, state, held)

    def _connect(self) -> None:
        """Then it is tried again later, and the open jobs of this device fail where they have
        waited for long enough."""
        self.state = "connecting"
        try:
            if not self._connection.open(self._stopping):
                return
        except Unavailable as error:
            self.state = f"lost: {error}"
            self.standing.gone(EventKind.LOST, str(error))
            if self.device is not None and self._connection.is_given_up:
                why = Failure(FailureKind.DEVICE_LOST, str(error))
                self._board.leave(self.device.serial, self.targets, why)
            self._connection.wait(LOST_PAUSE_S)
        else:
            self._visits.cooling.max_c = self._connection.group.max_c
            self.sentinels.reconnected()
            self._board.join(self._connection.known_device.serial, self.targets)

    def _stand_aside(self, agent: AgentClient) -> None:
        """Drained or quarantined: it takes no job, and what it was asked others may do."""
        self.state = self.standing.obstacle
        self._filing.settle()
        why = Failure(FailureKind.DEVICE_LOST, self.state)
        self._board.give_up(self._connection.known_device.serial, why)
        if self.standing.probe_is_due:
            self.standing.probe(partial(self._run_sentinel, agent))
        else:
            self._connection.wait(IDLE_S)

    def _run_sentinel(self, agent: AgentClient) -> Visit | Failure | None:
        """One visit, which belongs to no job; where no sentinel is pinned, that the device
        answers is enough. Raises Unavailable."""
        for target_id in self.targets:
            program = self.sentinels.program(target_id)
            if program is not None and self._programs.has(program.sha256, program.size_bytes):
                return self._visits.run_alone(agent, program, target_id)
        agent.read_conditions()
        return None

    def _serve(self, agent: AgentClient, state: JobState, held: contextlib.ExitStack) -> None:
        """`held` puts the job back; it goes along with an outcome that is still to be filed."""
        needed = state.next()
        if state.asked is not None:
            self._visit(agent, state, *state.asked, held)
        elif (sentinel := self.sentinels.due(state.job.target_id)) is not None:
            self._filing.settle()
            self._check(agent, state.job.target_id, sentinel)
        elif isinstance(needed, NextVisit):
            rested_ns = state.last_asked_ns + round(needed.rest_s * 1e9)
            if rested_ns > time.monotonic_ns():
                self._board.rest(state, rested_ns)
                return
            run_id = self._board.ask(state, needed, self._connection.known_device.serial)
            self._visit(agent, state, run_id, needed, held)
        elif isinstance(needed, Failure):
            self._end(state, needed)
        else:
            self._complete(state)

    def _check(self, agent: AgentClient, target_id: str, sentinel: Program) -> None:
        """Measures the target's sentinel, to its end and before any job goes on."""
        activity = self.state = "measuring the sentinel"
        serial = self._connection.known_device.serial
        state = self._board.open_sentinel(target_id, sentinel, sentinel_rule.SPEC)
        measurement = None
        try:
            while isinstance(needed := state.next(), NextVisit):
                if self._stopping.wait(needed.rest_s):
                    raise Unavailable("the lab is stopping")
                run_id = self._board.ask(state, needed, serial)
                outcome = self._visits.run(agent, state, run_id, needed.traced, activity)
                self._filing.file(agent, state, run_id, outcome)
        except (Unavailable, LeaseLost) as error:
            self._board.end(state, Failure(FailureKind.DEVICE_LOST, str(error)))
            raise
        if needed is None:
            measurement = self._board.complete(state, kernel_ns=None)
        else:
            self._board.end(state, needed)
        if self.sentinels.take(target_id, serial, measurement).drifted:
            self._board.suspect(target_id)

    def _visit(
        self,
        agent: AgentClient,
        state: JobState,
        run_id: str,
        needed: NextVisit,
        held: contextlib.ExitStack,
    ) -> None:
        try:
            outcome = self._visits.run(agent, state, run_id, needed.traced, self.state)
        except Unavailable as error:
            state.times_lost += 1
            if self._stopping.is_set() or state.times_lost < MAX_TIMES_LOST:
                raise
            outcome = Failure(FailureKind.DEVICE_LOST, f"{MAX_TIMES_LOST} times: {error}")
        if self.transport.shares_host:
            self._filing.file(agent, state, run_id, outcome)
        else:
            self._filing.file_beside(agent, state, run_id, outcome, held)

    def _send_ahead(self, agent: AgentClient, program: Program) -> None:
        """Of a remote device: once the program's own upload is over, the next one's begins."""
        if not self.transport.shares_host:
            self._uploads.wait_for(program)
            self._uploads.go_on(agent, self._board.upcoming(self.targets))

    def _complete(self, state: JobState) -> None:
        try:
            kernel_ns = kernel_times_ns(state.program, state.visits)
        except TraceMismatch as error:
            self._end(state, Failure(FailureKind.TRACE_MISMATCH, str(error)))
        else:
            self._board.complete(state, kernel_ns)
            self.sentinels.job_ended(state.job.target_id)

    def _end(self, state: JobState, failure: Failure) -> None:
        self._board.end(state, failure)
        self.sentinels.job_ended(state.job.target_id)
