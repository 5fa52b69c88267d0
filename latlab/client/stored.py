"""The part of the lab's client that is about stored measurements."""

from __future__ import annotations

from collections.abc import Iterator

from latlab.client.connection.calls import Calls
from latlab.convert.measurements import stored_from_message
from latlab.domain.errors import InvalidRequest, NotFound
from latlab.domain.measurement import StoredMeasurement
from latlab.v1 import lab_pb2
from latlab.v1.lab_pb2_grpc import LabServiceStub

LIST_TIMEOUT_S = 300.0


class StoredMeasurements:
    """The stored measurements, as `LatencyClient.stored`.

    A measurement is given by its id or by at least the first six characters of it.
    """

    def __init__(self, calls: Calls, lab: LabServiceStub) -> None:
        """Use the channel of a client."""
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
        """Yield stored measurements, the newest first.

        Args:
            target: Id or name of the target; "" for all targets.
            limit: How many to list at most; 0 for all.
            only_unusable: List only measurements that cannot be used and are not excluded.
            timeout_s: The deadline of the whole list.

        Raises:
            NotFound: There is no such target.
        """
        request = lab_pb2.ListMeasurementsRequest(
            target=target, limit=limit, only_unusable=only_unusable
        )
        stream = self._calls.stream(self._lab.ListMeasurements, request, timeout_s=timeout_s)
        return map(stored_from_message, stream)

    def find(self, measurement_id: str) -> StoredMeasurement:
        """Return one stored measurement.

        Raises:
            NotFound: There is no such measurement.
            InvalidRequest: Several measurements have ids that begin so.
        """
        request = lab_pb2.ListMeasurementsRequest(id=measurement_id, limit=2)
        stream = self._calls.stream(self._lab.ListMeasurements, request, timeout_s=LIST_TIMEOUT_S)
        found = [stored_from_message(message) for message in stream]
        if not found:
            raise NotFound(
                f"no measurement {measurement_id!r}: `latlab measurements list` shows them"
            )
        if len(found) > 1:
            raise InvalidRequest(
                f"several measurements begin with {measurement_id!r}: give more characters of"
                " the id"
            )
        return found[0]

    def exclude(self, measurement_id: str, why: str) -> str:
        """Keep a measurement, but neither use it as an answer again nor learn from it.

        Args:
            measurement_id: The measurement.
            why: The reason, for people.

        Returns:
            The measurement's whole id.

        Raises:
            NotFound: There is no such measurement.
            InvalidRequest: Several ids begin so, or the reason is empty or too long.
        """
        request = lab_pb2.ExcludeMeasurementRequest(id=measurement_id, why=why)
        return self._calls.one(self._lab.ExcludeMeasurement, request).id

    def include(self, measurement_id: str) -> str:
        """Use an excluded measurement again, and return its whole id.

        Raises:
            NotFound: There is no such measurement.
            InvalidRequest: Several ids begin so.
        """
        request = lab_pb2.IncludeMeasurementRequest(id=measurement_id)
        return self._calls.one(self._lab.IncludeMeasurement, request).id
