"""Prediction intervals from the errors on held-out networks."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit
from scipy.stats import norm

from latlab.domain.estimate import MAX_LATENCY_NS

FloatArray = NDArray[np.float64]

LEVEL = 0.9  # the share of latencies that should lie in their interval
# No latency is known better than to a tenth of a percent, and no factor is infinite.
_LEAST_LOG_FACTOR, _MAX_LOG_FACTOR = 1e-3, 100.0


@dataclass(frozen=True, slots=True)
class NormalizedInterval:
    """An interval as wide as a network's latency is uncertain.

    It goes from prediction / factor to prediction × factor, where the logarithm of the factor is
    the network's predicted deviation times `multiple` (normalized conformal prediction,
    Papadopoulos and others, "Normalized nonconformity measures for regression conformal
    prediction", 2008).
    """

    multiple: float

    @classmethod
    def fit(
        cls, predicted_ns: FloatArray, measured_ns: FloatArray, deviations: FloatArray
    ) -> NormalizedInterval:
        """Fit the multiple that holds for LEVEL of the held-out networks.

        Args:
            predicted_ns: (networks,) predictions of held-out networks, at least one, above 0.
            measured_ns: (networks,) their measured latencies, above 0.
            deviations: (networks,) the predicted standard deviation of the logarithm of each
                latency, above 0, from models that were not fitted on the network.
        """
        return cls(conformal_bound(np.abs(np.log(measured_ns / predicted_ns)) / deviations))

    def at_least_normal(self) -> NormalizedInterval:
        """Return an interval that takes no deviation for less than it says of itself."""
        return NormalizedInterval(max(self.multiple, float(norm.ppf((1 + LEVEL) / 2))))

    def factors(self, deviations: FloatArray) -> FloatArray:
        """Return the (networks,) factors for predicted deviations; all are finite."""
        factors: FloatArray = np.exp(self.half_widths(deviations))
        return factors

    def half_widths(self, deviations: FloatArray) -> FloatArray:
        """Return the (networks,) logarithms of the factors for predicted deviations."""
        logs: FloatArray = np.clip(self.multiple * deviations, _LEAST_LOG_FACTOR, _MAX_LOG_FACTOR)
        return logs


def whole_bounds_ns(latencies_ns: FloatArray, factors: FloatArray) -> list[list[int]]:
    """Return the latency and its bounds of each network, as `whole_ns` rounds them.

    Args:
        latencies_ns: (networks,) predictions.
        factors: (networks,) factors of their intervals.
    """
    with np.errstate(over="ignore"):  # what is infinite is clipped
        upper_ns = latencies_ns * factors
    bounds_ns = np.stack([latencies_ns, latencies_ns / factors, upper_ns], axis=1)
    clipped_ns = np.clip(bounds_ns, 1.0, float(MAX_LATENCY_NS))
    whole: list[list[int]] = np.rint(clipped_ns).astype(np.int64).tolist()
    return whole


def conformal_bound(scores: FloatArray) -> float:
    """Return what the score of one more network exceeds with a probability of 1 - LEVEL.

    It is a rank of the scores. Fewer than 9 have no rank for 90 %. Then Student's t distribution
    on their root mean square gives the bound.

    Args:
        scores: (networks,) absolute errors of held-out networks, at least one.
    """
    count = len(scores)
    rank = ceil((count + 1) * LEVEL)
    if rank <= count:
        return float(np.sort(scores)[rank - 1])
    spread = np.sqrt(np.mean(scores**2) * (1 + 1 / count))
    return float(stdtrit(count, (1 + LEVEL) / 2) * spread)
