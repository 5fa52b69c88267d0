"""Prediction intervals from the errors made on networks held out."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class RelativeInterval:
    """Around a prediction p: p / (1 + half_width) to p x (1 + half_width)."""

    level: float
    half_width: float

    @classmethod
    def fit(
        cls, predicted: FloatArray, measured: FloatArray, *, level: float = 0.9
    ) -> RelativeInterval:
        """Split-conformal on |log(measured / predicted)| of held-out networks. With too few
        of them for the level (9 for 0.9) no rank reaches it; then Student's t on the root
        mean square does.
        """
        errors = np.sort(np.abs(np.log(measured / predicted)))
        rank = ceil((len(errors) + 1) * level)
        if rank <= len(errors):
            half_width = errors[rank - 1]
        else:
            half_width = stats.t.ppf((1 + level) / 2, len(errors)) * np.sqrt(
                np.mean(errors**2) * (1 + 1 / len(errors))
            )
        return cls(level, float(np.expm1(half_width)))
