"""A watch of jobs between two streams, and when it opens the next one."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from latlab.client.connection.steps import Method
from latlab.client.requests.jobs import name_of
from latlab.convert.errors import retry_s
from latlab.convert.jobs import job_name, job_status_from_message
from latlab.domain.errors import TooLarge, Unavailable
from latlab.domain.job import JobStatus
from latlab.v1 import latency_pb2

MAX_WATCHED = 1_000
WATCH_PATIENCE_S = 300.0
WATCH_TIMEOUT_S = 24 * 3600.0  # of one stream
FIRST_WAIT_S = 0.2
MAX_WAIT_S = 10.0

# How a stream ends whose lab is stopped, or out of reach.
_BROKEN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN)


class JobWatch:
    """The state of one call of `watch_jobs`.

    Attributes:
        is_over: All jobs that were named have ended.
    """

    method: Method = staticmethod(lambda stubs: stubs.latency.WatchJobs)

    def __init__(
        self,
        jobs: Sequence[str],
        patience_s: float,
        *,
        reconnects: bool,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin a watch.

        Args:
            jobs: Names or ids of jobs; none for all of the caller's.
            patience_s: For how long the lab may be out of reach.
            reconnects: Whether a lab that does not answer may be back at the same address.
            chance: Returns a number from 0 to 1.
            clock: Returns the present time in s.

        Raises:
            TooLarge: More jobs are named than one watch may have.
        """
        if len(jobs) > MAX_WATCHED:
            raise TooLarge(f"{len(jobs):,} jobs are named: watch {MAX_WATCHED:,} at a time")
        self.is_over = False
        self._names = list(dict.fromkeys(map(name_of, jobs)))
        self._open = set(self._names)
        self._token = ""
        self._patience_s = patience_s
        self._reconnects = reconnects
        self._chance = chance
        self._clock = clock
        self._heard_s = clock()
        self._failures = 0

    def request(self) -> latency_pb2.WatchJobsRequest:
        """Return the request for the next stream, which goes on where the last one broke off."""
        return latency_pb2.WatchJobsRequest(names=self._names, resume_token=self._token)

    def take(self, response: latency_pb2.WatchJobsResponse) -> JobStatus:
        """Return the job that an answer holds, and remember where to go on."""
        self._token = response.resume_token
        self._heard_s = self._clock()
        self._failures = 0
        status = job_status_from_message(response.job)
        if status.phase.has_ended:
            self._open.discard(job_name(status.id))
        self.is_over = bool(self._names) and not self._open
        return status

    def wait_s(self, error: Any) -> float | None:  # noqa: ANN401 -- grpc.RpcError
        """Return how long to wait before the next stream; None if the error is final."""
        if error.code() is grpc.StatusCode.INVALID_ARGUMENT and self._token:
            self._token = ""  # the lab has been restored, say: it tells all states once more
            return 0.0
        told_s = retry_s(error)
        is_refused = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and told_s is not None
        if not is_refused and not (self._reconnects and error.code() in _BROKEN):
            return None
        if error.code() is grpc.StatusCode.UNKNOWN and error.trailing_metadata():
            return None
        return self._next_wait_s(told_s)

    def wait_after_end_s(self) -> float:
        """Return how long to wait before the next stream, if a stream ended before its jobs did.

        Raises:
            Unavailable: The lab has ended streams without an answer for too long.
        """
        wait_s = self._next_wait_s(None)
        if wait_s is None:
            raise Unavailable(
                f"the lab has told nothing about the jobs for {self._patience_s:g} s: `latlab jobs`"
                " says what they wait for"
            )
        return wait_s

    def _next_wait_s(self, told_s: float | None) -> float | None:
        growing_s = min(MAX_WAIT_S, FIRST_WAIT_S * 2.0 ** min(self._failures, 16))
        wait_s = growing_s * (0.5 + 0.5 * self._chance()) + (told_s or 0.0)
        if self._clock() - self._heard_s + wait_s > self._patience_s:
            return None
        self._failures += 1
        return wait_s
