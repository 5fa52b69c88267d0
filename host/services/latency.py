"""The service of latencies: programs, measurements, predictions. Thin: convert, call one thing,
convert."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator

import grpc
import numpy as np

from host.database import devices as device_rows
from host.database import measurements as measurement_rows
from host.database import programs as program_rows
from host.jobs.campaign import Campaign, Wanted
from host.jobs.events import JobEvent, Progress
from host.services.lab import Lab
from latlab.convert.kernels import kernel_from_message
from latlab.convert.latency import (
    estimate_to_message,
    measurement_to_message,
    network_to_message,
    program_from_message,
    spec_from_message,
    target_to_message,
)
from latlab.convert.visits import failure_to_message
from latlab.domain.errors import InvalidRequest, NotFound
from latlab.domain.failure import Failure
from latlab.domain.measurement import Measurement
from latlab.v1 import latency_pb2
from latlab.v1.latency_pb2_grpc import LatencyServiceServicer


class LatencyServicer(LatencyServiceServicer):
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def ListTargets(  # noqa: N802
        self, request: latency_pb2.ListTargetsRequest, context: grpc.ServicerContext
    ) -> latency_pb2.ListTargetsResponse:
        with self._lab.database.reading() as connection:
            targets = device_rows.all_targets(connection)
            counts = device_rows.measurement_counts(connection)
        watches = {target: self._lab.watch(target) for target in targets}
        return latency_pb2.ListTargetsResponse(
            targets=[
                latency_pb2.TargetStatus(
                    target=target_to_message(target),
                    devices=sum(
                        worker.is_connected and target.id in worker.targets
                        for worker in self._lab.workers
                    ),
                    measurements=counts.get(target.id, 0),
                    fitted_measurements=self._lab.predictors.fitted_measurements(target.id),
                    shares_host=any(
                        worker.transport.shares_host
                        for worker in self._lab.workers
                        if target.id in worker.targets
                    ),
                    sentinel_drift=None if watch is None else watch.drift,
                    drifted=watch is not None and watch.drifted,
                )
                for target, watch in watches.items()
            ]
        )

    def UploadProgram(  # noqa: N802
        self, request_iterator: Iterator[latency_pb2.UploadRequest], context: grpc.ServicerContext
    ) -> latency_pb2.UploadResponse:
        first = next(request_iterator, None)
        if first is None or first.WhichOneof("part") != "program":
            raise InvalidRequest("an upload begins with the program's description")
        try:
            program = program_from_message(first.program)
        except ValueError as error:
            raise InvalidRequest(str(error)) from error
        if not self._lab.programs.has(program.sha256, program.size_bytes):
            chunks = (part.chunk for part in request_iterator)
            self._lab.programs.add(
                program.sha256, program.size_bytes, chunks, self._lab.board.programs_in_use()
            )
        with self._lab.database.writing() as connection:
            program_rows.add_program(connection, program)
        return latency_pb2.UploadResponse()

    def Predict(  # noqa: N802
        self, request: latency_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> latency_pb2.PredictResponse:
        target = self._lab.find_target(request.target)
        fit = self._lab.fit(target.id)
        table = list(map(kernel_from_message, request.kernels))
        lengths = np.array(request.lengths, dtype=np.int64)
        indices = np.array(request.indices, dtype=np.int64)
        try:
            estimates = fit.predictor.predict(table, lengths, indices, time.time_ns())
        except ValueError as error:
            raise InvalidRequest(str(error)) from error
        return latency_pb2.PredictResponse(estimates=map(estimate_to_message, estimates))

    def Measure(  # noqa: N802
        self,
        request_iterator: Iterator[latency_pb2.MeasureRequest],
        context: grpc.ServicerContext,
    ) -> Iterator[latency_pb2.MeasureEvent]:
        def wanted() -> Iterator[Wanted]:
            find_target = functools.cache(self._lab.find_target)  # a request for each program
            # The stream raises where the client has gone, which ends the campaign as well.
            with contextlib.suppress(grpc.RpcError):
                for request in request_iterator:
                    target = find_target(request.target)
                    try:
                        spec = spec_from_message(request.spec)
                    except ValueError as error:
                        raise InvalidRequest(str(error)) from error
                    for sha256 in request.program_sha256:
                        yield Wanted(target, sha256, spec, request.fresh, request.priority)

        self._lab.summaries.complete(context.is_active)
        campaign = Campaign(self._lab.database, self._lab.board)
        yield from map(_event, campaign.run(wanted(), context.is_active))

    def GetMeasurement(  # noqa: N802
        self, request: latency_pb2.GetMeasurementRequest, context: grpc.ServicerContext
    ) -> latency_pb2.Measurement:
        with self._lab.database.reading() as connection:
            measurement = measurement_rows.get_measurement(connection, request.id)
        if measurement is None:
            raise NotFound(f"no measurement {request.id!r}")
        return measurement_to_message(measurement)

    def LookUp(  # noqa: N802
        self, request: latency_pb2.LookUpRequest, context: grpc.ServicerContext
    ) -> latency_pb2.LookUpResponse:
        estimates = self._lab.look_up(request.measurement_ids)
        return latency_pb2.LookUpResponse(estimates=map(estimate_to_message, estimates))

    def ListMeasuredNetworks(  # noqa: N802
        self, request: latency_pb2.ListMeasuredNetworksRequest, context: grpc.ServicerContext
    ) -> Iterator[latency_pb2.MeasuredNetwork]:
        target = self._lab.find_target(request.target)
        for sha256, measurement_id, network in self._lab.measured_networks(target.id):
            yield network_to_message(sha256, measurement_id, network)


def _event(job_event: JobEvent) -> latency_pb2.MeasureEvent:
    message = latency_pb2.MeasureEvent(program_sha256=job_event.program_sha256)
    match job_event.event:
        case Progress() as progress:
            message.progress.visits_done = progress.visits_done
        case Measurement() as measurement:
            message.measurement.CopyFrom(measurement_to_message(measurement))
        case Failure() as failure:
            message.failure.CopyFrom(failure_to_message(failure))
    return message
