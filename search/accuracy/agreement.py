"""How far two ways to an accuracy rank networks alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap, kendalltau

from search.architecture import Architecture
from search.judge import Accuracy, Failed, OnDone

LEVEL = 0.9
RESAMPLES = 1_000
MIN_NETWORKS = 5  # fewer have hardly another order to be in


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau-b of the accuracies of `networks`, and the bounds of its interval at
    LEVEL, by the bootstrap over the networks."""

    kendall: float
    lower: float
    upper: float
    networks: int

    def __str__(self) -> str:
        return (
            f"Kendall's τ {self.kendall:.2f} ({LEVEL:.0%} interval {self.lower:.2f} to "
            f"{self.upper:.2f}, {self.networks} networks)"
        )


def agreement(first: Sequence[float], second: Sequence[float]) -> Agreement:
    """Of two accuracies of each network. Raises ValueError for fewer than MIN_NETWORKS."""
    if len(first) < MIN_NETWORKS:
        raise ValueError(
            f"a rank correlation needs {MIN_NETWORKS} networks or more, not {len(first)}"
        )
    interval = bootstrap(
        (first, second),
        _kendall,
        paired=True,
        vectorized=False,
        method="percentile",
        confidence_level=LEVEL,
        n_resamples=RESAMPLES,
        random_state=np.random.default_rng(0),
    ).confidence_interval
    kendall = _kendall(first, second)
    return Agreement(kendall, float(interval.low), float(interval.high), len(first))


def compared(
    one: Accuracy, other: Accuracy, architectures: Sequence[Architecture], on_done: OnDone
) -> Agreement:
    """On those to which both give an accuracy; `on_done` is told of the other's. Raises
    ValueError for fewer than MIN_NETWORKS."""
    return agreement_where_both(
        one.evaluate(architectures, lambda done: None), other.evaluate(architectures, on_done)
    )


def agreement_where_both(
    ours: Sequence[float | Failed], theirs: Sequence[float | Failed]
) -> Agreement:
    """Of the outcomes for the same networks, on those with two accuracies. Raises ValueError
    for fewer than MIN_NETWORKS."""
    pairs = [
        (first, second)
        for first, second in zip(ours, theirs, strict=True)
        if isinstance(first, float) and isinstance(second, float)
    ]
    return agreement([first for first, _ in pairs], [second for _, second in pairs])


def _kendall(first: Sequence[float], second: Sequence[float]) -> float:
    """0 where one of them ranks nothing."""
    return float(np.nan_to_num(kendalltau(first, second).statistic))
