"""The part of the lab's service that is about stored measurements."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import grpc

from host.services.lab import Lab
from host.services.requests.checks import about
from latlab.convert.measurements import stored_to_message
from latlab.v1 import lab_pb2
from latlab.v1.lab_pb2_grpc import LabServiceServicer


class StoredMeasurementsServicer(LabServiceServicer):
    """Lists, excludes and includes stored measurements."""

    _lab: Lab

    def ListMeasurements(  # noqa: N802
        self, request: lab_pb2.ListMeasurementsRequest, context: grpc.ServicerContext
    ) -> Iterator[lab_pb2.StoredMeasurement]:
        target_id = self._lab.find_target(request.target).id if request.target else ""
        if request.only_unusable:
            found = self._lab.measurements.list_unusable(target_id, context.is_active)
        else:
            found = self._lab.measurements.list(target_id, request.id)
        with about("id"):
            for stored in islice(found, request.limit or None):
                yield stored_to_message(stored)

    def ExcludeMeasurement(  # noqa: N802
        self, request: lab_pb2.ExcludeMeasurementRequest, context: grpc.ServicerContext
    ) -> lab_pb2.ExcludeMeasurementResponse:
        with about("id"):
            measurement_id = self._lab.measurements.exclude(request.id, request.why)
        return lab_pb2.ExcludeMeasurementResponse(id=measurement_id)

    def IncludeMeasurement(  # noqa: N802
        self, request: lab_pb2.IncludeMeasurementRequest, context: grpc.ServicerContext
    ) -> lab_pb2.IncludeMeasurementResponse:
        with about("id"):
            measurement_id = self._lab.measurements.include(request.id)
        return lab_pb2.IncludeMeasurementResponse(id=measurement_id)
