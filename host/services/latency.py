"""The service about latencies: programs, measurements and predictions.

Each method converts the request, calls one function, and converts what it returns.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Collection, Iterable, Iterator

import grpc

from host.jobs.campaign import ProgramRequest
from host.jobs.events import JobEvent, Progress
from host.services.access.caller import caller
from host.services.jobs.servicer import JobsServicer
from host.services.lab import Lab
from host.services.listing.servicer import ListsServicer
from host.services.predictions.servicer import PredictionsServicer
from host.services.programs.servicer import ProgramsServicer
from host.services.requests.checks import (
    MAX_IDS,
    about,
    check_count,
    check_text,
)
from host.services.requests.deadlines import remaining_s
from latlab.convert.latency import (
    estimate_to_message,
    measured_to_message,
    measurement_to_message,
    network_to_message,
    spec_from_message,
    target_status_to_message,
)
from latlab.convert.records.breakdown import breakdown_to_message
from latlab.convert.records.measurements import measurement_id_from_name
from latlab.convert.records.predictions import details_to_message
from latlab.convert.refits import refit_to_message
from latlab.convert.visits import failure_to_message
from latlab.domain.errors import InvalidRequest
from latlab.domain.estimate import LatencyEstimate, MeasuredLatency
from latlab.domain.failure import Failure
from latlab.domain.measurement import Measurement
from latlab.domain.program import check_program_name
from latlab.domain.target import Target
from latlab.v1 import latency_pb2


class LatencyServicer(JobsServicer, ProgramsServicer, PredictionsServicer, ListsServicer):
    """Serves latency.proto."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._jobs = lab.jobs
        self._programs = lab.programs
        self._answers = lab.answers
        self._lists = lab.lists
        self._predict = lab.predict
        self._page_tokens = lab.page_tokens
        self._find_target = lab.find_target

    def ListTargets(  # noqa: N802
        self, request: latency_pb2.ListTargetsRequest, context: grpc.ServicerContext
    ) -> latency_pb2.ListTargetsResponse:
        statuses = self._lab.target_statuses()
        return latency_pb2.ListTargetsResponse(targets=map(target_status_to_message, statuses))

    def GetTarget(  # noqa: N802
        self, request: latency_pb2.GetTargetRequest, context: grpc.ServicerContext
    ) -> latency_pb2.TargetDetails:
        return details_to_message(self._lab.target_details(request.target))

    def Measure(  # noqa: N802
        self,
        request_iterator: Iterator[latency_pb2.MeasureRequest],
        context: grpc.ServicerContext,
    ) -> Iterator[latency_pb2.MeasureEvent]:
        without_visits: set[str] = set()  # programs by SHA-256

        def wanted() -> Iterator[ProgramRequest]:
            find_target = functools.cache(self._lab.find_target)  # a request for each program
            # The stream raises when the client has gone, which ends the campaign as well.
            with contextlib.suppress(grpc.RpcError):
                for request in request_iterator:
                    if request.without_visits:
                        without_visits.update(request.program_sha256)
                    yield from _program_requests(request, find_target)

        events = self._lab.measure(wanted(), context.is_active, caller().owner)
        return self._measured(events, without_visits)

    def _measured(
        self, events: Iterable[JobEvent], without_visits: Collection[str]
    ) -> Iterator[latency_pb2.MeasureEvent]:
        outcome_of, provisional = self._lab.outcomes(), self._lab.provisional()
        for event in events:
            outcome: Progress | Measurement | MeasuredLatency | Failure = event.event
            if isinstance(outcome, Measurement) and event.program_sha256 in without_visits:
                outcome = outcome_of(outcome)
            if isinstance(outcome, Progress):
                kernels = outcome.program.kernels
                estimate = provisional.estimate(outcome.job, kernels, outcome.visits)
                yield _progress_to_message(outcome, estimate)
            else:
                yield _event_to_message(event.program_sha256, outcome)

    def GetMeasurement(  # noqa: N802
        self, request: latency_pb2.GetMeasurementRequest, context: grpc.ServicerContext
    ) -> latency_pb2.Measurement:
        measurement_id = check_text("the measurement's id", request.id, "id")
        return measurement_to_message(self._lab.measurements.get(measurement_id))

    def GetBreakdown(  # noqa: N802
        self, request: latency_pb2.GetBreakdownRequest, context: grpc.ServicerContext
    ) -> latency_pb2.Breakdown:
        with about("name"):
            measurement_id = measurement_id_from_name(request.name)
        return breakdown_to_message(self._lab.measurements.breakdown(measurement_id))

    def LookUp(  # noqa: N802
        self, request: latency_pb2.LookUpRequest, context: grpc.ServicerContext
    ) -> latency_pb2.LookUpResponse:
        check_count("measurements", request.measurement_ids, MAX_IDS, "measurement_ids")
        for measurement_id in request.measurement_ids:
            check_text("a measurement's id", measurement_id, "measurement_ids")
        estimates = self._lab.measurements.look_up(
            request.measurement_ids, remaining_s(context), context.is_active
        )
        return latency_pb2.LookUpResponse(estimates=map(estimate_to_message, estimates))

    def ListMeasuredNetworks(  # noqa: N802
        self, request: latency_pb2.ListMeasuredNetworksRequest, context: grpc.ServicerContext
    ) -> Iterator[latency_pb2.MeasuredNetwork]:
        target = self._lab.find_target(request.target)
        for sha256, id_, network in self._lab.measurements.measured_networks(target.id):
            yield network_to_message(sha256, id_, network)

    def ListRefits(  # noqa: N802
        self, request: latency_pb2.ListRefitsRequest, context: grpc.ServicerContext
    ) -> latency_pb2.ListRefitsResponse:
        target = self._lab.find_target(request.target)
        refits = self._lab.predictors.history.refits(target.id)
        return latency_pb2.ListRefitsResponse(refits=map(refit_to_message, refits))


def _program_requests(
    request: latency_pb2.MeasureRequest, find_target: Callable[[str], Target]
) -> Iterator[ProgramRequest]:
    target = find_target(request.target)
    try:
        spec = spec_from_message(request.spec)
    except ValueError as error:
        raise InvalidRequest(str(error), "spec") from error
    for sha256 in map(check_program_name, request.program_sha256):
        yield ProgramRequest(
            target, sha256, spec, request.fresh, request.priority, request.pause_when_left
        )


def _progress_to_message(
    progress: Progress, provisional: LatencyEstimate | None
) -> latency_pb2.MeasureEvent:
    return latency_pb2.MeasureEvent(
        program_sha256=progress.job.program_sha256,
        progress=latency_pb2.MeasureEvent.Progress(
            visits_done=len(progress.visits),
            provisional=None if provisional is None else estimate_to_message(provisional),
        ),
    )


def _event_to_message(
    program_sha256: str, event: Measurement | MeasuredLatency | Failure
) -> latency_pb2.MeasureEvent:
    message = latency_pb2.MeasureEvent(program_sha256=program_sha256)
    match event:
        case Measurement():
            message.measurement.CopyFrom(measurement_to_message(event))
        case MeasuredLatency():
            message = measured_to_message(event)
        case Failure():
            message.failure.CopyFrom(failure_to_message(event))
    return message
