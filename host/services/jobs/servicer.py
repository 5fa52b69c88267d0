"""The part of the service about latencies that is about jobs which outlive their calls."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator

import grpc

from host.database.owners.job_requests import JobRequest
from host.services.access.caller import caller
from host.services.jobs.lab_jobs import LabJobs, WantedMeasurement
from host.services.jobs.watching import Told
from host.services.requests.checks import about, check_count
from host.services.requests.page_tokens import PageTokens
from host.services.requests.specs import spec_of
from latlab.convert.jobs import job_id_from_name, job_status_to_message
from latlab.domain.errors import InvalidRequest
from latlab.domain.program import check_program_name
from latlab.domain.target import Target
from latlab.v1 import latency_pb2
from latlab.v1.latency_pb2_grpc import LatencyServiceServicer

MAX_WATCHED = 1_000


class JobsServicer(LatencyServiceServicer):
    """Creates, answers, watches and cancels jobs."""

    _jobs: LabJobs
    _page_tokens: PageTokens
    _find_target: Callable[[str], Target]

    def CreateMeasurement(  # noqa: N802
        self, request: latency_pb2.CreateMeasurementRequest, context: grpc.ServicerContext
    ) -> latency_pb2.Job:
        owner = caller()
        wanted = WantedMeasurement(
            target_id=self._find_target(request.target).id,
            program_sha256=check_program_name(request.program_sha256),
            spec=spec_of(request),
            fresh=request.fresh,
            priority=request.priority,
            request=_identified(request, owner.owner) if request.request_id else None,
        )
        return job_status_to_message(self._jobs.create(wanted, owner, context.is_active))

    def GetJob(  # noqa: N802
        self, request: latency_pb2.GetJobRequest, context: grpc.ServicerContext
    ) -> latency_pb2.Job:
        with about("name"):
            job_id = job_id_from_name(request.name)
        return job_status_to_message(self._jobs.get(job_id, caller()))

    def CancelJob(  # noqa: N802
        self, request: latency_pb2.CancelJobRequest, context: grpc.ServicerContext
    ) -> latency_pb2.Job:
        with about("name"):
            job_id = job_id_from_name(request.name)
        return job_status_to_message(self._jobs.cancel(job_id, caller()))

    def WatchJobs(  # noqa: N802
        self, request: latency_pb2.WatchJobsRequest, context: grpc.ServicerContext
    ) -> Iterator[latency_pb2.WatchJobsResponse]:
        check_count("jobs", request.names, MAX_WATCHED, "names")
        position = self._page_tokens.read(request, request.resume_token)
        with about("names"):
            job_ids = list(dict.fromkeys(map(job_id_from_name, request.names)))

        def when_left(close: Callable[[], None]) -> None:
            if not context.add_callback(close):
                close()

        watching = self._jobs.watching
        if job_ids:
            news = watching.watch_named(job_ids, caller(), position, when_left)
        else:
            news = watching.watch_owner(caller(), position, when_left)
        return self._told(request, news)

    def _told(
        self, request: latency_pb2.WatchJobsRequest, news: Iterator[Told]
    ) -> Iterator[latency_pb2.WatchJobsResponse]:
        for told in news:
            yield latency_pb2.WatchJobsResponse(
                job=job_status_to_message(told.status),
                resume_token=self._page_tokens.make(request, told.position),
            )


def _identified(request: latency_pb2.CreateMeasurementRequest, owner: str) -> JobRequest:
    """Return the identity of a request with an id. Raises InvalidRequest if that is no UUID."""
    try:
        request_id = str(uuid.UUID(request.request_id))
    except ValueError:
        raise InvalidRequest(
            f"the request id {request.request_id[:80]!r} is not a UUID: make one for each request",
            "request_id",
        ) from None
    rest = latency_pb2.CreateMeasurementRequest()
    rest.CopyFrom(request)
    rest.ClearField("request_id")
    fingerprint = hashlib.sha256(rest.SerializeToString(deterministic=True)).hexdigest()
    return JobRequest(owner, request_id, fingerprint)
