"""Measure the sentinel of a target to its end before any job goes on, or probe a device with it."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from host.agent.client import AgentClient
from host.devices.beside_visits.result_writer import ResultWriter
from host.devices.readiness import sentinel_rule
from host.devices.readiness.sentinel_watch import SentinelWatch
from host.devices.visit_runner import VisitRunner
from host.jobs.dispatcher import Dispatcher
from host.measuring.stopping import NextVisit
from latlab.domain.device import DevicePhase
from latlab.domain.errors import LeaseLost, Unavailable
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Measurement, Visit
from latlab.domain.program import Program


class SentinelRun:
    """Measures sentinels on one device."""

    def __init__(
        self,
        board: Dispatcher,
        sentinels: SentinelWatch,
        visits: VisitRunner,
        results: ResultWriter,
        stopping: threading.Event,
    ) -> None:
        self._board = board
        self._sentinels = sentinels
        self._visits = visits
        self._results = results
        self._stopping = stopping

    def probe(self, agent: AgentClient, target_ids: Iterable[str]) -> Visit | Failure | None:
        """Run a sentinel in one visit that belongs to no job.

        Returns None if the device answers and has no sentinel. Raises Unavailable and LeaseLost.
        """
        for target_id in target_ids:
            if (sentinel := self._sentinels.program(target_id)) is not None:
                outcome = self._visits.run_alone(agent, sentinel, target_id)
                if outcome is not None:
                    return outcome
        agent.read_conditions()
        return None

    def measure(
        self, agent: AgentClient, serial: str, target_id: str, sentinel: Program
    ) -> Measurement | None:
        """Measure the sentinel, the program that shows whether a target still is as fast as before.

        Returns:
            The measurement; None if it failed.

        Raises:
            Unavailable: The device was lost, or the lab is stopping.
            LeaseLost: Another lab has the device.
        """
        state = self._board.open_sentinel(target_id, sentinel, sentinel_rule.SPEC)
        try:
            while isinstance(needed := state.next(), NextVisit):
                if self._stopping.wait(needed.rest_s):
                    raise Unavailable("the lab is stopping")
                run_id = self._board.ask(state, needed, serial)
                phase = DevicePhase.CHECKING
                outcome = self._visits.run(agent, state, run_id, needed.traced, phase)
                self._results.store(agent, state, run_id, outcome)
        except (Unavailable, LeaseLost) as error:
            self._board.end(state, Failure(FailureKind.DEVICE_LOST, str(error)))
            raise
        if needed is None:
            return self._board.complete(state, kernel_ns=None)
        self._board.end(state, needed)
        return None
