"""The service about the lab itself: its devices, jobs and stored measurements.

Each method converts the request, calls one function, and converts what it returns.
"""

from __future__ import annotations

from collections.abc import Mapping

import grpc

from host.devices.worker import DeviceWorker
from host.services.baselines import BaselinesServicer
from host.services.lab import Lab
from host.services.listing.lab_servicer import LabListsServicer
from host.services.requests.checks import MAX_IDS, about, check_count, check_text
from host.services.requests.deadlines import remaining_s
from host.services.stored_measurements import StoredMeasurementsServicer
from latlab.convert.devices import history_to_message
from latlab.convert.status import device_status_to_message
from latlab.convert.visits import conditions_to_message
from latlab.domain.device import DeviceStatus
from latlab.domain.program import check_program_name
from latlab.v1 import common_pb2, lab_pb2


class LabServicer(StoredMeasurementsServicer, BaselinesServicer, LabListsServicer):
    """Serves lab.proto."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._lists = lab.lists
        self._jobs = lab.jobs
        self._page_tokens = lab.page_tokens
        self._find_target = lab.find_target

    def ListDevices(  # noqa: N802
        self, request: lab_pb2.ListDevicesRequest, context: grpc.ServicerContext
    ) -> lab_pb2.ListDevicesResponse:
        notes = self._lab.administration.notes()
        statuses = (self._status(worker, notes) for worker in self._lab.fleet.workers)
        return lab_pb2.ListDevicesResponse(devices=statuses)

    def ReadConditions(  # noqa: N802
        self, request: lab_pb2.ReadDeviceConditionsRequest, context: grpc.ServicerContext
    ) -> common_pb2.Conditions:
        transport = check_text("the transport", request.transport, "transport")
        return conditions_to_message(self._lab.administration.read_conditions(transport))

    def AddBoard(  # noqa: N802
        self, request: lab_pb2.AddBoardRequest, context: grpc.ServicerContext
    ) -> lab_pb2.AddBoardResponse:
        with about("address"):
            self._lab.add_board(request.address)
        return lab_pb2.AddBoardResponse()

    def RemoveBoard(  # noqa: N802
        self, request: lab_pb2.RemoveBoardRequest, context: grpc.ServicerContext
    ) -> lab_pb2.RemoveBoardResponse:
        with about("address"):
            self._lab.remove_board(request.address)
        return lab_pb2.RemoveBoardResponse()

    def RemoveDevice(  # noqa: N802
        self, request: lab_pb2.RemoveDeviceRequest, context: grpc.ServicerContext
    ) -> lab_pb2.RemoveDeviceResponse:
        device = check_text("the device", request.device, "device")
        routes = self._lab.administration.remove(device)
        return lab_pb2.RemoveDeviceResponse(routes=routes)

    def Refit(  # noqa: N802
        self, request: lab_pb2.RefitRequest, context: grpc.ServicerContext
    ) -> lab_pb2.RefitResponse:
        target_id = self._lab.find_target(request.target).id
        snapshot = self._lab.predictors.refit(target_id, remaining_s(context))
        return lab_pb2.RefitResponse(measurements=snapshot.measurements, fit_s=snapshot.fit_s)

    def PinSentinel(  # noqa: N802
        self, request: lab_pb2.PinSentinelRequest, context: grpc.ServicerContext
    ) -> lab_pb2.PinSentinelResponse:
        self._lab.administration.pin_sentinel(check_program_name(request.program_sha256))
        return lab_pb2.PinSentinelResponse()

    def RenewBaseline(  # noqa: N802
        self, request: lab_pb2.RenewBaselineRequest, context: grpc.ServicerContext
    ) -> lab_pb2.RenewBaselineResponse:
        self._lab.administration.renew_baseline(self._lab.find_target(request.target).id)
        return lab_pb2.RenewBaselineResponse()

    def ListJobs(  # noqa: N802
        self, request: lab_pb2.ListJobsRequest, context: grpc.ServicerContext
    ) -> lab_pb2.ListJobsResponse:
        jobs, count = self._lab.administration.open_jobs(request.limit)
        return lab_pb2.ListJobsResponse(
            open=count,
            jobs=[
                lab_pb2.OpenJob(
                    id=job.id,
                    target=job.target,
                    program_sha256=job.program_sha256,
                    priority=job.priority,
                    visits_done=job.visits_done,
                    waits_for=job.waits_for,
                    created_unix_ns=job.created_unix_ns,
                )
                for job in jobs
            ],
        )

    def CancelJobs(  # noqa: N802
        self, request: lab_pb2.CancelJobsRequest, context: grpc.ServicerContext
    ) -> lab_pb2.CancelJobsResponse:
        check_count("jobs", request.ids, MAX_IDS, "ids")
        cancelled = self._lab.administration.cancel_jobs(
            request.ids, request.target, request.program_sha256
        )
        return lab_pb2.CancelJobsResponse(ids=cancelled)

    def SetDrained(  # noqa: N802
        self, request: lab_pb2.SetDrainedRequest, context: grpc.ServicerContext
    ) -> lab_pb2.SetDrainedResponse:
        device = check_text("the device", request.device, "device")
        self._lab.administration.set_drained(device, request.drained)
        return lab_pb2.SetDrainedResponse()

    def SetNote(  # noqa: N802
        self, request: lab_pb2.SetNoteRequest, context: grpc.ServicerContext
    ) -> lab_pb2.SetNoteResponse:
        device = check_text("the device", request.device, "device")
        note = check_text("the note", request.note, "note")
        self._lab.administration.set_note(device, note)
        return lab_pb2.SetNoteResponse()

    def GetDeviceHistory(  # noqa: N802
        self, request: lab_pb2.GetDeviceHistoryRequest, context: grpc.ServicerContext
    ) -> lab_pb2.DeviceHistory:
        device = check_text("the device", request.device, "device")
        return history_to_message(self._lab.administration.history(device))

    def _status(self, worker: DeviceWorker, notes: Mapping[str, str]) -> lab_pb2.DeviceStatus:
        device, transport = worker.device, worker.transport
        status = DeviceStatus(
            device=device,
            transport=transport.name,
            state=worker.state,
            targets=tuple(target.name for target in worker.targets.values()),
            queued_jobs=self._lab.dispatcher.count_open(worker.targets),
            note="" if device is None else notes.get(device.serial, ""),
            transport_kind=transport.kind,
            address=transport.address,
            heat_unknown=worker.heat.is_unknown,
        )
        return device_status_to_message(status)
