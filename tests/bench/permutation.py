"""An exact permutation test of paired differences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MOST = 24  # differences; each one more doubles time and memory


def p_value(differences: Sequence[float]) -> float:
    """Return the one-sided p-value of a mean difference above zero.

    Without an effect each difference could as well have the other sign. The p-value is the share
    of all ways to give them signs in which their sum is at least as high.

    Raises:
        ValueError: There are no differences, or too many for all ways.
    """
    if not 0 < len(differences) <= MOST:
        raise ValueError(f"an exact test takes 1 to {MOST} differences, not {len(differences)}")
    sums = np.zeros(1)
    for difference in differences:
        sums = np.concatenate((sums + difference, sums - difference))
    rounding = 1e-9 * float(np.abs(differences).sum())
    return float(np.mean(sums >= np.sum(differences) - rounding))
