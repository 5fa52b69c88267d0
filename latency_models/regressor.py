"""A kernel's time from its shape: one model for each kind of kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear, nnls

from latency_models.features import (
    cost_terms,
    points,
    usual_coefficients,
)
from latency_models.gaussian_process import GaussianProcess
from latency_models.rates import OFFSET_NS, Rates
from latlab.domain.kernel import Kernel

FloatArray = NDArray[np.float64]

_TINY = 1e-300  # instead of 0 in a divisor
_MIN_FOR_ALL_TERMS = 4
_MIN_FOR_RESIDUAL = 8
_MAX_FOR_RESIDUAL = 1_000  # fitting costs the cube of it

# A roofline's coefficients are the device's usual ones, give or take this factor's share, where
# the kernels of a kind are too few to tell them. Its relative errors are about the second number.
_USUAL_SHARE = 1.0
_ROOFLINE_ERROR = 0.05

# The deviation of a roofline that has no smooth factor beside it, because of too few kernels.
_ROOFLINE_DEVIATION = 0.4


@dataclass(frozen=True)
class KernelRegressor:
    """A model of the times of one kind of kernel: a roofline, times a smooth factor.

    The roofline is a sum of cost terms with coefficients of at least 0, so that it stays sane
    where it extrapolates. Its prior are the device's usual rates. The factor is a Gaussian
    process over the logarithms of shapes. It learns the errors of the roofline, and it fades to 1
    away from the kernels it has seen.

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
        rates: Rates,
        *,
        like: KernelRegressor | None = None,
    ) -> KernelRegressor:
        """Fit a regressor of the times of one kind of kernel.

        Args:
            kernels: Distinct kernels of one kind.
            kernel_ns: (kernels,) the time of each.
            rates: The device's rates.
            like: A regressor whose hyperparameters are kept instead of fitted, which is most
                of the cost.
        """
        terms = np.array([cost_terms(kernel) for kernel in kernels])
        usual = usual_coefficients(kernels[0], rates)
        coefficients = _fit_roofline(terms, kernel_ns, np.array(usual))
        if len(kernels) < _MIN_FOR_RESIDUAL:
            return cls(coefficients, None)
        log_factors = np.log((kernel_ns + OFFSET_NS) / (terms @ coefficients + OFFSET_NS))
        some = np.unique(np.linspace(0, len(kernels) - 1, _MAX_FOR_RESIDUAL).astype(np.int64))
        fixed = like.residual.hyperparameters if like and like.residual else None
        residual = GaussianProcess.fit(points(kernels)[some], log_factors[some], fixed)
        return cls(coefficients, residual)

    def predict(self, kernels: Sequence[Kernel]) -> tuple[FloatArray, FloatArray]:
        """Predict times of kernels.

        Returns:
            The (kernels,) time of each in ns, at least 0, and the (kernels,) standard deviation
            of its logarithm.
        """
        terms = np.array([cost_terms(kernel) for kernel in kernels])
        roofline_ns: FloatArray = terms @ self.coefficients
        if self.residual is None:
            return roofline_ns, np.full(len(kernels), _ROOFLINE_DEVIATION)
        log_factors, deviations = self.residual.predict(points(kernels))
        kernel_ns = np.maximum((roofline_ns + OFFSET_NS) * np.exp(log_factors) - OFFSET_NS, 0.0)
        return kernel_ns, deviations


def _fit_roofline(terms: FloatArray, kernel_ns: FloatArray, usual: FloatArray) -> FloatArray:
    """Fit coefficients by non-negative least squares on relative errors, with a Gaussian prior.

    The prior of a coefficient has the usual one as its mean. Where that is 0, only a small
    penalty decides between terms that the kernels cannot tell apart. A term that no kernel has is
    left at the usual coefficient. Where kernels are few, so are all terms that are usually 0: a
    term of which they have little would explain their errors, and be endless for other shapes.
    """
    weights = 1 / (kernel_ns + OFFSET_NS)
    largest_shares = (terms * weights[:, None]).max(axis=0)
    met = largest_shares > 0
    if len(kernel_ns) < _MIN_FOR_ALL_TERMS:
        met &= usual > 0
    scales = np.where(usual > 0, usual, 1 / np.maximum(largest_shares, _TINY))[met]
    coefficients = usual.copy()
    coefficients[met] = _non_negative(
        np.vstack([terms[:, met], np.diag(1 / scales)]),
        np.concatenate([kernel_ns, usual[met] / scales]),
        np.concatenate([weights, np.full(len(scales), _ROOFLINE_ERROR / _USUAL_SHARE)]),
    )
    return coefficients


def _non_negative(terms: FloatArray, values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the (terms,) coefficients of at least 0 with the least weighted squared errors."""
    largest = np.maximum(np.abs(terms * weights[:, None]).max(axis=0), _TINY)
    scaled, wanted = terms * weights[:, None] / largest, values * weights
    try:
        solution, _ = nnls(scaled, wanted, maxiter=1_000)
    except RuntimeError:  # no solution in so many steps, for terms that hardly differ
        solution = lsq_linear(scaled, wanted, bounds=(0.0, np.inf)).x
    coefficients: FloatArray = solution / largest
    return coefficients
