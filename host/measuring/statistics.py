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
left out of the latency."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from latlab.domain.benchmark_spec import MAX_VISITS
from latlab.domain.measurement import Summary, Visit

VERSION = 1  # stored with each summary: to be raised with every change of what one says

# Why visits have no summary, for people.
NONE_CLEAN = "none of its untraced visits is clean"

MIN_CLEAN_SHARE = 0.25
MIN_CLEAN_SAMPLES = 5
VISIT_QUANTILE = 0.1
QUANTILE = 0.25
CONFIDENCE = 0.9
# A sample's wall time may exceed its CPU time by this share of it before it counts as
# spoiled, however steady its neighbours are: timer interrupts alone cost about as much.
EXCESS_SLACK = 0.01


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
    traced = [visit for visit in visits if visit.traced]
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
        memory_probe_ns=memory_probe_ns(untraced),
        traced_memory_probe_ns=memory_probe_ns(traced),
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
