"""The typed client of the lab for asyncio.

async with latlab.aio.connect() as lab:
    job = await lab.create_measurement(target, program)
    async for status in lab.watch_jobs([job.id]):
        print(status.phase, status.provisional)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import grpc

from latlab.client.aio.calls import AsyncCalls
from latlab.client.connection.endpoint import Endpoint
from latlab.client.connection.environment import find_endpoint
from latlab.client.requests.job_watch import (
    MAX_WATCHED,
    WATCH_PATIENCE_S,
    WATCH_TIMEOUT_S,
    JobWatch,
)
from latlab.client.requests.jobs import cancel_job, create_measurement, get_job
from latlab.client.requests.lab import list_conditions, list_queue
from latlab.client.requests.measurements import (
    get_breakdown,
    joined,
    list_samples,
    list_visits,
    query_measurements,
)
from latlab.client.requests.targets import get_target, list_targets, predict, predict_programs
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.estimate import LatencyEstimate, MeasuredLatency
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import JobStatus
from latlab.domain.kernel import Kernel
from latlab.domain.measurement import Conditions
from latlab.domain.program import Program, ProgramFile
from latlab.domain.records.breakdown import Breakdown
from latlab.domain.records.measurements import (
    MeasurementOrder,
    MeasurementSummary,
    Samples,
    VisitSummary,
)
from latlab.domain.records.predictions import ProgramPredictions, QueryMode, TargetDetails
from latlab.domain.target import TargetStatus

T = TypeVar("T")


class AsyncLatencyClient:
    """A client of a running lab for one event loop.

    Its methods mean what those of `LatencyClient` do, and raise the same errors. Each has a
    deadline. Any number of tasks may call it at the same time.
    """

    def __init__(self, address: str, token: str, certificate: str | None = None) -> None:
        """Prepare to call a lab. `latlab.aio.connect` finds the lab.

        Args:
            address: The lab's host and port.
            token: The token to send.
            certificate: The lab's certificate as PEM, which is pinned. Without it there is no TLS,
                which is possible on loopback only.

        Raises:
            InvalidRequest: The address makes no sense, or the certificate is missing.
        """
        endpoint = Endpoint(address, token, certificate)
        self._calls = AsyncCalls(lambda: endpoint)

    @classmethod
    def found(cls, home: Path | None = None) -> AsyncLatencyClient:
        """Return a client of the lab that the environment names, as `LatencyClient.connect`.

        The lab is looked for when the client is entered or makes its first call.

        Args:
            home: The folder of a lab of this machine, in place of what the environment says.
        """
        client = cls.__new__(cls)
        client._calls = AsyncCalls(partial(find_endpoint, home))
        return client

    async def __aenter__(self) -> AsyncLatencyClient:
        """Find the lab, and return the client."""
        await self._calls.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the channel."""
        await self.close()

    async def close(self) -> None:
        """Close the channel."""
        await self._calls.close()

    async def targets(self) -> list[TargetStatus]:
        """Return every target that the lab knows, with its state."""
        return await self._calls.make(list_targets())

    async def target(self, name: str) -> TargetDetails:
        """Return what is known about one target, and what predictions for it rest on."""
        return await self._calls.make(get_target(name))

    async def predict(
        self,
        target: str,
        networks: Sequence[Sequence[Kernel]],
        *,
        min_measurements: int = 0,
        strict: bool = False,
    ) -> list[LatencyEstimate]:
        """Return the predicted latency of each network, given as its kernels."""
        call = predict(target, networks, min_measurements=min_measurements, strict=strict)
        return await self._calls.make(call)

    async def predict_programs(
        self,
        target: str,
        program_sha256: Sequence[str],
        mode: QueryMode = QueryMode.AUTO,
        *,
        max_half_width: float | None = None,
        spec: BenchmarkSpec | None = None,
    ) -> ProgramPredictions:
        """Return the latencies of programs that the lab has, measured or predicted."""
        return await self._calls.make(
            predict_programs(target, program_sha256, mode, max_half_width, spec)
        )

    async def create_measurement(
        self,
        target: str,
        program: ProgramFile | Program | str,
        spec: BenchmarkSpec | None = None,
        *,
        fresh: bool = False,
        priority: int = 0,
    ) -> JobStatus:
        """Ask for a measurement, and return its job at once. A file is uploaded first."""
        if not isinstance(program, str):
            await self._calls.upload(program)
        call = create_measurement(target, program, spec, fresh=fresh, priority=priority)
        return await self._calls.make(call)

    async def job(self, job: str) -> JobStatus:
        """Return a job, also one that has ended."""
        return await self._calls.make(get_job(job))

    async def cancel_job(self, job: str) -> JobStatus:
        """End a job for its owner. One that others wait for goes on for them."""
        return await self._calls.make(cancel_job(job))

    async def watch_jobs(
        self, jobs: Sequence[str] = (), *, patience_s: float = WATCH_PATIENCE_S
    ) -> AsyncIterator[JobStatus]:
        """Yield the state of each job at once, and again whenever it changes.

        It connects again by itself, as `LatencyClient.watch_jobs` does.
        """
        reconnects = await self._calls.reconnects()
        watch = JobWatch(jobs, patience_s, reconnects=reconnects)
        while not watch.is_over:
            try:
                async for answer in self._calls.open(
                    watch.method, watch.request(), WATCH_TIMEOUT_S
                ):
                    yield watch.take(answer)
                    if watch.is_over:
                        return
            except grpc.RpcError as error:
                wait_s = watch.wait_s(error)
                if wait_s is None:
                    raise await self._calls.explained(error) from error
            else:
                wait_s = watch.wait_after_end_s()
            await asyncio.sleep(wait_s)

    async def measure(
        self,
        target: str,
        programs: Sequence[ProgramFile | Program | str],
        spec: BenchmarkSpec | None = None,
        *,
        fresh: bool = False,
        priority: int = 0,
        on_status: Callable[[JobStatus], None] = lambda status: None,
    ) -> list[MeasuredLatency | Failure]:
        """Measure programs, and return the outcome of each in input order.

        The jobs go on if this task is cancelled; asking again joins them.

        Args:
            target: Id or name of the target.
            programs: Files, which are uploaded first, or programs that the lab has.
            spec: How to measure; None: as the lab does by default.
            fresh: Measure again what the lab has measured already.
            priority: Higher priorities come first, among the caller's own jobs.
            on_status: Called with the state of a job whenever it changes.
        """
        outcomes: list[MeasuredLatency | Failure] = []
        for start in range(0, len(programs), MAX_WATCHED):
            jobs = [
                await self.create_measurement(target, each, spec, fresh=fresh, priority=priority)
                for each in programs[start : start + MAX_WATCHED]
            ]
            ended = {job.id: job for job in jobs if job.phase.has_ended}
            if still_open := [job.id for job in jobs if job.id not in ended]:
                async for status in self.watch_jobs(still_open):
                    on_status(status)
                    if status.phase.has_ended:
                        ended[status.id] = status
            outcomes += [_outcome(ended[job.id]) for job in jobs]
        return outcomes

    def query_measurements(
        self,
        *,
        target: str = "",
        program_sha256: str = "",
        since_unix_ns: int = 0,
        before_unix_ns: int = 0,
        everything: bool = False,
        order: MeasurementOrder = MeasurementOrder.NEWEST,
        page_size: int = 0,
    ) -> AsyncIterator[MeasurementSummary]:
        """Yield stored measurements, as `LatencyClient.query_measurements` does."""
        return self._calls.pages(
            query_measurements(
                target=target,
                program_sha256=program_sha256,
                since_unix_ns=since_unix_ns,
                before_unix_ns=before_unix_ns,
                everything=everything,
                order=order,
                page_size=page_size,
            )
        )

    async def breakdown(self, measurement_id: str) -> Breakdown:
        """Return where the time of a measurement goes: its kernels, and what none accounts for."""
        return await self._calls.make(get_breakdown(measurement_id))

    def visits(self, measurement_id: str) -> AsyncIterator[VisitSummary]:
        """Yield the visits of a measurement, without their samples."""
        return self._calls.pages(list_visits(measurement_id))

    async def samples(self, measurement_id: str, run_id: str) -> Samples:
        """Return the timed runs of one visit of a measurement."""
        pages = self._calls.pages(list_samples(measurement_id, run_id))
        return joined([page async for page in pages])

    def queue(self, target: str = "") -> AsyncIterator[JobStatus]:
        """Yield the open jobs of all owners, the next one in turn first."""
        return self._calls.pages(list_queue(target))

    def past_conditions(
        self, device: str, *, since_unix_ns: int = 0, before_unix_ns: int = 0
    ) -> AsyncIterator[Conditions]:
        """Yield the conditions around a device's visits, as `LatencyClient.past_conditions`."""
        return self._calls.pages(list_conditions(device, since_unix_ns, before_unix_ns))


def _outcome(status: JobStatus) -> MeasuredLatency | Failure:
    if status.outcome is None:  # no lab sends that
        return Failure(FailureKind.CANCELLED, f"the job {status.id} ended without an outcome")
    return status.outcome
