"""From the sum of a network's kernels, traced, to the whole network, untraced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Correction:
    """latency = intercept + scale x sum of kernels."""

    intercept_ns: float
    scale: float

    @classmethod
    def fit(cls, sums_ns: FloatArray, latencies_ns: FloatArray) -> Correction:
        scale = float(np.median(latencies_ns / sums_ns))
        return cls(0.0, scale)

    def __call__(self, sums_ns: FloatArray) -> FloatArray:
        return self.intercept_ns + self.scale * sums_ns

    def __str__(self) -> str:
        return f"latency = {self.intercept_ns / 1e6:.3f} ms + {self.scale:.3f} x sum of kernels"
