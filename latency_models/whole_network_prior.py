"""The prior of whole-network predictors: a Gaussian process over kernels' unknown times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from latency_models.features import multiply_adds, points
from latlab.domain.errors import UnknownKernelKinds
from latlab.domain.kernel import Kernel

FloatArray = NDArray[np.float64]

# Values that are added to a covariance's diagonal until it is positive definite, as shares of
# its trace. The last one dominates any such matrix.
_GROWTHS = (1e-14, 1e-12, 1e-10, 1e-8, 1e-4, 1.0)

# Start and bounds of the search for a Prior, in the order of its fields.
_START = (0.1**2, 0.1**2, 2.0, 0.02**2)
_BOUNDS = ((1e-4**2, 1e1**2), (1e-4**2, 1e1**2), (0.2, 50.0), (1e-3**2, 1.0))


@dataclass(frozen=True)
class CostUnits:
    """Units of the cost terms, in which one prior fits all kinds of kernels.

    Attributes:
        by_kind: For each kind (terms,) the sum of each cost term over a mean network.
    """

    by_kind: dict[str, FloatArray]

    @classmethod
    def fit(cls, kernels: Sequence[Kernel], counts: csr_array) -> CostUnits:
        """Return units of cost terms for networks with these (networks, kernels) kernel counts."""
        mean_counts = counts.mean(axis=0)
        by_kind: dict[str, FloatArray] = {}
        for kernel, mean_count in zip(kernels, mean_counts.tolist(), strict=True):
            kind = kernel.typed_kind
            by_kind[kind] = by_kind.get(kind, 0.0) + mean_count * _costs(kernel)
        return cls({kind: np.where(sums > 0, sums, 1.0) for kind, sums in by_kind.items()})

    def compare(
        self, left: Sequence[Kernel], right: Sequence[Kernel]
    ) -> tuple[FloatArray, FloatArray]:
        """Compare each kernel of one set with each kernel of another.

        Returns:
            (left, right) scalar products of cost terms, 0 between kinds, and (left, right)
            squared distances between shapes in octaves.

        Raises:
            UnknownKernelKinds: There is no unit for a kind.
        """
        unknown = sorted({kernel.typed_kind for kernel in (*left, *right)} - self.by_kind.keys())
        if unknown:
            raise UnknownKernelKinds(unknown)
        same_kind = np.equal.outer([x.typed_kind for x in left], [x.typed_kind for x in right])
        products = self._in_units(left) @ self._in_units(right).T * same_kind
        return products, cdist(points(left), points(right), "sqeuclidean")

    def _in_units(self, kernels: Sequence[Kernel]) -> FloatArray:
        return np.array([_costs(kernel) / self.by_kind[kernel.typed_kind] for kernel in kernels])


@dataclass(frozen=True)
class Prior:
    """The prior's hyperparameters, with variances in units of the mean latency squared.

    Attributes:
        coefficient_variance: Variance of a cost term's coefficient.
        deviation_variance: Variance of the deviations from it.
        octaves: The distance at which the deviations of two shapes have little in common.
        noise_variance: Variance of a measurement's error.
    """

    coefficient_variance: float
    deviation_variance: float
    octaves: float
    noise_variance: float

    @classmethod
    def fit(cls, surprise: Callable[[Prior], float]) -> Prior:
        """Return the prior that minimizes the function `surprise`, at least locally."""
        solution = minimize(
            lambda logs: surprise(cls(*np.exp(logs).tolist())),
            np.log(_START),
            bounds=np.log(_BOUNDS),
            method="L-BFGS-B",
        )
        return cls(*np.exp(solution.x).tolist())

    def covariance(self, products: FloatArray, squared_octaves: FloatArray) -> FloatArray:
        """Return the covariance of kernels' times from the results of `CostUnits.compare`."""
        alike = _alike(squared_octaves, self.octaves)
        return products * (self.coefficient_variance + self.deviation_variance * alike)


class KernelSums:
    """The covariance of networks' times, each the sum of its kernels' times."""

    def __init__(
        self, counts: csr_array, products: FloatArray, squared_octaves: FloatArray
    ) -> None:
        """Sum what does not depend on the prior.

        Args:
            counts: (networks, kernels) how often each network contains each kernel.
            products: (kernels, kernels) from `CostUnits.compare`.
            squared_octaves: (kernels, kernels) from `CostUnits.compare`.
        """

        def summed(between_kernels: FloatArray) -> FloatArray:
            sums: FloatArray = counts @ (counts @ between_kernels).T
            return sums

        self._shared = summed(products)
        # The search for a prior varies one field after the other, and mostly another one.
        self._deviating = lru_cache(maxsize=2)(
            lambda octaves: summed(products * _alike(squared_octaves, octaves))
        )

    def covariance(self, prior: Prior) -> FloatArray:
        """Return (networks, networks): the sum of the kernels' `Prior.covariance` for each pair."""
        deviating: FloatArray = self._deviating(prior.octaves)
        return prior.coefficient_variance * self._shared + prior.deviation_variance * deviating


def _alike(squared_octaves: FloatArray, octaves: float) -> FloatArray:
    """Return the correlation, 0 to 1, of the deviations of shapes at squared distances."""
    alike: FloatArray = np.exp(-0.5 * squared_octaves / octaves**2)
    return alike


def surprise(covariance: FloatArray, values: FloatArray) -> float:
    """Return the negative log likelihood of values with this covariance, without its constant."""
    _, factor = definite(covariance)
    misfit = values @ cho_solve(factor, values)
    return float(0.5 * misfit + np.log(np.diag(factor[0])).sum())


def definite(covariance: FloatArray) -> tuple[FloatArray, tuple[FloatArray, bool]]:
    """Return the covariance matrix and its Cholesky factor.

    If networks differ by many orders of magnitude, rounding makes the covariance indefinite.
    Then its diagonal is increased.
    """
    for growth in _GROWTHS:
        try:
            return covariance, cho_factor(covariance, lower=True)
        except np.linalg.LinAlgError:
            covariance = covariance + growth * np.trace(covariance) * np.eye(len(covariance))
    return covariance, cho_factor(covariance, lower=True)


def _costs(kernel: Kernel) -> FloatArray:
    """Return the (4,) cost terms: the call itself, work, moved elements and weights.

    There are no more terms, because latencies alone do not show how the target computes.
    """
    work = multiply_adds(kernel)
    moved = sum(map(prod, kernel.inputs)) + prod(kernel.output)
    return np.array([1.0, work, moved, work / max(1, prod(kernel.output[:-1]))])
