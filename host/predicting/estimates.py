"""Turn measurements into latencies with intervals, without the delay by other work.

Those that are not finished have provisional latencies.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from host.database import measurements as measurement_rows
from host.database.engine import Database
from host.database.stored_measurements import newest_summaries
from host.measuring import statistics
from host.measuring.device_time import device_time_s
from host.measuring.interval import usual_spread
from host.predicting.predictors import WAIT_S, Predictors
from latency_models.interference import Steadying
from latlab.domain.errors import NotFound, NotReady, Unavailable, UnreadableRow
from latlab.domain.estimate import LatencyEstimate, MeasuredLatency, Source, whole_ns
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import Job
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.measurement import Measurement, Summary, Unusable, Visit, footprint_of

# A database limits the parameters of a query.
PAGE = 1_000
# Measurements from which the usual spread of a target's visits is taken: the newest ones, because
# a machine is noisy for hours and quiet for others.
SPREAD_MEASUREMENTS = 30

SteadyingOf: TypeAlias = Callable[[str], Steadying]


def current_steadying(
    predictors: Predictors, target_id: str, *, timeout_s: float = WAIT_S
) -> Steadying:
    """Return the correction that the target's predictor has learned.

    It waits for the first fit. Without a predictor there is no correction, and the estimates
    say so.
    """
    try:
        return predictors.get(target_id, timeout_s=timeout_s).predictor.steadying
    except (NotReady, Unavailable):
        return Steadying.none()


def known_steadying(predictors: Predictors, target_id: str) -> Steadying:
    """Return the correction that the target's predictor has learned, without waiting for a fit."""
    snapshot = predictors.find(target_id)
    if snapshot is None:
        predictors.request(target_id)
        return Steadying.none()
    return snapshot.predictor.steadying


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
                estimates.append(_stored_estimate(usable, steadying_of))
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
        estimate=_stored_estimate(usable, steadying_of),
        clean_visits=usable.summary.clean_visits,
        disturbed_visits=usable.summary.visits - usable.summary.clean_visits,
        device_s=device_time_s(measurement),
        heat_unknown=measurement.heat_unknown,
        untraced=usable.untraced,
        footprint=footprint_of(measurement.visits, usable.program_bytes),
    )


class ProvisionalLatencies:
    """The latencies of measurements that are not finished.

    One or two visits say little about how much visits differ. So their interval rests on how much
    they differed in the newest measurements of the target.
    """

    def __init__(self, database: Database, predictors: Predictors) -> None:
        self._predictors = predictors
        # No method of its own: an object in a cycle lives until the next full garbage collection.
        self._spread_of = functools.cache(functools.partial(_usual_spread, database))

    def estimate(
        self, job: Job, kernels: tuple[Kernel, ...], visits: Sequence[Visit]
    ) -> LatencyEstimate | None:
        """Return the latency that the visits so far give; None while none of them is clean.

        It is corrected if the target has a predictor by now. None is fitted for it.

        Args:
            job: The job that measures a program.
            kernels: The program's kernels.
            visits: The job's visits so far.
        """
        summary = statistics.summarize(visits, self._spread_of(job.target_id))
        if summary is None:
            return None
        network = MeasuredNetwork.of(kernels, None, summary, time.time_ns())
        snapshot = self._predictors.find(job.target_id)
        steadying = Steadying.none()
        if snapshot is not None and not job.spec.visit.is_sustained:
            steadying = snapshot.predictor.steadying
        return _estimate(summary, network, steadying)


def _usual_spread(database: Database, target_id: str) -> float:
    with database.reading() as connection:
        newest = newest_summaries(connection, target_id, statistics.VERSION, SPREAD_MEASUREMENTS)
    return usual_spread(newest)


def _refusal(unusable: Unusable) -> str:
    """Return why a measurement cannot be used, for its user, and log it once."""
    measurement_rows.warn_once(unusable)
    return (
        f"measurement {unusable.measurement_id} is of no use: {unusable.why}; measure its network"
        " again"
    )


def _stored_estimate(
    usable: measurement_rows.UsableMeasurement, steadying_of: SteadyingOf
) -> LatencyEstimate:
    # No predictor has learned of devices that are warm.
    sustained = usable.spec.visit.is_sustained
    steadying = Steadying.none() if sustained else steadying_of(usable.target_id)
    return _estimate(usable.summary, usable.network, steadying)


def _estimate(summary: Summary, network: MeasuredNetwork, steadying: Steadying) -> LatencyEstimate:
    steady = steadying(network)
    return LatencyEstimate(
        latency_ns=whole_ns(steady.latency_ns),
        lower_ns=whole_ns(steady.lower_ns),
        upper_ns=whole_ns(steady.upper_ns),
        source=Source.MEASURED,
        coverage=1.0,
        samples=1,
        age_s=max(0.0, (time.time_ns() - steady.unix_ns) / 1e9),
        steadied=steadying.is_learned,
        raw=summary.raw,
        correction=steadying.correction,
    )
