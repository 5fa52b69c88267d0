"""The lab's service, as far as it is about stored measurements. Thin, as `services` is."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from host.convert.measurements import stored_to_message
from host.served_lab import Lab
from protos import lab_pb2
from protos.lab_pb2_grpc import LabServiceServicer


class StoredMeasurementsServicer(LabServiceServicer):
    _lab: Lab

    def ListMeasurements(  # noqa: N802
        self, request: lab_pb2.ListMeasurementsRequest, context: grpc.ServicerContext
    ) -> Iterator[lab_pb2.StoredMeasurement]:
        target_id = self._lab.find_target(request.target).id if request.target else ""
        found = self._lab.stored_measurements(target_id, request.id)
        sent = 0
        for stored in found:
            if not context.is_active() or sent == request.limit > 0:
                return
            if request.only_unusable and (not stored.unusable or stored.exclusion):
                continue
            sent += 1
            yield stored_to_message(stored)

    def ExcludeMeasurement(  # noqa: N802
        self, request: lab_pb2.ExcludeMeasurementRequest, context: grpc.ServicerContext
    ) -> lab_pb2.ExcludeMeasurementResponse:
        measurement_id = self._lab.exclude(request.id, request.why)
        return lab_pb2.ExcludeMeasurementResponse(id=measurement_id)

    def IncludeMeasurement(  # noqa: N802
        self, request: lab_pb2.IncludeMeasurementRequest, context: grpc.ServicerContext
    ) -> lab_pb2.IncludeMeasurementResponse:
        return lab_pb2.IncludeMeasurementResponse(id=self._lab.include(request.id))
