"""The part of the typed client that is about stored measurements."""

from __future__ import annotations

from collections.abc import Iterator

from latlab.client.calls import Calls
from latlab.convert.measurements import stored_from_message
from latlab.domain.errors import InvalidRequest, NotFound
from latlab.domain.measurement import StoredMeasurement
from latlab.v1 import lab_pb2
from latlab.v1.lab_pb2_grpc import LabServiceStub

LIST_TIMEOUT_S = 300.0


class StoredMeasurements:
    """`LatencyClient.stored`. A measurement is given by its id, or by what that begins with,
    at least six characters."""

    def __init__(self, calls: Calls, lab: LabServiceStub) -> None:
        self._calls = calls
        self._lab = lab

    def list(
        self,
        target: str = "",
        *,
        limit: int = 0,
        only_unusable: bool = False,
        timeout_s: float = LIST_TIMEOUT_S,
    ) -> Iterator[StoredMeasurement]:
        """The newest first, of one target or of all, at most `limit` where that is not 0;
        `only_unusable`: those of no use that nobody has excluded. Raises NotFound."""
        request = lab_pb2.ListMeasurementsRequest(
            target=target, limit=limit, only_unusable=only_unusable
        )
        stream = self._calls.stream(self._lab.ListMeasurements, request, timeout_s=timeout_s)
        return map(stored_from_message, stream)

    def find(self, measurement_id: str) -> StoredMeasurement:
        """Raises NotFound and InvalidRequest."""
        request = lab_pb2.ListMeasurementsRequest(id=measurement_id, limit=2)
        stream = self._calls.stream(self._lab.ListMeasurements, request, timeout_s=LIST_TIMEOUT_S)
        found = [stored_from_message(message) for message in stream]
        if not found:
            raise NotFound(f"no measurement {measurement_id!r}: `latlab measurements list`")
        if len(found) > 1:
            raise InvalidRequest(f"several measurements begin with {measurement_id!r}: give more")
        return found[0]

    def exclude(self, measurement_id: str, why: str) -> str:
        """Keeps it, and neither answers it again nor learns from it. Returns its whole id.
        Raises NotFound and InvalidRequest."""
        request = lab_pb2.ExcludeMeasurementRequest(id=measurement_id, why=why)
        return self._calls.one(self._lab.ExcludeMeasurement, request).id

    def include(self, measurement_id: str) -> str:
        """Uses it again. Returns its whole id. Raises NotFound and InvalidRequest."""
        request = lab_pb2.IncludeMeasurementRequest(id=measurement_id)
        return self._calls.one(self._lab.IncludeMeasurement, request).id
