"""Estimate the latencies of measured networks from their measurements."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence

from host.database import measurements as measurement_rows
from host.database.engine import Database
from host.predicting.snapshots import Fit
from latency_models.interference import Steadying
from latlab.domain.errors import NotFound, NotReady, UnreadableRow
from latlab.domain.estimate import LatencyEstimate, Source, whole_ns
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.measurement import Unusable


def look_up(
    database: Database, measurement_ids: Sequence[str], fit: Callable[[str], Fit]
) -> list[LatencyEstimate]:
    """Return the estimate of each measurement, in input order.

    Excluded and suspect measurements are looked up too.

    Args:
        fit: Returns the predictor of a target by its id, and raises NotReady if there is none.

    Raises:
        NotFound: There is no measurement with one of the ids.
        UnreadableRow: A measurement is damaged or cannot be used.
    """
    with database.reading() as connection:
        found = measurement_rows.look_up(connection, measurement_ids)

    @functools.cache
    def steadying_of(target_id: str) -> Steadying:
        try:
            return fit(target_id).predictor.steadying
        except NotReady:
            return Steadying.none()

    estimates = []
    for measurement_id in measurement_ids:
        match found.get(measurement_id):
            case None:
                raise NotFound(f"no measurement {measurement_id!r}")
            case Unusable() as unusable:
                measurement_rows.warn_once(unusable)
                raise UnreadableRow(
                    f"measurement {measurement_id} is of no use: {unusable.why}; measure its"
                    " network again"
                )
            case usable:
                # No predictor has learned of devices that are warm.
                sustained = usable.spec.visit.is_sustained
                steadying = Steadying.none() if sustained else steadying_of(usable.target_id)
                estimates.append(measured_estimate(usable.network, steadying, time.time_ns()))
    return estimates


def measured_estimate(
    network: MeasuredNetwork, steadying: Steadying, now_unix_ns: int
) -> LatencyEstimate:
    """Return the estimate that a measurement gives for its own network."""
    steady = steadying(network)
    return LatencyEstimate(
        latency_ns=whole_ns(steady.latency_ns),
        lower_ns=whole_ns(steady.lower_ns),
        upper_ns=whole_ns(steady.upper_ns),
        source=Source.MEASURED,
        coverage=1.0,
        samples=1,
        age_s=max(0.0, (now_unix_ns - network.unix_ns) / 1e9),
        steadied=steadying.is_learned,
    )
