"""How far two ways to an accuracy rank networks alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.9
RESAMPLES = 2_000


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau-b of `networks` accuracies, and the bounds of its 90 % interval (bootstrap
    over the networks)."""

    kendall: float
    lower: float
    upper: float
    networks: int

    def __str__(self) -> str:
        return (
            f"Kendall's tau {self.kendall:.2f} (90 % interval {self.lower:.2f} to "
            f"{self.upper:.2f}, {self.networks} networks)"
        )


def agreement(first: Sequence[float], second: Sequence[float]) -> Agreement:
    """Of two accuracies of each network. Raises ValueError for fewer than three networks."""
    if len(first) < 3 or len(first) != len(second):
        raise ValueError(f"a rank correlation needs three networks or more, not {len(first)}")
    tau = _kendall(np.asarray(first), np.asarray(second))
    rng = np.random.default_rng(0)
    pairs = np.column_stack((first, second))
    resampled = [
        _kendall(*pairs[rng.integers(len(pairs), size=len(pairs))].T) for _ in range(RESAMPLES)
    ]
    lower, upper = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Agreement(tau, float(lower), float(upper), len(first))


def _kendall(first: np.ndarray, second: np.ndarray) -> float:
    """0 where one of them ranks nothing."""
    return float(np.nan_to_num(stats.kendalltau(first, second).statistic))
