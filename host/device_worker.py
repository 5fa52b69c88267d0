"""One thread for each device: it takes the next visit, has it run, and stores what came."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import replace
from typing import Protocol

import numpy as np

from host import heat
from host.agent_client import AgentClient, LeaseLost
from host.board import JobBoard
from host.database import devices as device_rows
from host.database import sentinels as sentinel_rows
from host.database.engine import Database
from host.domain import Device, Failure, FailureKind, Lease, Program, Target, Visit
from host.errors import Unavailable
from host.program_store import ProgramStore
from host.scheduler import JobState
from host.sentinel_watch import SentinelWatch
from host.summary import QUANTILE, NextVisit
from host.targets import targets_of
from latency_models.alignment import TraceMismatch, align

log = logging.getLogger(__name__)

IDLE_S = 1.0
# A lease is renewed when less is left than any visit may take.
LEASE_NS = 900 * 10**9
LEASE_LEFT_NS = 700 * 10**9
CONNECT_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0)
LOST_PAUSE_S = 30.0


class Transport(Protocol):
    """A way to one device's agent. The daemon and a device that `shares_host` disturb
    each other, so they take turns. `patience_s` is for how long the open jobs of a device
    that is away wait for it to come back."""

    name: str
    shares_host: bool
    patience_s: float

    def connect(self) -> AgentClient:
        """Raises Unavailable."""

    def stop(self) -> None: ...


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
    ) -> None:
        super().__init__(name=f"device-{transport.name}", daemon=True)
        self.transport = transport
        self.device: Device | None = None
        self.targets: dict[str, Target] = {}
        self.state = "connecting"
        self.sentinels = SentinelWatch(database)
        self._database = database
        self._board = board
        self._programs = programs
        self._quiet = quiet if transport.shares_host else contextlib.nullcontext()
        self._holder = holder
        self._agent: AgentClient | None = None
        self._lease: Lease | None = None
        self._idle = heat.Idle()
        self._stopping = threading.Event()
        self._anew = threading.Event()
        self._lost_s = time.monotonic()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._step()
            except Unavailable as error:
                self._anew.set()
                log.warning("%s", error)
            except LeaseLost as error:
                self._lease = None
                self.state = f"held by another lab: {error}"
                self._stopping.wait(LOST_PAUSE_S)
            except Exception as error:
                # A defect must not silence the device for good.
                self.state = f"error: {error}"
                log.exception("the worker of %s failed", self.transport.name)
                self._stopping.wait(LOST_PAUSE_S)

    def reconnect(self) -> None:
        """Its device may have come or gone: to be looked for before anything else is asked."""
        self._anew.set()

    def stop(self) -> None:
        """Ends the agent, and with it a visit under way; its job goes on at the next start."""
        self._stopping.set()
        self._anew.set()
        self.transport.stop()
        self.join(timeout=10.0)
        if self._lease is not None:
            with self._database.writing() as connection:
                device_rows.release_lease(connection, self._lease)

    def _step(self) -> None:
        if self._agent is None or self._anew.is_set():
            self._connect()
            return
        self.state = "idle"
        state = self._board.wait_for_job(self.sentinels.awake(self.targets), IDLE_S)
        if state is None or self._stopping.is_set():
            return
        self.state = "measuring"
        needed = state.next()
        if state.asked is not None:
            self._visit(self._agent, state, *state.asked)
        elif (sentinel := self.sentinels.due(state.job.target_id)) is not None:
            self._check(self._agent, state.job.target_id, sentinel)
        elif isinstance(needed, NextVisit):
            rested_unix_ns = state.last_asked_unix_ns + round(needed.rest_s * 1e9)
            if rested_unix_ns > time.time_ns():
                self._board.rest(state, rested_unix_ns)
                return
            run_id = self._board.ask(state, needed, self._known_device().serial)
            self._visit(self._agent, state, run_id, needed)
        elif isinstance(needed, Failure):
            self._end(state, needed)
        else:
            self._complete(state)

    def _check(self, agent: AgentClient, target_id: str, sentinel: Program) -> None:
        """Measures the target's sentinel, to its end and before any job goes on."""
        self.state = "measuring the sentinel"
        serial = self._known_device().serial
        state = self._board.open_sentinel(target_id, sentinel)
        measurement = None
        try:
            while isinstance(needed := state.next(), NextVisit):
                if self._stopping.wait(needed.rest_s):
                    raise Unavailable("the lab is stopping")
                self._visit(agent, state, self._board.ask(state, needed, serial), needed)
        except (Unavailable, LeaseLost) as error:
            self._board.end(state, Failure(FailureKind.DEVICE_LOST, str(error)))
            raise
        if needed is None:
            measurement = self._board.complete(state, kernel_ns=None)
        else:
            self._board.end(state, needed)
        if self.sentinels.take(target_id, serial, measurement).drifted:
            self._board.suspect(target_id)

    def _visit(self, agent: AgentClient, state: JobState, run_id: str, needed: NextVisit) -> None:
        target = self.targets[state.job.target_id]
        spec = replace(
            state.job.spec.visit,
            threads=target.threads,
            core_class=target.core_class,
            traced=needed.traced,
        )
        program = state.program
        if not self._programs.has(program):
            gone = Failure(FailureKind.NOT_A_PROGRAM, "the program's bytes are gone: resend")
            self._board.answer(state, run_id, gone)
            return
        self._cool_down(agent)
        lease = self._renew_lease()
        with self._quiet:
            path = self._programs.path(program.sha256)
            outcome = agent.run(run_id, lease, program, path, spec)
        self._board.answer(state, run_id, outcome)
        agent.acknowledge(run_id)

    def _cool_down(self, agent: AgentClient) -> None:
        """Until the device is cool or has rested long enough; its conditions tell which."""
        activity, rested_s = self.state, time.monotonic() + heat.MAX_WAIT_S
        now = agent.read_conditions()
        self._idle = heat.learn(self._idle, now)
        while heat.is_hot(now, self._idle) and not self._stopping.wait(heat.POLL_S):
            self.state = "cooling down"
            now = agent.read_conditions()
            resting = time.monotonic() < rested_s
            self._idle = heat.learn(self._idle, now) if resting else heat.at_rest(now)
        self.state = activity

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
                device = agent.describe()
            except Unavailable as error:
                lost = error
                self._anew.wait(pause_s)
                if self._stopping.is_set():
                    return
            else:
                self._register(device)
                self.sentinels.reconnected()
                self._agent = agent
                return
        self.state = f"lost: {lost}"
        if time.monotonic() > self._lost_s + self.transport.patience_s:
            for state in self._board.open_states(self.targets):
                self._board.end(state, Failure(FailureKind.DEVICE_LOST, str(lost)))
        self._anew.wait(LOST_PAUSE_S)

    def _register(self, device: Device) -> None:
        self.device = device
        self.targets = {target.id: target for target in targets_of(device)}
        with self._database.writing() as connection:
            device_rows.register(connection, device, self.transport.name, time.time_ns())
            for target in self.targets.values():
                device_rows.register_target(connection, target)
            if (pinned := sentinel_rows.pinned_program(connection)) is not None:
                sentinel_rows.pin(connection, pinned)

    def _renew_lease(self) -> Lease:
        serial, now_unix_ns = self._known_device().serial, time.time_ns()
        held = self._lease
        if held is not None and LEASE_LEFT_NS < held.expires_unix_ns - now_unix_ns <= LEASE_NS:
            return held
        with self._database.writing() as connection:
            lease = device_rows.acquire_lease(
                connection, serial, self._holder, now_unix_ns, LEASE_NS
            )
        if lease is None:
            raise LeaseLost(f"{serial} is leased to another lab on this database")
        self._lease = lease
        return lease

    def _known_device(self) -> Device:
        if self.device is None:
            raise Unavailable(f"the device behind {self.transport.name} is not connected yet")
        return self.device


def kernel_times_ns(program: Program, visits: list[Visit]) -> tuple[float, ...] | None:
    """Mean time of each kernel over the fastest quarter of all traced runs, in the program's
    order: as a latency, that of the machine left to itself. None without a traced visit.
    Raises TraceMismatch when kernels and traces do not align."""
    traced = [visit for visit in visits if visit.traced]
    if not traced:
        return None
    names = [trace.name for trace in traced[0].kernel_traces]
    for visit in traced[1:]:
        if [trace.name for trace in visit.kernel_traces] != names:
            raise TraceMismatch("two traced visits of one program ran different kernels")
    durations_ns = np.hstack([[trace.durations_ns for trace in v.kernel_traces] for v in traced])
    totals_ns = durations_ns.sum(axis=0)
    fastest = durations_ns[:, totals_ns <= np.quantile(totals_ns, QUANTILE)]
    return align(program.kernels, list(zip(names, fastest.tolist(), strict=True)))
