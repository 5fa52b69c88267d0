"""Turn stored measurements into latencies with intervals, without the delay by other work."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from host.database import measurements as measurement_rows
from host.database.engine import Database
from host.measuring.device_time import device_time_s
from host.predicting.predictors import Predictors
from latency_models.interference import Steadying
from latlab.domain.errors import NotFound, NotReady, Unavailable, UnreadableRow
from latlab.domain.estimate import LatencyEstimate, MeasuredLatency, Source, whole_ns
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Measurement, Unusable

# A database limits the parameters of a query.
PAGE = 1_000

SteadyingOf: TypeAlias = Callable[[str], Steadying]


def current_steadying(predictors: Predictors, target_id: str) -> Steadying:
    """Return the correction that the target's predictor has learned.

    It waits for the first fit. Without a predictor there is no correction, and the estimates
    say so.
    """
    try:
        return predictors.get(target_id).predictor.steadying
    except (NotReady, Unavailable):
        return Steadying.none()


def look_up(
    database: Database, measurement_ids: Sequence[str], steadying_of: SteadyingOf
) -> list[LatencyEstimate]:
    """Return the latency estimate of each measurement, in input order.

    Excluded and suspect measurements are looked up too.

    Args:
        database: Where the measurements are stored.
        measurement_ids: The ids of the measurements.
        steadying_of: Returns the correction of a target by its id.

    Raises:
        NotFound: There is no measurement with one of the ids.
        UnreadableRow: A measurement is damaged or cannot be used.
    """
    found: dict[str, measurement_rows.UsableMeasurement | Unusable] = {}
    for start in range(0, len(measurement_ids), PAGE):
        with database.reading() as connection:
            page = measurement_ids[start : start + PAGE]
            found |= measurement_rows.look_up(connection, page)
    estimates = []
    for measurement_id in measurement_ids:
        match found.get(measurement_id):
            case None:
                raise NotFound(f"no measurement {measurement_id!r}: see `latlab measurements list`")
            case Unusable() as unusable:
                raise UnreadableRow(_refusal(unusable))
            case usable:
                estimates.append(_estimate(usable, steadying_of))
    return estimates


def measured_latency(
    database: Database, measurement: Measurement, steadying_of: SteadyingOf
) -> MeasuredLatency | Failure:
    """Return the outcome of a stored measurement without its visits.

    A measurement that cannot be used is a Failure that says why.
    """
    with database.reading() as connection:
        found = measurement_rows.look_up(connection, [measurement.id])
    usable = found[measurement.id]
    if isinstance(usable, Unusable):
        return Failure(FailureKind.AGENT_ERROR, _refusal(usable))
    return MeasuredLatency(
        measurement_id=measurement.id,
        program_sha256=measurement.program_sha256,
        estimate=_estimate(usable, steadying_of),
        clean_visits=usable.summary.clean_visits,
        disturbed_visits=usable.summary.visits - usable.summary.clean_visits,
        device_s=device_time_s(measurement),
        heat_unknown=measurement.heat_unknown,
        untraced=usable.untraced,
    )


def _refusal(unusable: Unusable) -> str:
    """Return why a measurement cannot be used, for its user, and log it once."""
    measurement_rows.warn_once(unusable)
    return (
        f"measurement {unusable.measurement_id} is of no use: {unusable.why}; measure its network"
        " again"
    )


def _estimate(
    usable: measurement_rows.UsableMeasurement, steadying_of: SteadyingOf
) -> LatencyEstimate:
    # No predictor has learned of devices that are warm.
    sustained = usable.spec.visit.is_sustained
    steadying = Steadying.none() if sustained else steadying_of(usable.target_id)
    steady = steadying(usable.network)
    return LatencyEstimate(
        latency_ns=whole_ns(steady.latency_ns),
        lower_ns=whole_ns(steady.lower_ns),
        upper_ns=whole_ns(steady.upper_ns),
        source=Source.MEASURED,
        coverage=1.0,
        samples=1,
        age_s=max(0.0, (time.time_ns() - steady.unix_ns) / 1e9),
        steadied=steadying.is_learned,
        raw=usable.summary.raw,
        correction=steadying.correction,
    )
