"""The part of the lab's client that is about measurements and their visits."""

from __future__ import annotations

from collections.abc import Sequence

from latlab.client.connection.retries import Repeat
from latlab.client.targets import FIT_TIMEOUT_S, TargetsClient
from latlab.convert.latency import estimate_from_message, measurement_from_message
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.measurement import Measurement
from latlab.v1 import latency_pb2


class MeasurementsClient(TargetsClient):
    """The calls about stored measurements."""

    def measurement(self, measurement_id: str) -> Measurement:
        """Return a measurement with its raw visits.

        Raises:
            NotFound: There is no such measurement.
            StorageError: It cannot be read.
        """
        request = latency_pb2.GetMeasurementRequest(id=measurement_id)
        found = self._calls.one(self._latency.GetMeasurement, request, repeat=Repeat.YES)
        return measurement_from_message(found)

    def look_up(self, measurement_ids: Sequence[str]) -> list[LatencyEstimate]:
        """Return the latency estimate of each measurement, in input order.

        The same predictor corrects all measurements of one target, if it has learned how.

        Raises:
            NotFound: There is no such measurement.
            StorageError: One of them cannot be used.
        """
        request = latency_pb2.LookUpRequest(measurement_ids=measurement_ids)
        response = self._calls.one(self._latency.LookUp, request, FIT_TIMEOUT_S, Repeat.YES)
        return list(map(estimate_from_message, response.estimates))
