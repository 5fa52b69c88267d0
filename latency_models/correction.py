"""From the sum of a network's kernels, traced, to the whole network, untraced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

FloatArray = NDArray[np.float64]

# What goes into the fit as if it had been observed: an intercept of 0, give or take this
# share of a typical latency. A few networks of much the same size cannot tell the
# intercept from the scale.
_INTERCEPT_SHARE = 0.02
_TYPICAL_ERROR = 0.03  # relative; larger ones count by their size, not its square


@dataclass(frozen=True, slots=True)
class Correction:
    """latency = intercept + scale × sum of kernels, neither below 0."""

    intercept_ns: float
    scale: float

    @classmethod
    def fit(cls, sums_ns: FloatArray, latencies_ns: FloatArray) -> Correction:
        """Robust least relative squares. sums_ns: above 0."""
        typical_ns = float(np.median(latencies_ns))

        def residuals(parameters: FloatArray) -> FloatArray:
            intercept, scale = parameters
            errors = (intercept * typical_ns + scale * sums_ns) / latencies_ns - 1
            return np.append(errors / _TYPICAL_ERROR, intercept / _INTERCEPT_SHARE)

        start = (0.0, float(np.median(latencies_ns / sums_ns)))
        solution = least_squares(residuals, start, bounds=(0.0, np.inf), loss="soft_l1")
        return cls(float(solution.x[0]) * typical_ns, float(solution.x[1]))

    def __call__(self, sums_ns: FloatArray) -> FloatArray:
        return self.intercept_ns + self.scale * sums_ns

    def __str__(self) -> str:
        return f"{self.intercept_ns / 1e6:.3f} ms + {self.scale:.3f} × sum of kernels"
