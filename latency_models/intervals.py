"""Prediction intervals, from the errors made on networks held out."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]

LEVEL = 0.9  # share of latencies that their interval is to hold
_MAX_LOG_FACTOR = 100.0


@dataclass(frozen=True, slots=True)
class RelativeInterval:
    """From prediction / factor to prediction × factor."""

    factor: float

    @classmethod
    def fit(cls, predicted_ns: FloatArray, measured_ns: FloatArray) -> RelativeInterval:
        """Conformal: a rank of |log(measured / predicted)| over held-out networks, at least
        one, all latencies above 0. Fewer than 9 have no rank for 90 %; then it is Student's t
        on their root mean square.
        """
        errors = np.sort(np.abs(np.log(measured_ns / predicted_ns)))
        count = len(errors)
        rank = ceil((count + 1) * LEVEL)
        if rank <= count:
            return cls.of(float(errors[rank - 1]))
        spread = np.sqrt(np.mean(errors**2) * (1 + 1 / count))
        return cls.of(float(stats.t.ppf((1 + LEVEL) / 2, count) * spread))

    @classmethod
    def of(cls, log_factor: float) -> RelativeInterval:
        """One that says next to nothing is as good as a wider one, and stays finite."""
        return cls(exp(min(log_factor, _MAX_LOG_FACTOR)))
