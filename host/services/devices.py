"""The daemon's services. Thin: convert, call one thing, convert."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator, Mapping

import grpc
import numpy as np

from host.database import device_history as history_rows
from host.database import devices as device_rows
from host.database import measurements as measurement_rows
from host.database import programs as program_rows
from host.database import sentinels as sentinel_rows
from host.devices.worker import DeviceWorker
from host.jobs.campaign import Campaign, Wanted
from host.jobs.events import JobEvent, Progress
from host.jobs.wait_reasons import waits_for
from host.services.lab import Lab
from host.services.stored_measurements import StoredMeasurementsServicer
from latency_models.predictor import UnknownKernelKinds
from latlab.convert.common import conditions_to_message, failure_to_message, kernel_from_message
from latlab.convert.devices import device_to_message, history_to_message
from latlab.convert.latency import (
    estimate_to_message,
    measurement_to_message,
    network_to_message,
    program_from_message,
    spec_from_message,
    target_to_message,
)
from latlab.domain.domain import DeviceEvent, EventKind, Failure, Measurement
from latlab.domain.errors import InvalidRequest, NotFound, UnknownKernels
from latlab.v1 import common_pb2, lab_pb2, latency_pb2
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
        if not self._lab.programs.has(program):
            chunks = (part.chunk for part in request_iterator)
            self._lab.programs.add(program, chunks, self._lab.board.programs_in_use())
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
        except UnknownKernelKinds as error:
            raise UnknownKernels(str(error)) from error
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


class LabServicer(StoredMeasurementsServicer):
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def ListDevices(  # noqa: N802
        self, request: lab_pb2.ListDevicesRequest, context: grpc.ServicerContext
    ) -> lab_pb2.ListDevicesResponse:
        with self._lab.database.reading() as connection:
            notes = history_rows.get_notes(connection)
        statuses = (self._status(worker, notes) for worker in self._lab.workers)
        return lab_pb2.ListDevicesResponse(devices=statuses)

    def ReadConditions(  # noqa: N802
        self, request: lab_pb2.ReadDeviceConditionsRequest, context: grpc.ServicerContext
    ) -> common_pb2.Conditions:
        for worker in self._lab.workers:
            if worker.transport.name == request.transport:
                return conditions_to_message(worker.read_conditions())
        raise NotFound(f"no device by {request.transport!r}")

    def AddBoard(  # noqa: N802
        self, request: lab_pb2.AddBoardRequest, context: grpc.ServicerContext
    ) -> lab_pb2.AddBoardResponse:
        self._lab.add_board(request.address)
        return lab_pb2.AddBoardResponse()

    def RemoveBoard(  # noqa: N802
        self, request: lab_pb2.RemoveBoardRequest, context: grpc.ServicerContext
    ) -> lab_pb2.RemoveBoardResponse:
        self._lab.remove_board(request.address)
        return lab_pb2.RemoveBoardResponse()

    def Refit(  # noqa: N802
        self, request: lab_pb2.RefitRequest, context: grpc.ServicerContext
    ) -> lab_pb2.RefitResponse:
        fit = self._lab.predictors.refit(self._lab.find_target(request.target).id)
        return lab_pb2.RefitResponse(measurements=fit.measurements, fit_s=fit.fit_s)

    def PinSentinel(  # noqa: N802
        self, request: lab_pb2.PinSentinelRequest, context: grpc.ServicerContext
    ) -> lab_pb2.PinSentinelResponse:
        with self._lab.database.writing() as connection:
            if program_rows.get_program(connection, request.program_sha256) is None:
                raise NotFound(f"no program {request.program_sha256[:12]} was uploaded")
            sentinel_rows.pin(connection, request.program_sha256)
        for worker in self._lab.workers:
            worker.sentinels.pinned()
        return lab_pb2.PinSentinelResponse()

    def RenewBaseline(  # noqa: N802
        self, request: lab_pb2.RenewBaselineRequest, context: grpc.ServicerContext
    ) -> lab_pb2.RenewBaselineResponse:
        target = self._lab.find_target(request.target)
        with self._lab.database.writing() as connection:
            sentinel_rows.set_baseline(connection, target.id, None)
        for worker in self._lab.workers:
            worker.sentinels.renew(target.id)
        return lab_pb2.RenewBaselineResponse()

    def ListJobs(  # noqa: N802
        self, request: lab_pb2.ListJobsRequest, context: grpc.ServicerContext
    ) -> lab_pb2.ListJobsResponse:
        places = self._lab.board.places()
        with self._lab.database.reading() as connection:
            names = {target.id: target.name for target in device_rows.all_targets(connection)}
        servers_of = functools.cache(self._lab.servers_of)
        return lab_pb2.ListJobsResponse(
            open=len(places),
            jobs=[
                lab_pb2.OpenJob(
                    id=state.job.id,
                    target=names[state.job.target_id],
                    program_sha256=state.job.program_sha256,
                    priority=state.job.priority,
                    visits_done=len(state.visits),
                    waits_for=waits_for(place, servers_of(state.job.target_id)),
                )
                for state, place in places[: request.limit]
            ],
        )

    def SetDrained(  # noqa: N802
        self, request: lab_pb2.SetDrainedRequest, context: grpc.ServicerContext
    ) -> lab_pb2.SetDrainedResponse:
        serial = self._lab.find_device(request.device)
        kind = EventKind.DRAINED if request.drained else EventKind.UNDRAINED
        with self._lab.database.writing() as connection:
            history_rows.set_drained(connection, serial, request.drained)
            history_rows.add_event(connection, serial, DeviceEvent(time.time_ns(), kind))
        for worker in self._lab.workers_of(serial):
            worker.standing.drained = request.drained
        return lab_pb2.SetDrainedResponse()

    def SetNote(  # noqa: N802
        self, request: lab_pb2.SetNoteRequest, context: grpc.ServicerContext
    ) -> lab_pb2.SetNoteResponse:
        serial = self._lab.find_device(request.device)
        event = DeviceEvent(time.time_ns(), EventKind.NOTED, request.note)
        with self._lab.database.writing() as connection:
            history_rows.set_note(connection, serial, request.note)
            history_rows.add_event(connection, serial, event)
        return lab_pb2.SetNoteResponse()

    def GetDeviceHistory(  # noqa: N802
        self, request: lab_pb2.GetDeviceHistoryRequest, context: grpc.ServicerContext
    ) -> lab_pb2.DeviceHistory:
        serial = self._lab.find_device(request.device)
        is_connected = any(worker.is_connected for worker in self._lab.workers_of(serial))
        with self._lab.database.reading() as connection:
            history = history_rows.history(
                connection, serial, time.time_ns() if is_connected else None
            )
        return history_to_message(history)

    def _status(self, worker: DeviceWorker, notes: Mapping[str, str]) -> lab_pb2.DeviceStatus:
        status = lab_pb2.DeviceStatus(
            transport=worker.transport.name,
            state=worker.state,
            targets=[target.name for target in worker.targets.values()],
            queued_jobs=self._lab.board.count_open(worker.targets),
        )
        if worker.device is not None:
            status.description.CopyFrom(device_to_message(worker.device))
            status.note = notes.get(worker.device.serial, "")
        return status


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
