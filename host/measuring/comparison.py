"""Compare two programs on a noisy machine, by visits in turn that are compared pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from host.measuring.statistics import visit_latency_ns
from latlab.domain.benchmark_spec import MIN_PAIRS, BenchmarkSpec
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Visit

CONFIDENCE = 0.9


@dataclass(frozen=True, slots=True)
class Comparison:
    """The ratio of two programs' latencies.

    Attributes:
        ratio: The median, over pairs of neighbouring visits, of first / second.
        lower: Lower bound of the interval that holds the ratio with at least 90 % confidence, by
            the sign test.
        upper: Upper bound of that interval.
        pairs: How many pairs were clean.
        heat_unknown: Whether the device could not report its heat.
    """

    ratio: float
    lower: float
    upper: float
    pairs: int
    heat_unknown: bool = False


def paired_spec(pairs: int) -> BenchmarkSpec:
    """Return the spec with which both programs of a comparison are measured.

    Each takes as many visits as there are pairs. It does not stop early when its visits agree.

    Raises ValueError for fewer than MIN_PAIRS pairs.
    """
    if pairs < MIN_PAIRS:
        raise ValueError(f"a comparison takes at least {MIN_PAIRS} pairs of visits, not {pairs}")
    return BenchmarkSpec(min_visits=pairs, max_visits=pairs, traced_visits=0, spacing_ns=0)


def compare(first: Sequence[Visit], second: Sequence[Visit]) -> Comparison | Failure:
    """Compare the visits of two measurements that were taken in turn.

    A pair counts if both of its visits are clean. There is a Failure DISTURBED if fewer than
    MIN_PAIRS do.

    Args:
        first: The visits of one measurement, in the order in which they were made.
        second: Those of the other.
    """
    latencies_ns = zip(map(visit_latency_ns, first), map(visit_latency_ns, second), strict=False)
    ratios = sorted(
        first_ns / second_ns
        for first_ns, second_ns in latencies_ns
        if first_ns is not None and second_ns is not None
    )
    if len(ratios) < MIN_PAIRS:
        return Failure(
            FailureKind.DISTURBED,
            f"only {len(ratios)} of {min(len(first), len(second))} pairs of visits were clean:"
            " something else ran on the measured cores; free them and compare again",
        )
    low, high = median_ranks(len(ratios))
    return Comparison(
        float(np.median(ratios)),
        ratios[low],
        ratios[high],
        len(ratios),
        heat_unknown=not all(visit.heat_is_known for visit in (*first, *second)),
    )


def median_ranks(n: int) -> tuple[int, int]:
    """Return the ranks, from 0, of the values that bound the median of their population.

    The interval is distribution-free: how many of `n` values lie below the median follows a
    binomial distribution. It holds the median with at least CONFIDENCE, or with as much as so few
    values allow.
    """
    from scipy.special import bdtr  # commands that compare nothing need not load it

    low = 0
    while low < n - 1 and bdtr(low + 1, n, 0.5) <= (1 - CONFIDENCE) / 2:
        low += 1
    return min(low, n - 1 - low), max(low, n - 1 - low)
