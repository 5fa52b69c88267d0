"""Run one visit at a time; check leases, and let repeated requests join a run."""

from __future__ import annotations

import concurrent.futures
import logging
import threading
import time
from collections.abc import Callable

from device_agent.lease import LeaseGuard
from device_agent.results import ResultStore
from device_agent.runner_process import Stop, failed
from latlab.domain.errors import (
    DiskFull,
    InvalidRequest,
    LabError,
    LeaseLost,
    NotFound,
    StorageError,
    Unavailable,
)
from latlab.v1 import common_pb2
from latlab.v1.device_agent_pb2 import RunRequest, RunResponse

MAX_WAITING = 8
_GRACE_S = 10.0  # after a running visit's deadline, to kill its runner and store the result

_TOO_LATE = failed(
    common_pb2.FAILURE_KIND_TIMED_OUT, "its turn did not come, or did not end, in time"
)

# No result of a visit: the request's fault, or a device that cannot run it now.
_REFUSALS = (DiskFull, InvalidRequest, LeaseLost, NotFound)

_log = logging.getLogger(__name__)


class PendingVisit:
    """A run that was accepted. Its `deadline_s` is in the time of time.monotonic."""

    def __init__(self, request: RunRequest) -> None:
        self.request = request
        self.deadline_s = time.monotonic() + request.spec.deadline_ns / 1e9
        self.stop = Stop()
        self.response: concurrent.futures.Future[RunResponse]


class VisitQueue:
    """Performs visits one after another.

    `measure` performs a visit. An error that is no refusal is answered as AGENT_ERROR.
    """

    def __init__(
        self,
        measure: Callable[[PendingVisit], RunResponse],
        results: ResultStore,
        lease: LeaseGuard,
    ) -> None:
        self._measure = measure
        self._results = results
        self._lease = lease
        self._lock = threading.Lock()
        self._visits: dict[str, PendingVisit] = {}  # running or waiting, by run_id
        # One thread that lives as long as the agent, because a runner ends with its starter.
        self._worker = concurrent.futures.ThreadPoolExecutor(1, "visits")

    def run(self, request: RunRequest) -> RunResponse:
        """Perform a run when its turn comes, join it if it is running, or return its stored result.

        The visit goes on if its caller leaves. Raises LeaseLost if another lab has the device,
        and Unavailable if too many runs are waiting.
        """
        with self._lock:
            if self._lease.take(request):
                self._cancel_others(request.run_id, "another lease took the device over")
            finished = self._results.get(request.run_id)
            if finished is not None:
                return finished
            visit = self._visits.get(request.run_id) or self._let_in(request)
        return self._outcome(visit)

    def end_lease(self) -> None:
        """End the present lease, so that another lab may take the device over at once."""
        with self._lock:
            self._lease.end()

    def close(self) -> None:
        """End every visit as CANCELLED and wait for the last runner to end."""
        with self._lock:
            self._cancel_others(run_id=None, reason="the agent is shutting down")
        self._worker.shutdown(wait=True)

    def _outcome(self, visit: PendingVisit) -> RunResponse:
        try:
            return visit.response.result(max(visit.deadline_s - time.monotonic(), 0))
        except concurrent.futures.TimeoutError:
            pass
        if visit.response.cancel():  # the visit was still waiting
            with self._lock:
                self._visits.pop(visit.request.run_id, None)
        try:
            return visit.response.result(_GRACE_S)
        except (concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
            return _TOO_LATE

    def _cancel_others(self, run_id: str | None, reason: str) -> None:
        for visit in self._visits.values():
            if visit.request.run_id != run_id:
                visit.stop.end_with(failed(common_pb2.FAILURE_KIND_CANCELLED, reason))

    def _let_in(self, request: RunRequest) -> PendingVisit:
        if len(self._visits) > MAX_WAITING:
            raise Unavailable(f"{MAX_WAITING} runs are waiting already: try again later")
        visit = PendingVisit(request)
        visit.response = self._worker.submit(self._perform, visit)
        self._visits[request.run_id] = visit
        return visit

    def _perform(self, visit: PendingVisit) -> RunResponse:
        run_id = visit.request.run_id
        try:
            response = visit.stop.outcome or self._measure(visit)
            # A cancelled run has measured nothing, so it runs again if it is requested again.
            if response.failure.kind != common_pb2.FAILURE_KIND_CANCELLED:
                self._keep(run_id, response)
            return response
        except _REFUSALS:
            raise
        except Exception as error:  # the agent goes on serving
            _log.exception("run %s", run_id)
            is_defect = not isinstance(error, LabError)
            message = f"the agent's log explains run {run_id}" if is_defect else str(error)
            return failed(common_pb2.FAILURE_KIND_AGENT_ERROR, message)
        finally:
            with self._lock:
                self._visits.pop(run_id, None)

    def _keep(self, run_id: str, response: RunResponse) -> None:
        """Store a result, whose caller gets it even if that fails."""
        try:
            self._results.put(run_id, response)
        except StorageError as error:
            _log.warning("the result of run %s is answered and not stored: %s", run_id, error)
