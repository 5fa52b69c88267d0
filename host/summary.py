"""What a measurement's visits amount to. Pure functions over raw samples.

A sample is spoiled when its thread was switched out against its will, or when its wall
time exceeds its CPU time by more than the other samples of its visit show. A visit whose
samples are mostly spoiled is spoiled. Nothing is dropped: spoiled visits are kept and only
left out of the latency.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from host.domain import BenchmarkSpec, Failure, FailureKind, Measurement, Visit
from latency_models.estimate import LatencyEstimate, Source

MIN_CLEAN_SHARE = 0.25
MIN_CLEAN_SAMPLES = 5
CONFIDENCE = 0.9
# A sample's wall time may exceed its CPU time by this share of it before it counts as
# spoiled, however steady its neighbours are: timer interrupts alone cost about as much.
EXCESS_SLACK = 0.01


@dataclass(frozen=True, slots=True)
class Summary:
    """`latency_ns` is the median of the clean visits' medians; the bounds are those order
    statistics of them that enclose their median with at least 90 % confidence (with fewer
    than five visits, their minimum and maximum)."""

    latency_ns: float
    lower_ns: float
    upper_ns: float
    clean_visits: int
    visits: int

    @property
    def half_width(self) -> float:
        """Of the interval, as a share of the latency."""
        return (self.upper_ns - self.lower_ns) / (2 * self.latency_ns)


def clean_samples(visit: Visit) -> npt.NDArray[np.bool_]:
    """(runs,) True where a sample is undisturbed."""
    wall_ns = np.asarray(visit.wall_ns, dtype=np.float64)
    excess_ns = wall_ns - np.asarray(visit.cpu_ns, dtype=np.float64)
    unswitched: npt.NDArray[np.bool_] = np.asarray(visit.involuntary_switches) == 0
    if not unswitched.any():
        return unswitched
    usual_ns = np.median(excess_ns[unswitched])
    spread_ns = np.median(np.abs(excess_ns[unswitched] - usual_ns))
    slack_ns = 5 * spread_ns + EXCESS_SLACK * np.median(wall_ns[unswitched])
    clean: npt.NDArray[np.bool_] = unswitched & (excess_ns <= usual_ns + slack_ns)
    return clean


def visit_median_ns(visit: Visit) -> float | None:
    """The median of the visit's clean samples; None when the visit is spoiled."""
    clean = clean_samples(visit)
    if clean.sum() < min(MIN_CLEAN_SAMPLES, len(clean)) or clean.mean() < MIN_CLEAN_SHARE:
        return None
    return float(np.median(np.asarray(visit.wall_ns)[clean]))


def summarize(visits: Sequence[Visit]) -> Summary | None:
    """Over the untraced visits; None when none of them is clean."""
    untraced = [visit for visit in visits if not visit.traced]
    medians = sorted(m for m in map(visit_median_ns, untraced) if m is not None)
    if not medians:
        return None
    low, high = median_interval_ranks(len(medians))
    return Summary(
        latency_ns=float(np.median(medians)),
        lower_ns=medians[low],
        upper_ns=medians[high],
        clean_visits=len(medians),
        visits=len(untraced),
    )


def median_interval_ranks(n: int) -> tuple[int, int]:
    """Ranks (from 0) of the order statistics of `n` values that enclose their population
    median with at least `CONFIDENCE`: the distribution-free interval by the sign test."""
    below = 0.0
    for rank in range((n + 1) // 2):
        below += math.comb(n, rank) / 2**n
        if 2 * below > 1 - CONFIDENCE:
            return max(rank - 1, 0), n - 1 - max(rank - 1, 0)
    return 0, n - 1


def measured_estimate(measurement: Measurement, now_unix_ns: int) -> LatencyEstimate:
    """What a measurement says of its own network."""
    summary = summarize(measurement.visits)
    if summary is None:
        raise ValueError(f"measurement {measurement.id} has no clean visit")
    return LatencyEstimate(
        latency_ns=round(summary.latency_ns),
        lower_ns=round(summary.lower_ns),
        upper_ns=round(summary.upper_ns),
        source=Source.MEASURED,
        coverage=1.0,
        samples=1,
        age_s=max(0.0, (now_unix_ns - measurement.unix_ns) / 1e9),
    )


@dataclass(frozen=True, slots=True)
class NextVisit:
    traced: bool


def progress(spec: BenchmarkSpec, visits: Sequence[Visit]) -> NextVisit | Failure | None:
    """What a measurement still needs: another visit, or nothing (None) once its visits
    agree or are as many as allowed; a Failure when too few of those were clean."""
    traced = sum(visit.traced for visit in visits)
    untraced = len(visits) - traced
    summary = summarize(visits)
    clean = summary.clean_visits if summary else 0
    agreed = (
        summary is not None and clean >= spec.min_visits and summary.half_width <= spec.tolerance
    )
    if not agreed and untraced < spec.max_visits:
        return NextVisit(traced=False)
    if clean < math.ceil(spec.min_visits / 2):
        return Failure(
            FailureKind.DISTURBED,
            f"{clean} of {untraced} visits were clean: something else ran on the measured"
            " cores; free them and measure again",
        )
    return NextVisit(traced=True) if traced < spec.traced_visits else None
