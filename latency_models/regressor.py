"""A kernel's time from its shape: one model for each kind of kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from latency_models.features import cost_terms
from latency_models.kernel import Kernel

FloatArray = NDArray[np.float64]

_FLOOR_NS = 100.0  # below this a relative error means nothing


@dataclass(frozen=True)
class KernelRegressor:
    """A roofline: time is a sum of cost terms with coefficients of at least zero, so that
    more work never takes less time and extrapolation stays sane.
    """

    coefficients: FloatArray

    @classmethod
    def fit(cls, kernels: Sequence[Kernel], kernel_ns: FloatArray) -> KernelRegressor:
        """Least relative squares on kernels of one kind."""
        terms = np.array([cost_terms(kernel) for kernel in kernels])
        weights = 1 / np.maximum(kernel_ns, _FLOOR_NS)
        scale = terms.max(axis=0)
        solution, _ = nnls(terms / scale * weights[:, None], kernel_ns * weights)
        return cls(solution / scale)

    def predict(self, kernels: Sequence[Kernel]) -> FloatArray:
        """The time of each kernel in ns."""
        terms = np.array([cost_terms(kernel) for kernel in kernels])
        predicted: FloatArray = terms @ self.coefficients
        return predicted
