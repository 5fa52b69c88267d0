"""Prediction intervals from the errors on held-out networks."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

FloatArray = NDArray[np.float64]

LEVEL = 0.9  # the share of latencies that should lie in their interval
_MAX_LOG_FACTOR = 100.0


@dataclass(frozen=True, slots=True)
class RelativeInterval:
    """The interval from prediction / factor to prediction × factor."""

    factor: float

    @classmethod
    def fit(cls, predicted_ns: FloatArray, measured_ns: FloatArray) -> RelativeInterval:
        """Fit a conformal interval: a rank of |log(measured / predicted)|.

        Fewer than 9 networks have no rank for 90 %. Then the interval is that of Student's t
        distribution on their root mean square.

        Args:
            predicted_ns: (networks,) predictions of held-out networks, at least one, above 0.
            measured_ns: (networks,) their measured latencies, above 0.
        """
        errors = np.sort(np.abs(np.log(measured_ns / predicted_ns)))
        count = len(errors)
        rank = ceil((count + 1) * LEVEL)
        if rank <= count:
            return cls.of(float(errors[rank - 1]))
        spread = np.sqrt(np.mean(errors**2) * (1 + 1 / count))
        return cls.of(float(stdtrit(count, (1 + LEVEL) / 2) * spread))

    @classmethod
    def of(cls, log_factor: float) -> RelativeInterval:
        """Return the interval with a factor of exp(log_factor), which is kept finite."""
        return cls(exp(min(log_factor, _MAX_LOG_FACTOR)))
