"""The part of the lab's client that is about measurements and their visits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from latlab.client.connection.retries import Repeat
from latlab.client.requests.measurements import (
    get_breakdown,
    joined,
    list_samples,
    list_visits,
    query_measurements,
)
from latlab.client.requests.targets import FIT_TIMEOUT_S
from latlab.client.targets import TargetsClient
from latlab.convert.latency import estimate_from_message, measurement_from_message
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.measurement import Measurement
from latlab.domain.records.breakdown import Breakdown
from latlab.domain.records.measurements import (
    MeasurementOrder,
    MeasurementSummary,
    Samples,
    VisitSummary,
)
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

    def breakdown(self, measurement_id: str) -> Breakdown:
        """Return where the time of a measurement goes: its kernels, and what none accounts for.

        Raises:
            NotFound: There is no such measurement.
            StorageError: It cannot be read.
        """
        return self._calls.make(get_breakdown(measurement_id))

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

    def query_measurements(
        self,
        *,
        target: str = "",
        program_sha256: str = "",
        since_unix_ns: int = 0,
        before_unix_ns: int = 0,
        everything: bool = False,
        order: MeasurementOrder = MeasurementOrder.NEWEST,
        page_size: int = 0,
    ) -> Iterator[MeasurementSummary]:
        """Yield stored measurements, which are asked for page by page.

        Args:
            target: Id or name of a target; "" for all targets.
            program_sha256: A program's SHA-256, or at least its first 6 digits; "" for all.
            since_unix_ns: From this time on, in ns since 1970; 0 for no bound.
            before_unix_ns: Before this time; 0 for no bound.
            everything: Yield those that were excluded, that are suspect and those of sentinels,
                too.
            order: The order.
            page_size: How many to ask for at a time; 0: as many as the lab finds right.

        Raises:
            NotFound: There is no such target.
        """
        return self._calls.pages(
            query_measurements(
                target=target,
                program_sha256=program_sha256,
                since_unix_ns=since_unix_ns,
                before_unix_ns=before_unix_ns,
                everything=everything,
                order=order,
                page_size=page_size,
            )
        )

    def visits(self, measurement_id: str) -> Iterator[VisitSummary]:
        """Yield the visits of a measurement, without their samples.

        Raises:
            NotFound: There is no such measurement.
        """
        return self._calls.pages(list_visits(measurement_id))

    def samples(self, measurement_id: str, run_id: str) -> Samples:
        """Return the timed runs of one visit of a measurement.

        Raises:
            NotFound: There is no such visit.
        """
        return joined(list(self._calls.pages(list_samples(measurement_id, run_id))))
