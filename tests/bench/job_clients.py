"""Clients that create and watch jobs in a lab that is killed again and again."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import grpc

from host.home.paths import LabHome
from latlab.client.connection.local_lab import find_lab
from latlab.convert.latency import spec_to_message
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import LabError
from latlab.v1 import latency_pb2
from latlab.v1.latency_pb2_grpc import LatencyServiceStub

RETRY_S = 0.1
CALL_S = 20.0
STREAM_S = 3_600.0
ENDED = {
    latency_pb2.JOB_STATE_SUCCEEDED,
    latency_pb2.JOB_STATE_FAILED,
    latency_pb2.JOB_STATE_CANCELLED,
}


class JobClient:
    """Creates jobs, one after another, and watches them. Both go on when the lab comes back.

    Attributes:
        accepted: The names of the jobs that the lab has answered, by request id.
        ends: What was told of the end of each job, by its name: the states and outcomes.
    """

    def __init__(
        self, home: LabHome, wanted: Sequence[tuple[str, str]], spec: BenchmarkSpec
    ) -> None:
        """Start.

        Args:
            home: The lab's folder.
            wanted: (target id, program SHA-256) of measurements to ask for.
            spec: How they are measured.
        """
        self.accepted: dict[str, set[str]] = defaultdict(set)
        self.ends: dict[str, set[tuple[int, str]]] = defaultdict(set)
        self._home, self._wanted, self._spec = home, wanted, spec
        self._creates, self._watches = threading.Event(), threading.Event()
        self._watching = threading.Event()
        self._creating = threading.Thread(target=self._create, daemon=True)
        threading.Thread(target=self._watch, daemon=True).start()
        self._creating.start()

    def stop_creating(self) -> None:
        """Ask for no more jobs. The last request is repeated until it is answered."""
        self._creates.set()
        self._creating.join(10 * CALL_S)

    def stop(self) -> None:
        """Watch no longer."""
        self._watches.set()

    def unended(self) -> set[str]:
        """Return the accepted jobs of whose end the client has not been told."""
        names = {name for each in self.accepted.values() for name in each}
        return names - set(self.ends)

    def _create(self) -> None:
        self._watching.wait()  # it is told of the ends of jobs that it opens from now on
        while not self._creates.is_set():
            target, program = random.choice(self._wanted)
            request = latency_pb2.CreateMeasurementRequest(
                target=target,
                program_sha256=program,
                spec=spec_to_message(self._spec),
                fresh=True,
                request_id=str(uuid.uuid4()),
            )
            # Every second request is sent twice, as if the first answer had not arrived.
            for _ in range(random.choice((1, 2))):
                job = self._answered(request)
                self.accepted[request.request_id].add(job.name)
            time.sleep(random.expovariate(10.0))

    def _answered(self, request: latency_pb2.CreateMeasurementRequest) -> latency_pb2.Job:
        while True:
            try:
                with grpc.insecure_channel(self._lab()[0]) as channel:
                    stub = LatencyServiceStub(channel)
                    return stub.CreateMeasurement(request, metadata=self._token(), timeout=CALL_S)
            except (grpc.RpcError, LabError):
                time.sleep(RETRY_S)

    def _watch(self) -> None:
        request = latency_pb2.WatchJobsRequest()
        while not self._watches.is_set():
            try:
                with grpc.insecure_channel(self._lab()[0]) as channel:
                    stub = LatencyServiceStub(channel)
                    for news in self._stream(stub, request):
                        request.resume_token = news.resume_token
                        if news.job.state in ENDED:
                            outcome = news.job.measured.measurement_id or news.job.failure.message
                            self.ends[news.job.name].add((news.job.state, outcome))
            except (grpc.RpcError, LabError):
                time.sleep(RETRY_S)

    def _stream(self, stub: LatencyServiceStub, request: Any) -> Any:  # noqa: ANN401
        stream = stub.WatchJobs(request, metadata=self._token(), timeout=STREAM_S)
        stream.initial_metadata()
        self._watching.set()
        return stream

    def _lab(self) -> tuple[str, str]:
        return find_lab(self._home.root)

    def _token(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._lab()[1]}"),)
