"""The daemon's services. Thin: convert, call one thing, convert."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping

import grpc

from host.database import device_history as history_rows
from host.database import devices as device_rows
from host.database import programs as program_rows
from host.database import sentinels as sentinel_rows
from host.devices.worker import DeviceWorker
from host.jobs.wait_reasons import waits_for
from host.services.lab import Lab
from host.services.stored_measurements import StoredMeasurementsServicer
from latlab.convert.devices import history_to_message
from latlab.convert.status import device_status_to_message
from latlab.convert.visits import conditions_to_message
from latlab.domain.device import DeviceEvent, DeviceStatus, EventKind
from latlab.domain.errors import NotFound
from latlab.v1 import common_pb2, lab_pb2


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
            worker.health.drained = request.drained
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
        device, transport = worker.device, worker.transport
        status = DeviceStatus(
            device=device,
            transport=transport.name,
            state=worker.state,
            targets=tuple(target.name for target in worker.targets.values()),
            queued_jobs=self._lab.board.count_open(worker.targets),
            note="" if device is None else notes.get(device.serial, ""),
            transport_kind=transport.kind,
            address=transport.address,
        )
        return device_status_to_message(status)
