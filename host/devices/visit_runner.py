"""Run one visit on a device: wait until it is cool, run the program, check the outcome."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

from host.agent.client import AgentClient
from host.devices.connection import Connection
from host.devices.lease import DeviceLease
from host.devices.readiness.health_watch import HealthWatch
from host.home.result_quarantine import ResultQuarantine
from host.jobs.job_state import JobState
from latlab.common.program_store import ProgramStore
from latlab.common.telemetry.activities import OUTCOME, VISIT, activity
from latlab.common.telemetry.work import working
from latlab.domain.benchmark_spec import VisitSpec
from latlab.domain.checks.visit import checked
from latlab.domain.device import DevicePhase
from latlab.domain.errors import Unavailable
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Visit
from latlab.domain.program import Program

SLOW_ANSWER_S = 2.0


class VisitRunner:
    """Runs the visits of one worker.

    Args:
        quarantine: Keeps what is no possible visit.
        alone: Within it, the device has its machine to itself.
        stopping: Is set when the lab stops using the device.
        show: Is called with the device's phase and its detail.
    """

    def __init__(
        self,
        connection: Connection,
        programs: ProgramStore,
        lease: DeviceLease,
        health: HealthWatch,
        quarantine: ResultQuarantine,
        alone: AbstractContextManager[object],
        stopping: threading.Event,
        show: Callable[[DevicePhase, str], None],
    ) -> None:
        self._connection = connection
        self._programs = programs
        self._lease = lease
        self._health = health
        self._quarantine = quarantine
        self._alone = alone
        self._stopping = stopping
        self._show = show

    def run(
        self, agent: AgentClient, state: JobState, run_id: str, traced: bool, phase: DevicePhase
    ) -> Visit | Failure:
        """Run one visit of the job, and return its checked outcome.

        Args:
            phase: The device's phase once it is cool.

        Raises:
            Unavailable: The device does not answer, or the lab stops using it.
            LeaseLost: Another lab has the device.
        """
        job, serial = state.job, self._connection.known_device.serial
        with (
            working(job_id=job.id, run_id=run_id),
            activity(VISIT, target_id=job.target_id, device=serial, run_id=run_id) as visit,
        ):
            outcome = self._visit(agent, state, run_id, traced, phase)
            visit[OUTCOME] = "samples" if isinstance(outcome, Visit) else outcome.kind.value
            return outcome

    def _visit(
        self, agent: AgentClient, state: JobState, run_id: str, traced: bool, phase: DevicePhase
    ) -> Visit | Failure:
        """Run one visit of the job. Raises as `run` does."""
        program = state.program
        if not self._programs.has(program.sha256, program.size_bytes):
            return Failure(
                FailureKind.NOT_A_PROGRAM,
                "the lab no longer has the program's bytes: upload it again",
            )
        target = self._connection.targets[state.job.target_id]
        spec = replace(
            state.job.spec.visit,
            threads=target.threads,
            core_class=target.core_class,
            traced=traced,
        )
        try:
            self._cool_down(agent, phase)
            outcome = self._run(agent, run_id, program, spec)
        except Unavailable as error:
            if not self._stopping.is_set():
                lost = Failure(FailureKind.DEVICE_LOST, str(error))
                self._health.visited(state.job, traced, lost)
            raise
        self._health.visited(state.job, traced, outcome)
        if isinstance(outcome, Visit):
            self._connection.heat.visited(outcome)
        return outcome

    def run_alone(
        self, agent: AgentClient, program: Program, target_id: str
    ) -> Visit | Failure | None:
        """Run one visit that belongs to no job; None if the lab lacks the program's bytes.

        Raises Unavailable and LeaseLost.
        """
        if not self._programs.has(program.sha256, program.size_bytes):
            return None
        target = self._connection.targets[target_id]
        spec = VisitSpec(threads=target.threads, core_class=target.core_class)
        run_id = uuid.uuid4().hex
        outcome = self._run(agent, run_id, program, spec)
        agent.acknowledge(run_id)
        return outcome

    def _cool_down(self, agent: AgentClient, phase: DevicePhase) -> None:
        heat = self._connection.heat
        heat.wait(agent, self._stopping, lambda: self._show(DevicePhase.COOLING, ""))
        answer_s = heat.answer_s
        slow = f"answers slowly: in {answer_s:.1f} s" if answer_s > SLOW_ANSWER_S else ""
        self._show(phase, slow)
        if self._stopping.is_set():
            raise Unavailable("the lab stops using the device")

    def _run(
        self, agent: AgentClient, run_id: str, program: Program, spec: VisitSpec
    ) -> Visit | Failure:
        lease = self._lease.renew(self._connection.known_device.serial)
        with self._alone:
            answer = agent.run(run_id, lease, program, self._programs.path(program.sha256), spec)
        outcome = checked(answer, run_id, spec)
        if isinstance(answer, Visit) and isinstance(outcome, Failure):
            kept = self._quarantine.keep(run_id, answer, outcome.message)
            message = f"{outcome.message}; {kept} in the lab's folder holds it"
            return replace(outcome, message=message)
        return outcome
