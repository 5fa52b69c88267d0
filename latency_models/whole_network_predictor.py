"""Predicts the latency of networks from that of others, where no kernel was ever timed.

A network takes a fixed time and the sum of its kernels' times. A kernel's time, unknown,
is the sum of its cost terms, each times a coefficient that all kernels of its kind share
plus a deviation that varies smoothly with its shape. With Gaussian priors on all of these
the latencies are a Gaussian process: the covariance of two networks is the sum of that of
their kernels, pair by pair, and what sums tell about kernels follows in closed form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from latency_models.coverage import Neighbourhood
from latency_models.features import multiply_adds, points
from latency_models.interference import Steadying
from latency_models.intervals import RelativeInterval
from latency_models.kernel_memory import KernelMemory
from latency_models.measured_networks import rows_of_each
from latency_models.packing import check, count, pack
from latency_models.predictor import MIN_NETWORKS
from latlab.domain.errors import NotEnoughData, UnknownKernelKinds
from latlab.domain.estimate import LatencyEstimate, Source, whole_ns
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MIN_LATENCY_NS = 1.0

# What took so many times as long as predicted from the others, and as most of them, says more
# of its measurement than of its network. At most one of so many.
_MAX_RATIO = 30.0
_NETWORKS_PER_OUTLIER = 10

# Of a covariance's diagonal, as shares of its trace: the last dominates any matrix of such.
_GROWTHS = (1e-14, 1e-12, 1e-10, 1e-8, 1e-4, 1.0)

# Of the fixed time, in units of the mean latency squared. Wide: the data decide.
_FIXED_VARIANCE = 1.0

# Where the search for a Prior starts, and its bounds, in the order of the fields.
_START = (0.1**2, 0.1**2, 2.0, 0.02**2)
_BOUNDS = ((1e-4**2, 1e1**2), (1e-4**2, 1e1**2), (0.2, 50.0), (1e-3**2, 1.0))


@dataclass(frozen=True)
class WholeNetworkPredictor:
    """Predicts latencies from those of other networks, without kernel times.

    latency = fixed_ns + sum over kernels of (covariances with `kernels`) @ `weights_ns`.

    kernels: the distinct ones of the networks measured. weights_ns: (kernels,) what the
    latencies say of each.
    samples: the measured networks behind it; newest_unix_ns: when the last was measured.
    """

    steadying: Steadying
    units: CostUnits
    prior: Prior
    kernels: tuple[Kernel, ...]
    weights_ns: FloatArray
    fixed_ns: float
    neighbourhood: Neighbourhood
    interval: RelativeInterval
    samples: int
    newest_unix_ns: int
    memory: KernelMemory = field(default_factory=KernelMemory, compare=False, repr=False)

    @classmethod
    def fit(cls, networks: Sequence[MeasuredNetwork]) -> WholeNetworkPredictor:
        """Learns from latencies alone, also where there are traces. Its time grows with the
        cube of the number of networks.

        The interval comes from the errors on each network, left out. One without kernels tells
        of none. One that took far longer than the others have it outweighs them all, and is not
        learned from where it is one of ten or more. Raises NotEnoughData where fewer than
        MIN_NETWORKS have kernels.
        """
        networks = list(filter(cls.learns_from, networks))
        if len(networks) < MIN_NETWORKS:
            raise NotEnoughData(
                f"{MIN_NETWORKS} measured networks are needed, there are {len(networks)}"
            )
        most = len(networks) // _NETWORKS_PER_OUTLIER
        while True:
            predictor, left_out_ns = cls._fit(networks, Steadying.none())
            outlier = _outlier(networks, left_out_ns)
            if outlier is None or most == 0:
                break
            networks, most = networks[:outlier] + networks[outlier + 1 :], most - 1
        steadying = Steadying.fit(networks, left_out_ns)
        if steadying.is_learned:
            predictor, _ = cls._fit(list(map(steadying, networks)), steadying)
        return predictor

    @classmethod
    def _fit(
        cls, networks: Sequence[MeasuredNetwork], steadying: Steadying
    ) -> tuple[WholeNetworkPredictor, FloatArray]:
        """With (networks,) each as it is predicted from others."""
        kernels, lengths, indices = pack(network.kernels for network in networks)
        counts = count(kernels, lengths, indices)
        units = CostUnits.fit(kernels, counts)
        products, squared_octaves = units.compare(kernels, kernels)
        latencies_ns = np.array([network.latency_ns for network in networks])
        mean_ns = float(latencies_ns.mean())
        shares = latencies_ns / mean_ns

        def covariance(prior: Prior) -> FloatArray:
            """Of the measured latencies."""
            between_kernels = prior.covariance(products, squared_octaves)
            exact: FloatArray = counts @ (counts @ between_kernels).T + _FIXED_VARIANCE
            return exact + prior.noise_variance * np.eye(len(shares))

        prior = Prior.fit(lambda prior: _surprise(covariance(prior), shares))
        known, _ = _definite(covariance(prior))
        inverse = np.linalg.inv(known)
        solution = inverse @ shares
        # Rasmussen and Williams, Gaussian Processes for Machine Learning, equation 5.12, for
        # all measurements of one network at a time.
        left_out_ns = latencies_ns.copy()
        for of in rows_of_each(networks):
            left_out_ns[of] -= mean_ns * np.linalg.solve(inverse[np.ix_(of, of)], solution[of])
        left_out_ns = np.maximum(left_out_ns, _MIN_LATENCY_NS)
        predictor = cls(
            steadying,
            units,
            prior,
            tuple(kernels),
            mean_ns * (counts.T @ solution),
            mean_ns * _FIXED_VARIANCE * float(solution.sum()),
            Neighbourhood.of(kernels),
            RelativeInterval.fit(left_out_ns, latencies_ns),
            len(networks),
            max(network.unix_ns for network in networks),
        )
        return predictor, left_out_ns

    @staticmethod
    def learns_from(network: MeasuredNetwork) -> bool:
        """Return whether the network has kernels."""
        return bool(network.kernels)

    def predict(
        self, table: Sequence[Kernel], lengths: IntArray, indices: IntArray, now_unix_ns: int
    ) -> list[LatencyEstimate]:
        """One estimate for each network, in the form that `packing.pack` gives.

        Coverage is the share of the kernels' time from such near those of measured networks.
        Raises UnknownKernelKinds, and ValueError as `packing.check` does.
        """
        check(table, lengths, indices)
        if len(lengths) == 0:
            return []
        kernel_ns, near = self.memory.rows(table, self._compute).T
        sizes_ns = np.abs(kernel_ns)
        columns = np.column_stack([kernel_ns, sizes_ns, sizes_ns * near])
        totals_ns, total_sizes_ns, near_ns = (count(table, lengths, indices) @ columns).T
        latencies_ns = np.maximum(self.fixed_ns + totals_ns, _MIN_LATENCY_NS)
        coverages = near_ns / np.maximum(total_sizes_ns, _MIN_LATENCY_NS)
        age_s = max(0, now_unix_ns - self.newest_unix_ns) / 1e9
        return [
            LatencyEstimate(
                latency_ns=whole_ns(latency_ns),
                lower_ns=whole_ns(latency_ns / self.interval.factor),
                upper_ns=whole_ns(latency_ns * self.interval.factor),
                source=Source.REGRESSION,
                coverage=coverage,
                samples=self.samples,
                age_s=age_s,
                steadied=self.steadying.is_learned,
            )
            for latency_ns, coverage in zip(latencies_ns.tolist(), coverages.tolist(), strict=True)
        ]

    def kernel_ns(self, kernels: Sequence[Kernel]) -> FloatArray:
        """What the latencies say of each kernel's time. Kernels that always come together
        share theirs by their cost terms, and small ones may fall below 0.

        Raises UnknownKernelKinds.
        """
        covariance = self.prior.covariance(*self.units.compare(kernels, self.kernels))
        kernel_ns: FloatArray = covariance @ self.weights_ns
        return kernel_ns

    def _compute(self, kernels: Sequence[Kernel]) -> FloatArray:
        """Return (kernels, 2): the time in ns, and whether a kernel near it was measured."""
        return np.column_stack([self.kernel_ns(kernels), self.neighbourhood.holds(kernels)])


@dataclass(frozen=True)
class CostUnits:
    """For each kind of kernel, (terms,) the sum of each cost term over a mean network: in
    these units one prior fits the terms of all kinds.
    """

    by_kind: dict[str, FloatArray]

    @classmethod
    def fit(cls, kernels: Sequence[Kernel], counts: csr_array) -> CostUnits:
        """counts: (networks, kernels)."""
        mean_counts = counts.mean(axis=0)
        by_kind: dict[str, FloatArray] = {}
        for kernel, mean_count in zip(kernels, mean_counts.tolist(), strict=True):
            by_kind[kernel.kind] = by_kind.get(kernel.kind, 0.0) + mean_count * _costs(kernel)
        return cls({kind: np.where(sums > 0, sums, 1.0) for kind, sums in by_kind.items()})

    def compare(
        self, left: Sequence[Kernel], right: Sequence[Kernel]
    ) -> tuple[FloatArray, FloatArray]:
        """(left, right) scalar products of cost terms, 0 between kinds, and (left, right)
        squared distances between shapes, in octaves. Raises UnknownKernelKinds.
        """
        unknown = sorted({kernel.kind for kernel in (*left, *right)} - self.by_kind.keys())
        if unknown:
            raise UnknownKernelKinds(unknown)
        of_one_kind = np.equal.outer([x.kind for x in left], [x.kind for x in right])
        products = self._in_units(left) @ self._in_units(right).T * of_one_kind
        return products, cdist(points(left), points(right), "sqeuclidean")

    def _in_units(self, kernels: Sequence[Kernel]) -> FloatArray:
        return np.array([_costs(kernel) / self.by_kind[kernel.kind] for kernel in kernels])


@dataclass(frozen=True)
class Prior:
    """Variances, in units of the mean latency squared, of a cost term's coefficient, of its
    deviations and of a measurement's error; and the distance in octaves at which the
    deviations of two shapes have little in common.
    """

    coefficient_variance: float
    deviation_variance: float
    octaves: float
    noise_variance: float

    @classmethod
    def fit(cls, surprise: Callable[[Prior], float]) -> Prior:
        """The one that surprises least: a local minimum."""
        solution = minimize(
            lambda logs: surprise(cls(*np.exp(logs).tolist())),
            np.log(_START),
            bounds=np.log(_BOUNDS),
            method="L-BFGS-B",
        )
        return cls(*np.exp(solution.x).tolist())

    def covariance(self, products: FloatArray, squared_octaves: FloatArray) -> FloatArray:
        """Of kernels' times, from what `CostUnits.compare` gives."""
        alike: FloatArray = np.exp(-0.5 * squared_octaves / self.octaves**2)
        return products * (self.coefficient_variance + self.deviation_variance * alike)


def _outlier(networks: Sequence[MeasuredNetwork], left_out_ns: FloatArray) -> int | None:
    """The row that most exceeds _MAX_RATIO; None where none does."""
    latencies_ns = np.array([network.latency_ns for network in networks])
    ratios = latencies_ns / np.maximum(left_out_ns, np.median(latencies_ns))
    worst = int(np.argmax(ratios))
    return worst if ratios[worst] > _MAX_RATIO else None


def _surprise(covariance: FloatArray, values: FloatArray) -> float:
    """Negative logarithm of the marginal likelihood, but for a constant."""
    _, factor = _definite(covariance)
    misfit = values @ cho_solve(factor, values)
    return float(0.5 * misfit + np.log(np.diag(factor[0])).sum())


def _definite(covariance: FloatArray) -> tuple[FloatArray, tuple[FloatArray, bool]]:
    """The covariance and its Cholesky factor. Networks that differ by many orders of magnitude
    make one that is positive definite on paper only: then its diagonal grows by what helps."""
    for growth in _GROWTHS:
        try:
            return covariance, cho_factor(covariance, lower=True)
        except np.linalg.LinAlgError:
            covariance = covariance + growth * np.trace(covariance) * np.eye(len(covariance))
    return covariance, cho_factor(covariance, lower=True)


def _costs(kernel: Kernel) -> FloatArray:
    """The call itself, work, elements moved, and weights: no more, for nothing is known of
    how the target computes.
    """
    work = multiply_adds(kernel)
    moved = sum(map(prod, kernel.inputs)) + prod(kernel.output)
    return np.array([1.0, work, moved, work / max(1, prod(kernel.output[:-1]))])
