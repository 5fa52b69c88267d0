"""One thread for each device: it takes the next visit, has it run, and stores what came."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from dataclasses import replace
from functools import partial

from host.agent.client import AgentClient
from host.database import devices as device_rows
from host.database import sentinels as sentinel_rows
from host.database.engine import Database
from host.devices.lease import Hold
from host.devices.program_uploads import Uploads
from host.devices.readiness import sentinel_rule
from host.devices.readiness.health_watch import Standing
from host.devices.readiness.heat_watch import Cooling
from host.devices.readiness.sentinel_watch import SentinelWatch
from host.devices.result_writer import Filing
from host.devices.transports.transport import Transport
from host.home.config import NO_CONFIG, LabConfig
from host.jobs.dispatcher import JobBoard
from host.jobs.job_state import MAX_TIMES_LOST, JobState
from host.measuring.kernel_times import kernel_times_ns
from host.measuring.stopping import NextVisit
from latlab.common.program_store import ProgramStore
from latlab.domain.benchmark_spec import VisitSpec
from latlab.domain.device import Device, EventKind
from latlab.domain.errors import LeaseLost, TraceMismatch, Unavailable
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Conditions, Visit
from latlab.domain.program import Program
from latlab.domain.target import Target, targets_of
from latlab.domain.visit_check import checked

log = logging.getLogger(__name__)

IDLE_S = 1.0
CONNECT_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0)
LOST_PAUSE_S = 30.0
SLOW_ANSWER_S = 2.0


class DeviceWorker(threading.Thread):
    """Serves every target of its device, one visit at a time, under a lease."""

    def __init__(
        self,
        transport: Transport,
        database: Database,
        board: JobBoard,
        programs: ProgramStore,
        quiet: threading.Lock,
        holder: str,
        config: LabConfig = NO_CONFIG,
    ) -> None:
        super().__init__(name=f"device-{transport.name}", daemon=True)
        self.transport = transport
        self.device: Device | None = None
        self.targets: dict[str, Target] = {}
        self.state = "connecting"
        self.sentinels = SentinelWatch(database)
        self.standing = Standing(database)
        self._database = database
        self._board = board
        self._programs = programs
        self._quiet = quiet if transport.shares_host else contextlib.nullcontext()
        self._config = config
        self._agent: AgentClient | None = None
        self._hold = Hold(database, holder)
        self._cooling = Cooling()
        self._uploads = Uploads(programs)
        self._filing = Filing(board)
        self._stopping = threading.Event()
        self._anew = threading.Event()
        self._removed = False
        self._lost_s = time.monotonic()

    @property
    def is_connected(self) -> bool:
        return self._agent is not None

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
                self._anew.set()
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
        self._anew.set()

    def read_conditions(self) -> Conditions:
        """From any thread. Raises Unavailable."""
        if (agent := self._agent) is None:
            raise Unavailable(f"the device behind {self.transport.name} is not connected")
        return agent.read_conditions()

    def stop(self) -> None:
        """Ends the agent, and with it a visit under way; its job goes on at the next start."""
        self._stopping.set()
        self._anew.set()
        self.transport.stop()
        self.join(timeout=10.0)

    def remove(self) -> None:
        """Returns at once. A visit under way is the device's last; then it leaves its jobs to
        others, and those that no other device serves end."""
        self._removed = True
        self._stopping.set()
        self._anew.set()

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
        if self._agent is None or self._anew.is_set():
            self._connect()
            return
        if self.standing.obstacle:
            self._stand_aside(self._agent)
            return
        self.state = "idle"
        awake = self.sentinels.awake(self.targets)
        state = self._board.take(self._known_device().serial, awake, IDLE_S)
        if state is None:
            self._filing.settle()
            return
        with contextlib.ExitStack() as held:
            held.callback(self._board.put_back, state)
            if not self._stopping.is_set():
                self.state = "measuring"
                self._serve(self._agent, state, held)

    def _stand_aside(self, agent: AgentClient) -> None:
        """Drained or quarantined: it takes no job, and what it was asked others may do."""
        self.state = self.standing.obstacle
        self._filing.settle()
        why = Failure(FailureKind.DEVICE_LOST, self.state)
        self._board.give_up(self._known_device().serial, why)
        if self.standing.probe_is_due:
            self.standing.probe(partial(self._run_sentinel, agent))
        else:
            self._anew.wait(IDLE_S)

    def _run_sentinel(self, agent: AgentClient) -> Visit | Failure | None:
        """One visit, which belongs to no job; where no sentinel is pinned, that the device
        answers is enough. Raises Unavailable."""
        for target in self.targets.values():
            program = self.sentinels.program(target.id)
            if program is not None and self._programs.has(program.sha256, program.size_bytes):
                spec = VisitSpec(threads=target.threads, core_class=target.core_class)
                lease = self._hold.renew(self._known_device().serial)
                run_id = uuid.uuid4().hex
                with self._quiet:
                    path = self._programs.path(program.sha256)
                    outcome = checked(agent.run(run_id, lease, program, path, spec), run_id, spec)
                agent.acknowledge(run_id)
                return outcome
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
            run_id = self._board.ask(state, needed, self._known_device().serial)
            self._visit(agent, state, run_id, needed, held)
        elif isinstance(needed, Failure):
            self._end(state, needed)
        else:
            self._complete(state)

    def _check(self, agent: AgentClient, target_id: str, sentinel: Program) -> None:
        """Measures the target's sentinel, to its end and before any job goes on."""
        self.state = "measuring the sentinel"
        serial = self._known_device().serial
        state = self._board.open_sentinel(target_id, sentinel, sentinel_rule.SPEC)
        measurement = None
        try:
            while isinstance(needed := state.next(), NextVisit):
                if self._stopping.wait(needed.rest_s):
                    raise Unavailable("the lab is stopping")
                run_id = self._board.ask(state, needed, serial)
                self._filing.file(agent, state, run_id, self._run(agent, state, run_id, needed))
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
            outcome = self._run(agent, state, run_id, needed)
        except Unavailable as error:
            state.times_lost += 1
            if self._stopping.is_set() or state.times_lost < MAX_TIMES_LOST:
                raise
            outcome = Failure(FailureKind.DEVICE_LOST, f"{MAX_TIMES_LOST} times: {error}")
        if self.transport.shares_host:
            self._filing.file(agent, state, run_id, outcome)
        else:
            self._filing.file_beside(agent, state, run_id, outcome, held)

    def _run(
        self, agent: AgentClient, state: JobState, run_id: str, needed: NextVisit
    ) -> Visit | Failure:
        target = self.targets[state.job.target_id]
        spec = replace(
            state.job.spec.visit,
            threads=target.threads,
            core_class=target.core_class,
            traced=needed.traced,
        )
        program = state.program
        if not self._programs.has(program.sha256, program.size_bytes):
            return Failure(FailureKind.NOT_A_PROGRAM, "the program's bytes are gone: resend")
        activity = self.state
        self._cooling.wait(agent, self._stopping, self._show_cooling)
        self.state = activity
        if self._stopping.is_set():
            raise Unavailable("the lab lets go of the device")
        if self._cooling.answer_s > SLOW_ANSWER_S:
            self.state += f", and answers slowly: in {self._cooling.answer_s:.1f} s"
        lease = self._hold.renew(self._known_device().serial)
        if not self.transport.shares_host:
            self._uploads.wait_for(program)
            self._uploads.go_on(agent, self._board.upcoming(self.targets))
        with self._quiet:
            path = self._programs.path(program.sha256)
            try:
                outcome = checked(agent.run(run_id, lease, program, path, spec), run_id, spec)
            except Unavailable as error:
                if not self._stopping.is_set():
                    lost = Failure(FailureKind.DEVICE_LOST, str(error))
                    self.standing.visited(program.sha256, lost)
                raise
        self.standing.visited(program.sha256, outcome)
        if isinstance(outcome, Visit):
            self._cooling.visited(outcome)
        return outcome

    def _show_cooling(self) -> None:
        self.state = "cooling down"

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

    def _connect(self) -> None:
        """Bounded: then it is tried again later, and the open jobs of this device fail where
        they have waited for long enough."""
        self.state = "connecting"
        if self._agent is not None:
            self._agent, self._lost_s = None, time.monotonic()
        for pause_s in CONNECT_PAUSES_S:
            self._anew.clear()
            try:
                agent = self.transport.connect()
                self._register(agent.describe())
            except Unavailable as error:
                lost = error
                self._anew.wait(pause_s)
                if self._stopping.is_set():
                    return
            else:
                self.sentinels.reconnected()
                self._agent = agent
                return
        self.state = f"lost: {lost}"
        self.standing.gone(EventKind.LOST, str(lost))
        if self.device is not None and time.monotonic() > self._lost_s + self.transport.patience_s:
            why = Failure(FailureKind.DEVICE_LOST, str(lost))
            self._board.leave(self.device.serial, self.targets, why)
        self._anew.wait(LOST_PAUSE_S)

    def _register(self, device: Device) -> None:
        self.device = device
        group = self._config.group_of(device.serial, device.model, self.transport.name)
        self._cooling.max_c = group.max_c
        targets = targets_of(device, group.core_classes)
        self.targets = {target.id: target for target in targets}
        with self._database.writing() as connection:
            device_rows.register(connection, device, self.transport.name, time.time_ns())
            for target in self.targets.values():
                device_rows.register_target(connection, target)
            self.standing.connected(connection, device.serial)
            if (pinned := sentinel_rows.pinned_program(connection)) is not None:
                sentinel_rows.pin(connection, pinned)
        self._board.join(device.serial, self.targets)

    def _known_device(self) -> Device:
        if self.device is None:
            raise Unavailable(f"the device behind {self.transport.name} is not connected yet")
        return self.device
