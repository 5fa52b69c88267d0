"""Telling two programs apart on a noisy machine: visits in turn, compared pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from host.measuring.statistics import interval_ranks, visit_latency_ns
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Visit

# Pairs fewer than this have an interval of their extremes that hardly holds 90 %.
MIN_PAIRS = 5


@dataclass(frozen=True, slots=True)
class Comparison:
    """`ratio` is the median, over pairs of neighbouring visits, of first / second; between
    the bounds it lies with at least 90 % confidence (by the sign test)."""

    ratio: float
    lower: float
    upper: float
    pairs: int


def paired_spec(pairs: int) -> BenchmarkSpec:
    """Of either measurement: so many visits, whether or not they agree. Raises ValueError."""
    if pairs < MIN_PAIRS:
        raise ValueError(f"a comparison takes at least {MIN_PAIRS} pairs of visits, not {pairs}")
    return BenchmarkSpec(min_visits=pairs, max_visits=pairs, traced_visits=0, spacing_ns=0)


def compare(first: Sequence[Visit], second: Sequence[Visit]) -> Comparison | Failure:
    """The visits of two measurements that were taken in turn, in the order they were taken.
    A pair counts where both of its visits are clean."""
    ratios = sorted(
        ours / theirs
        for ours, theirs in zip(
            map(visit_latency_ns, first), map(visit_latency_ns, second), strict=False
        )
        if ours is not None and theirs is not None
    )
    if len(ratios) < MIN_PAIRS:
        return Failure(
            FailureKind.DISTURBED,
            f"only {len(ratios)} of {min(len(first), len(second))} pairs of visits were clean:"
            " something else ran on the measured cores",
        )
    low, high = interval_ranks(len(ratios), 0.5)
    return Comparison(float(np.median(ratios)), ratios[low], ratios[high], len(ratios))
