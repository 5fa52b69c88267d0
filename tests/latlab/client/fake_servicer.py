"""A lab that answers from memory, over a real channel, and fails when it is told to."""

# ruff: noqa: ANN401, N802 -- the generated code names the methods, and does not type the rest
from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc

from latlab.convert.latency import spec_to_message, target_to_message
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.target import Target
from latlab.v1 import latency_pb2
from latlab.v1.latency_pb2_grpc import (
    LatencyServiceServicer,
    add_LatencyServiceServicer_to_server,
)
from tests.latlab.client.connection.test_retries import details

TOKEN = "the-token-of-these-tests"
TARGET = Target("board", "os", "runtime", "build", "xnnpack", 1, "all")
MEASUREMENTS = 7
PAGE = 3


@dataclass(frozen=True)
class Refusal:
    """How a call fails. `retry_s`: of its RetryInfo."""

    status: grpc.StatusCode
    retry_s: float | None = None
    kind: str = ""


BROKEN = Refusal(grpc.StatusCode.UNAVAILABLE)
FULL = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, 0.01, "LimitReached")


@dataclass
class FakeServicer(LatencyServiceServicer):
    """`refusals` are those of the next calls, by method; `called` counts the calls; `requests`
    are those of CreateMeasurement and WatchJobs; `stored` the programs; a stream of WatchJobs
    breaks off after so many answers as `streams` says, and refuses `foreign_tokens`.
    `broken_bytes`: after how many bytes the next uploads break off."""

    refusals: dict[str, deque[Refusal]] = field(default_factory=dict)
    called: dict[str, int] = field(default_factory=dict)
    requests: list[Any] = field(default_factory=list)
    stored: dict[str, bytes] = field(default_factory=dict)
    partial: dict[str, bytes] = field(default_factory=dict)
    offsets: list[int] = field(default_factory=list)
    broken_bytes: deque[int] = field(default_factory=deque)
    streams: deque[int] = field(default_factory=deque)
    jobs: dict[str, latency_pb2.Job] = field(default_factory=dict)
    request_ids: dict[str, str] = field(default_factory=dict)
    foreign_tokens: list[str] = field(default_factory=list)
    is_old: bool = False
    too_large: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, method: str, context: grpc.ServicerContext) -> None:
        """Count the call, and end it if it is to be refused."""
        with self.lock:
            self.called[method] = self.called.get(method, 0) + 1
            waiting = self.refusals.get(method)
            refusal = waiting.popleft() if waiting else None
        if refusal is not None:
            metadata: list[tuple[str, str | bytes]] = []
            if refusal.kind:
                metadata.append(("latlab-error", refusal.kind))
            if refusal.retry_s is not None:
                metadata.append(("grpc-status-details-bin", details(refusal.retry_s)))
            context.set_trailing_metadata(tuple(metadata))
            context.abort(refusal.status, "refused")

    def ListTargets(self, request: Any, context: Any) -> latency_pb2.ListTargetsResponse:
        self.enter("ListTargets", context)
        status = latency_pb2.TargetStatus(target=target_to_message(TARGET), devices=1)
        return latency_pb2.ListTargetsResponse(targets=[status])

    def GetTarget(self, request: Any, context: Any) -> latency_pb2.TargetDetails:
        self.enter("GetTarget", context)
        status = latency_pb2.TargetStatus(target=target_to_message(TARGET), measurements=2)
        return latency_pb2.TargetDetails(
            status=status, noise_floor=0.01, kernel_kinds={"conv": 3}, refits=[latency_pb2.Refit()]
        )

    def Predict(self, request: Any, context: Any) -> latency_pb2.PredictResponse:
        self.enter("Predict", context)
        self.requests.append(request)
        answers = len(request.lengths) + (0 if self.is_old else len(request.program_sha256))
        estimate = latency_pb2.LatencyEstimate(
            latency_ns=5, lower_ns=4, upper_ns=6, source=latency_pb2.ESTIMATE_SOURCE_REGRESSION
        )
        queued = ["jobs/abc"] if request.HasField("max_half_width") else []
        return latency_pb2.PredictResponse(estimates=[estimate] * answers, queued_jobs=queued)

    def UploadProgram(self, requests: Any, context: Any) -> latency_pb2.UploadResponse:
        self.enter("UploadProgram", context)
        sha256, data = next(requests).program.sha256, b""
        for request in requests:
            data += request.chunk
        self.stored[sha256] = data
        return latency_pb2.UploadResponse()

    def GetUpload(self, request: Any, context: Any) -> latency_pb2.Upload:
        if self.is_old:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "unknown method")
        self.enter("GetUpload", context)
        sha256 = request.program_sha256
        return latency_pb2.Upload(
            program_sha256=sha256,
            received_bytes=len(self.partial.get(sha256, b"")),
            complete=sha256 in self.stored,
        )

    def WriteProgram(self, requests: Any, context: Any) -> latency_pb2.Upload:
        self.enter("WriteProgram", context)
        start = next(requests).start
        sha256, data = start.program.sha256, self.partial.get(start.program.sha256, b"")
        self.offsets.append(start.offset_bytes)
        if start.offset_bytes != len(data):
            context.abort(grpc.StatusCode.OUT_OF_RANGE, "ask GetUpload")
        if self.too_large:
            next(requests)
            context.set_trailing_metadata((("latlab-error", "TooLarge"),))
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the lab is as large as it may be")
        limit = self.broken_bytes.popleft() if self.broken_bytes else None
        for request in requests:
            data += request.chunk
            self.partial[sha256] = data
            if limit is not None and len(data) >= limit:
                context.abort(grpc.StatusCode.UNAVAILABLE, "the line is cut")
        assert hashlib.sha256(data).hexdigest() == sha256
        self.stored[sha256] = data
        return latency_pb2.Upload(program_sha256=sha256, received_bytes=len(data), complete=True)

    def CreateMeasurement(self, request: Any, context: Any) -> latency_pb2.Job:
        self.enter("CreateMeasurement", context)
        self.requests.append(request)
        if request.program_sha256 not in self.stored:
            context.set_trailing_metadata((("latlab-error", "NotFound"),))
            context.abort(grpc.StatusCode.NOT_FOUND, "no such program")
        with self.lock:
            name = self.request_ids.setdefault(request.request_id, f"jobs/job{len(self.jobs)}")
            job = self.jobs.setdefault(
                name,
                latency_pb2.Job(
                    name=name,
                    target=request.target,
                    program_sha256=request.program_sha256,
                    spec=request.spec
                    if request.HasField("spec")
                    else spec_to_message(BenchmarkSpec()),
                    priority=request.priority,
                    state=latency_pb2.JOB_STATE_QUEUED,
                ),
            )
        return job

    def GetJob(self, request: Any, context: Any) -> latency_pb2.Job:
        self.enter("GetJob", context)
        if request.name not in self.jobs:
            context.set_trailing_metadata((("latlab-error", "NotFound"),))
            context.abort(grpc.StatusCode.NOT_FOUND, "no such job")
        return self.jobs[request.name]

    def CancelJob(self, request: Any, context: Any) -> latency_pb2.Job:
        self.enter("CancelJob", context)
        job = self.jobs[request.name]
        job.state = latency_pb2.JOB_STATE_CANCELLED
        return job

    def WatchJobs(self, request: Any, context: Any) -> Iterator[latency_pb2.WatchJobsResponse]:
        """Tells for each job that it runs, and then that it has ended. The token is the number of
        answers."""
        self.requests.append(request)
        self.enter("WatchJobs", context)
        if request.resume_token in self.foreign_tokens:
            context.set_trailing_metadata((("latlab-error", "InvalidRequest"),))
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not of this lab")
        limit = self.streams.popleft() if self.streams else None
        answers = [
            (name, state)
            for state in (latency_pb2.JOB_STATE_RUNNING, latency_pb2.JOB_STATE_SUCCEEDED)
            for name in request.names or self.jobs
        ]
        for number, (name, state) in enumerate(answers):
            if number < int(request.resume_token or 0):
                continue
            if limit == 0:
                context.abort(grpc.StatusCode.UNAVAILABLE, "the line is cut")
            limit = None if limit is None else limit - 1
            job = latency_pb2.Job()
            job.CopyFrom(self.jobs[name])
            job.state = state
            if state == latency_pb2.JOB_STATE_SUCCEEDED:
                job.measured.measurement_id = f"m-{name}"
                job.measured.estimate.source = latency_pb2.ESTIMATE_SOURCE_MEASURED
            yield latency_pb2.WatchJobsResponse(job=job, resume_token=str(number + 1))

    def QueryMeasurements(self, request: Any, context: Any) -> Any:
        self.enter("QueryMeasurements", context)
        self.requests.append(request)
        start = int(request.page_token or 0)
        end = min(MEASUREMENTS, start + PAGE)
        return latency_pb2.QueryMeasurementsResponse(
            measurements=[
                latency_pb2.MeasurementSummary(name=f"measurements/{number}", latency_ns=number)
                for number in range(start, end)
            ],
            next_page_token=str(end) if end < MEASUREMENTS else "",
        )

    def ListVisits(self, request: Any, context: Any) -> latency_pb2.ListVisitsResponse:
        self.enter("ListVisits", context)
        start = int(request.page_token or 0)
        return latency_pb2.ListVisitsResponse(
            visits=[latency_pb2.VisitSummary(run_id=f"{request.parent}-{start}", runs=2)],
            next_page_token="1" if start == 0 else "",
        )

    def ListSamples(self, request: Any, context: Any) -> latency_pb2.ListSamplesResponse:
        self.enter("ListSamples", context)
        start = int(request.page_token or 0)
        answer = latency_pb2.ListSamplesResponse(
            wall_ns=[start, start + 1],
            cpu_ns=[1, 1],
            involuntary_switches=[0, 0],
            next_page_token="2" if start == 0 else "",
        )
        answer.kernel_traces.add(name="conv", durations_ns=[start, start + 1], instruction=4)
        return answer


@contextlib.contextmanager
def served(servicer: FakeServicer, port: int = 0) -> Iterator[str]:
    """Serves on loopback, and yields the address."""
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    add_LatencyServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
