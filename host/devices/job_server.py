"""Do what a job needs next on one device: a visit, a check of its target's sentinel, or its end."""

from __future__ import annotations

import logging
import threading
import time

from host.agent.client import AgentClient
from host.devices.beside_visits.program_uploads import ProgramUploads
from host.devices.beside_visits.result_writer import ResultWriter
from host.devices.connection import Connection
from host.devices.readiness.sentinel_watch import SentinelWatch
from host.devices.sentinel_run import SentinelRun
from host.devices.visit_runner import VisitRunner
from host.jobs.dispatcher import Dispatcher
from host.jobs.job_state import MAX_DEFECTS, MAX_TIMES_LOST, JobState
from host.measuring.kernel_times import kernel_times_ns
from host.measuring.stopping import NextVisit
from latlab.domain.device import DevicePhase
from latlab.domain.errors import LabError, TraceMismatch, Unavailable
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Visit
from latlab.domain.program import Program

log = logging.getLogger(__name__)


class JobServer:
    """Serves the jobs that one worker takes.

    Args:
        connection: The worker's connection to its device.
        board: Where the worker takes jobs.
        visits: Runs the visits.
        sentinels: Says when a sentinel is due.
        results: Stores the outcomes of visits.
        uploads: Sends programs ahead of their visits; None if the device is this host.
        stopping: Is set when the lab stops using the device.
    """

    def __init__(
        self,
        connection: Connection,
        board: Dispatcher,
        visits: VisitRunner,
        sentinels: SentinelWatch,
        results: ResultWriter,
        uploads: ProgramUploads | None,
        stopping: threading.Event,
    ) -> None:
        self._connection = connection
        self._board = board
        self._visits = visits
        self._sentinels = sentinels
        self._results = results
        self._uploads = uploads
        self._stopping = stopping
        self._sentinel_run = SentinelRun(board, sentinels, visits, results, stopping)

    def serve(self, agent: AgentClient, state: JobState) -> bool:
        """Do what the job needs next.

        A job that a defect of the lab keeps from going on ends after MAX_DEFECTS tries.

        Returns:
            Whether the job was handed over to the result writer, which puts it back.

        Raises:
            Unavailable: The device does not answer, or the lab stops using it.
            LeaseLost: Another lab has the device.
            StorageError: The database is of no use at present, or the device has no space left.
        """
        try:
            return self._serve(agent, state)
        except LabError:
            raise
        except Exception:
            state.defects += 1
            if state.defects >= MAX_DEFECTS:
                message = f"the lab failed {MAX_DEFECTS} times to go on with it: see the lab's log"
                self._end(state, Failure(FailureKind.AGENT_ERROR, message))
            raise

    def probe(self, agent: AgentClient) -> Visit | Failure | None:
        """Run a sentinel in one visit that belongs to no job.

        Returns None if the device answers and has no sentinel. Raises Unavailable and LeaseLost.
        """
        return self._sentinel_run.probe(agent, self._connection.targets)

    def settle(self) -> None:
        """Wait until no outcome is being stored, and raise what storing it raised."""
        self._results.settle()

    def close(self) -> None:
        """Wait until no outcome is being stored and no program is being sent."""
        self._results.close()
        if self._uploads is not None:
            self._uploads.close()

    def _serve(self, agent: AgentClient, state: JobState) -> bool:
        needed = state.next()
        if state.asked is not None:
            return self._visit(agent, state, *state.asked)
        if (sentinel := self._sentinels.due(state.job.target_id)) is not None:
            self._results.settle()
            self._check(agent, state.job.target_id, sentinel)
        elif isinstance(needed, NextVisit):
            rested_ns = state.last_asked_ns + round(needed.rest_s * 1e9)
            if rested_ns > time.monotonic_ns():
                self._board.rest(state, rested_ns)
                return False
            run_id = self._board.ask(state, needed, self._connection.known_device.serial)
            return self._visit(agent, state, run_id, needed)
        elif isinstance(needed, Failure):
            self._end(state, needed)
        else:
            self._complete(state)
        return False

    def _check(self, agent: AgentClient, target_id: str, sentinel: Program) -> None:
        """Measure the target's sentinel to its end, before any job goes on."""
        serial = self._connection.known_device.serial
        measurement = self._sentinel_run.measure(agent, serial, target_id, sentinel)
        if self._sentinels.take(target_id, serial, measurement).drifted:
            self._board.suspect(target_id)

    def _visit(self, agent: AgentClient, state: JobState, run_id: str, needed: NextVisit) -> bool:
        """Make a visit. Returns whether the job was handed over with its outcome."""
        if self._uploads is not None:
            self._uploads.wait_for(state.program)
            self._uploads.start_next(agent, self._board.upcoming(self._connection.targets))
        try:
            outcome = self._visits.run(agent, state, run_id, needed.traced, DevicePhase.MEASURING)
        except Unavailable as error:
            route = self._connection.serving_route
            state.times_lost[route] += 1
            if self._stopping.is_set() or state.times_lost[route] < MAX_TIMES_LOST:
                raise
            outcome = Failure(
                FailureKind.DEVICE_LOST, f"the device was lost {MAX_TIMES_LOST} times: {error}"
            )
        if self._uploads is None:
            self._results.store(agent, state, run_id, outcome)
            return False
        self._results.store_later(agent, state, run_id, outcome)
        return True

    def _complete(self, state: JobState) -> None:
        """End the job with its measurement, which has no kernel times if its trace is of no use."""
        try:
            kernel_ns = kernel_times_ns(state.program, state.visits)
        except TraceMismatch as error:
            log.warning("job %s is measured without kernel times: %s", state.job.id, error)
            kernel_ns = None
        self._board.complete(state, kernel_ns)
        self._sentinels.job_ended(state.job.target_id)

    def _end(self, state: JobState, failure: Failure) -> None:
        self._board.end(state, failure)
        self._sentinels.job_ended(state.job.target_id)
