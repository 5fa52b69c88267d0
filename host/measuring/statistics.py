"""What a measurement's visits amount to. Pure functions over raw samples.

The latency is that of the machine left to itself. Whatever shares the machine (neighbours
behind a hypervisor, caches, memory) only ever adds time, for seconds on end and mostly
unseen by clocks and probes: so of a visit the lower decile counts, and of the visits the
lower quartile. Over 90 networks two halves of a measurement so disagreed by 1.8 %, their
medians of medians by 3.0 %. Minima, or the mean of the two fastest visits, did
as well. What neighbours on the memory still add is taken out afterwards, by probes of it
(see `latency_models.interference`).

A sample is spoiled when its thread was switched out against its will, or when its wall
time exceeds its CPU time by more than the other samples of its visit show. A visit whose
samples are mostly spoiled is spoiled. Nothing is dropped: spoiled visits are kept and only
left out of the latency.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latency_models.alignment import TraceMismatch, align
from latency_models.interference import Steadying
from latency_models.measured_networks import MeasuredNetwork
from latlab.domain.domain import MAX_VISITS, BenchmarkSpec, Failure, FailureKind, Program, Visit
from latlab.domain.estimate import LatencyEstimate, Source, whole_ns
from latlab.domain.kernel import Kernel

MIN_CLEAN_SHARE = 0.25
MIN_CLEAN_SAMPLES = 5
VISIT_QUANTILE = 0.1
QUANTILE = 0.25
CONFIDENCE = 0.9
# A measurement that is disturbed is tried again so often, resting longer each time.
MAX_ROUNDS = 3
FIRST_REST_S = 15.0
# A sample's wall time may exceed its CPU time by this share of it before it counts as
# spoiled, however steady its neighbours are: timer interrupts alone cost about as much.
EXCESS_SLACK = 0.01


@dataclass(frozen=True, slots=True)
class Summary:
    """`latency_ns` is the lower quartile of the clean visits' lower deciles; the bounds are
    those order statistics of them that enclose it with 90 % confidence (with fewer than 11
    visits the lower bound is the fastest visit and holds somewhat less)."""

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


@functools.lru_cache(maxsize=MAX_VISITS)  # a measurement's, which are asked for again and again
def visit_latency_ns(visit: Visit) -> float | None:
    """The lower decile of the visit's clean samples; None when the visit is spoiled, as one
    is that has no samples, or some that took no time."""
    clean = clean_samples(visit)
    least = max(1, min(MIN_CLEAN_SAMPLES, len(clean)))
    if clean.sum() < least or clean.mean() < MIN_CLEAN_SHARE:
        return None
    latency_ns = float(np.quantile(np.asarray(visit.wall_ns)[clean], VISIT_QUANTILE))
    return latency_ns if latency_ns > 0 else None


def summarize(visits: Sequence[Visit]) -> Summary | None:
    """Over the untraced visits; None when none of them is clean."""
    untraced = [visit for visit in visits if not visit.traced]
    latencies_ns = sorted(ns for ns in map(visit_latency_ns, untraced) if ns is not None)
    if not latencies_ns:
        return None
    low, high = interval_ranks(len(latencies_ns), QUANTILE)
    return Summary(
        latency_ns=float(np.quantile(latencies_ns, QUANTILE)),
        lower_ns=latencies_ns[low],
        upper_ns=latencies_ns[high],
        clean_visits=len(latencies_ns),
        visits=len(untraced),
    )


def memory_probe_ns(visits: Sequence[Visit]) -> float | None:
    """The lower quartile of the memory probes before and after those of the visits that were
    clean, or all where none was; None where no probe was made."""
    clean = [visit for visit in visits if visit_latency_ns(visit) is not None]
    probes_ns = [
        conditions.memory_probe_ns
        for visit in clean or visits
        for conditions in (visit.before, visit.after)
        if conditions.memory_probe_ns is not None and conditions.memory_probe_ns > 0
    ]
    return float(np.quantile(probes_ns, QUANTILE)) if probes_ns else None


def interval_ranks(n: int, quantile: float) -> tuple[int, int]:
    """Ranks (from 0) of the order statistics of `n` values that enclose the quantile of
    their population with at least `CONFIDENCE` where `n` allows it, else as nearly as it
    does: the distribution-free interval by the binomial distribution of how many lie below
    the quantile."""
    tail = (1 - CONFIDENCE) / 2
    low, high = 0, n - 1
    while low < n - 1 and _at_most(low + 1, n, quantile) <= tail:
        low += 1
    while high > 0 and _at_most(n - high, n, 1 - quantile) <= tail:
        high -= 1
    return low, high


def _at_most(k: int, n: int, p: float) -> float:
    """Of a binomial distribution."""
    return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))


def measured_network(
    kernels: tuple[Kernel, ...],
    kernel_ns: tuple[float, ...] | None,
    visits: Sequence[Visit],
    unix_ns: int,
) -> MeasuredNetwork | None:
    """None where no untraced visit was clean. Raises ValueError for what no network can have
    taken."""
    traced = [visit for visit in visits if visit.traced]
    untraced = [visit for visit in visits if not visit.traced]
    summary = summarize(untraced)
    if summary is None:
        return None
    return MeasuredNetwork(
        kernels,
        kernel_ns,
        summary.latency_ns,
        summary.lower_ns,
        summary.upper_ns,
        unix_ns,
        memory_probe_ns(untraced),
        memory_probe_ns(traced),
    )


def measured_estimate(
    network: MeasuredNetwork, steadying: Steadying, now_unix_ns: int
) -> LatencyEstimate:
    """What a measurement says of its own network."""
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


@dataclass(frozen=True, slots=True)
class NextVisit:
    """rest_s: at least so long after the visit before was asked for."""

    traced: bool
    rest_s: float = 0.0


def progress(spec: BenchmarkSpec, visits: Sequence[Visit]) -> NextVisit | Failure | None:
    """What a measurement still needs: another visit, or nothing (None) once its visits
    agree or are as many as allowed. Where too few of those were clean it rests, for the
    disturbance to pass, and tries as many again; a Failure after `MAX_ROUNDS` of them."""
    traced = sum(visit.traced for visit in visits)
    untraced = len(visits) - traced
    summary = summarize(visits)
    clean = summary.clean_visits if summary else 0
    agreed = (
        summary is not None and clean >= spec.min_visits and summary.half_width <= spec.tolerance
    )
    rounds, in_round = divmod(untraced, spec.max_visits)
    enough = clean >= math.ceil(spec.min_visits / 2)
    spacing_s = spec.spacing_ns / 1e9
    if not agreed and (untraced == 0 or in_round):
        return NextVisit(traced=False, rest_s=spacing_s)
    if not enough and rounds < MAX_ROUNDS:
        rest_s = max(spacing_s, FIRST_REST_S * 2 ** (rounds - 1))
        return NextVisit(traced=False, rest_s=rest_s)
    if not enough:
        return Failure(
            FailureKind.DISTURBED,
            f"{clean} of {untraced} visits were clean: something else ran on the measured"
            " cores; free them and measure again",
        )
    if traced < spec.traced_visits:
        return NextVisit(traced=True, rest_s=spacing_s)
    return None


def kernel_times_ns(program: Program, visits: list[Visit]) -> tuple[float, ...] | None:
    """Mean time of each kernel over the fastest quarter of all traced runs, in the program's
    order: as a latency, that of the machine left to itself. None without a traced visit.
    Raises TraceMismatch when kernels and traces do not align."""
    traced = [visit for visit in visits if visit.traced]
    if not traced:
        return None
    names = [trace.name for trace in traced[0].kernel_traces]
    for visit in traced:
        if [trace.name for trace in visit.kernel_traces] != names:
            raise TraceMismatch("two traced visits of one program ran different kernels")
        if len({len(trace.durations_ns) for trace in visit.kernel_traces}) > 1:
            raise TraceMismatch("kernels of one visit were traced in different numbers of runs")
    if not any(trace.durations_ns for visit in traced for trace in visit.kernel_traces):
        return align(program.kernels, [(name, ()) for name in names])
    durations_ns = np.hstack([[trace.durations_ns for trace in v.kernel_traces] for v in traced])
    totals_ns = durations_ns.sum(axis=0)
    fastest = durations_ns[:, totals_ns <= np.quantile(totals_ns, QUANTILE)]
    return align(program.kernels, list(zip(names, fastest.tolist(), strict=True)))
