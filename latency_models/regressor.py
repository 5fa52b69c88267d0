"""A kernel's time from its shape: one model for each kind of kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear, nnls

from latency_models.features import cost_terms, points
from latency_models.gaussian_process import GaussianProcess
from latlab.domain.kernel import Kernel

FloatArray = NDArray[np.float64]

# Times are compared as log(time + 0.5 µs): relative where they matter, and finite where
# the runtime's profiler, which counts in µs, reads 0.
_OFFSET_NS = 500.0
_MIN_FOR_RESIDUAL = 8
_MAX_FOR_RESIDUAL = 1_000  # fitting costs the cube of it


@dataclass(frozen=True)
class KernelRegressor:
    """A model of the times of one kind of kernel: a roofline, times a smooth factor.

    The roofline is a sum of cost terms with coefficients of at least 0, so that it stays sane
    where it extrapolates. The factor is a Gaussian process over the logarithms of shapes. It
    learns the errors of the roofline, and it fades to 1 away from the kernels it has seen.

    Attributes:
        coefficients: (terms,) the roofline's coefficients.
        residual: The logarithm of the factor; None where there were too few kernels for one.
    """

    coefficients: FloatArray
    residual: GaussianProcess | None

    @classmethod
    def fit(
        cls,
        kernels: Sequence[Kernel],
        kernel_ns: FloatArray,
        *,
        like: KernelRegressor | None = None,
    ) -> KernelRegressor:
        """Fit a regressor of the times of one kind of kernel.

        Args:
            kernels: Distinct kernels of one kind.
            kernel_ns: (kernels,) the time of each.
            like: A regressor whose hyperparameters are kept instead of fitted, which is most
                of the cost.
        """
        terms = np.array([cost_terms(kernel) for kernel in kernels])
        coefficients = _fit_roofline(terms, kernel_ns)
        if len(kernels) < _MIN_FOR_RESIDUAL:
            return cls(coefficients, None)
        log_factors = np.log((kernel_ns + _OFFSET_NS) / (terms @ coefficients + _OFFSET_NS))
        some = np.unique(np.linspace(0, len(kernels) - 1, _MAX_FOR_RESIDUAL).astype(np.int64))
        fixed = like.residual.hyperparameters if like and like.residual else None
        residual = GaussianProcess.fit(points(kernels)[some], log_factors[some], fixed)
        return cls(coefficients, residual)

    def predict(self, kernels: Sequence[Kernel]) -> FloatArray:
        """Return the (kernels,) time of each kernel in ns, at least 0."""
        terms = np.array([cost_terms(kernel) for kernel in kernels])
        roofline_ns: FloatArray = terms @ self.coefficients
        if self.residual is None:
            return roofline_ns
        factor: FloatArray = np.exp(self.residual.predict(points(kernels)))
        kernel_ns: FloatArray = np.maximum((roofline_ns + _OFFSET_NS) * factor - _OFFSET_NS, 0.0)
        return kernel_ns


def _fit_roofline(terms: FloatArray, kernel_ns: FloatArray) -> FloatArray:
    """Fit coefficients by non-negative least squares on relative errors."""
    weights = 1 / (kernel_ns + _OFFSET_NS)
    largest = np.maximum(terms.max(axis=0), 1.0)
    shares = terms / largest
    try:
        solution, _ = nnls(shares * weights[:, None], kernel_ns * weights, maxiter=1_000)
    except RuntimeError:  # no solution in so many steps, for terms that hardly differ
        solution = lsq_linear(
            shares * weights[:, None], kernel_ns * weights, bounds=(0.0, np.inf)
        ).x
    coefficients: FloatArray = solution / largest
    return coefficients
