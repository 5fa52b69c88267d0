"""Predicts the latency of networks from that of others, where no kernel was ever timed.

A network takes a fixed time and the sum of its kernels' times. A kernel's time, unknown,
is the sum of its cost terms, each times a coefficient that all kernels of its kind share
plus a deviation that varies smoothly with its shape. With Gaussian priors on all of these
the latencies are a Gaussian process: the covariance of two networks is the sum of that of
their kernels, pair by pair, and what sums tell about kernels follows from it in closed form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from latency_models.estimate import LatencyEstimate, Source
from latency_models.features import coordinates, cost_terms
from latency_models.intervals import RelativeInterval
from latency_models.kernel import Kernel
from latency_models.kernel_times import UnknownKernelKinds
from latency_models.observation import MeasuredNetwork
from latency_models.packing import pack
from latency_models.predictor import MIN_NETWORKS, NotEnoughData

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MIN_LATENCY_NS = 1.0

# Of the fixed time, in units of the mean latency squared. Wide: the data decide.
_FIXED_VARIANCE = 1.0

# Where the search for a Prior starts, and its bounds, in the order of the fields.
_START = (0.1**2, 0.1**2, 2.0, 0.02**2)
_BOUNDS = ((1e-4**2, 1e1**2), (1e-4**2, 1e1**2), (0.2, 50.0), (1e-3**2, 1.0))


@dataclass(frozen=True)
class WholeNetworkPredictor:
    """What `Predictor` is for networks with traces, for those without.

    latency = fixed_ns + sum over kernels of (covariances with `kernels`) @ `weights_ns`.

    terms: of the covariances. kernels: the distinct ones of the networks measured, and
    weights_ns: (kernels,) what the latencies say of each.
    samples: the measured networks behind it; newest_unix_ns: when the last was measured.
    """

    terms: Terms
    prior: Prior
    kernels: tuple[Kernel, ...]
    weights_ns: FloatArray
    fixed_ns: float
    interval: RelativeInterval
    samples: int
    newest_unix_ns: int

    @classmethod
    def fit(cls, networks: Sequence[MeasuredNetwork]) -> WholeNetworkPredictor:
        """Learns from latencies alone, traces or not. Costs the cube of the number of networks.

        The interval comes from leave-one-out errors. Raises NotEnoughData where there are
        fewer than MIN_NETWORKS.
        """
        if len(networks) < MIN_NETWORKS:
            raise NotEnoughData(
                f"{MIN_NETWORKS} measured networks are needed, there are {len(networks)}"
            )
        kernels, lengths, indices = pack(network.kernels for network in networks)
        counts = _counts(kernels, lengths, indices)
        latencies_ns = np.array([network.latency_ns for network in networks])
        mean_ns = float(latencies_ns.mean())
        terms = Terms.fit(kernels, counts)
        products, squared_octaves = terms.products(kernels, kernels)
        shares = latencies_ns / mean_ns

        def covariance(prior: Prior) -> FloatArray:
            """Of the networks' measured latencies."""
            between = prior.covariance(products, squared_octaves)
            exact: FloatArray = counts @ (counts @ between).T + _FIXED_VARIANCE
            return exact + prior.noise_variance * np.eye(len(networks))

        prior = Prior.fit(lambda prior: _surprise(covariance(prior), shares))
        inverse = np.linalg.inv(covariance(prior))
        solution = inverse @ shares
        # Rasmussen and Williams, Gaussian Processes for Machine Learning, equation 5.12.
        left_out_ns = (shares - solution / np.diag(inverse)) * mean_ns
        return cls(
            terms,
            prior,
            tuple(kernels),
            mean_ns * (counts.T @ solution),
            mean_ns * _FIXED_VARIANCE * float(solution.sum()),
            RelativeInterval.fit(np.maximum(left_out_ns, _MIN_LATENCY_NS), latencies_ns),
            len(networks),
            max(network.unix_ns for network in networks),
        )

    def predict(
        self, table: Sequence[Kernel], lengths: IntArray, indices: IntArray, now_unix_ns: int
    ) -> list[LatencyEstimate]:
        """One estimate for each network, in the form that `packing.pack` gives.

        Coverage is the share of the kernels' time from kernels of measured networks.
        Raises UnknownKernelKinds.
        """
        counts = _counts(table, lengths, indices)
        kernel_ns = self.kernel_ns(table)
        latencies_ns = np.maximum(self.fixed_ns + counts @ kernel_ns, _MIN_LATENCY_NS)
        known = set(self.kernels)
        seen = np.array([kernel in known for kernel in table])
        sizes_ns = np.abs(kernel_ns)
        coverages = (counts @ (sizes_ns * seen)) / np.maximum(counts @ sizes_ns, _MIN_LATENCY_NS)
        age_s = max(0, now_unix_ns - self.newest_unix_ns) / 1e9
        return [
            LatencyEstimate(
                latency_ns=round(latency_ns),
                lower_ns=round(latency_ns / self.interval.factor),
                upper_ns=round(latency_ns * self.interval.factor),
                source=Source.REGRESSION,
                coverage=coverage,
                samples=self.samples,
                age_s=age_s,
            )
            for latency_ns, coverage in zip(latencies_ns.tolist(), coverages.tolist(), strict=True)
        ]

    def kernel_ns(self, kernels: Sequence[Kernel]) -> FloatArray:
        """What the networks' latencies say of each kernel's time: kernels that always come
        together share it arbitrarily, and a small one may fall below 0.

        Raises UnknownKernelKinds.
        """
        return self.prior.covariance(*self.terms.products(kernels, self.kernels)) @ self.weights_ns


@dataclass(frozen=True)
class Terms:
    """Cost terms of kernels of all kinds side by side, each in units of its sum over a mean
    network, so that one prior fits all.

    columns: where the terms of each kind stand; scale: (terms,).
    """

    columns: dict[str, slice]
    scale: FloatArray

    @classmethod
    def fit(cls, kernels: Sequence[Kernel], counts: csr_array) -> Terms:
        columns: dict[str, slice] = {}
        width = 0
        for kernel in kernels:
            if kernel.kind not in columns:
                columns[kernel.kind] = slice(width, width + len(cost_terms(kernel)))
                width = columns[kernel.kind].stop
        unscaled = cls(columns, np.ones(width))
        typical = (counts @ unscaled(kernels)).mean(axis=0)
        return cls(columns, np.where(typical > 0, typical, 1.0))

    def __call__(self, kernels: Sequence[Kernel]) -> FloatArray:
        """(kernels, terms). Raises UnknownKernelKinds."""
        unknown = sorted({kernel.kind for kernel in kernels} - self.columns.keys())
        if unknown:
            raise UnknownKernelKinds(unknown)
        terms = np.zeros((len(kernels), len(self.scale)))
        for row, kernel in zip(terms, kernels, strict=True):
            row[self.columns[kernel.kind]] = cost_terms(kernel)
        return terms / self.scale

    def products(
        self, left: Sequence[Kernel], right: Sequence[Kernel]
    ) -> tuple[FloatArray, FloatArray]:
        """(left, right): scalar products of terms, 0 between kinds; and squared distances
        between shapes in octaves.
        """
        distances = cdist(_points(left), _points(right), "sqeuclidean")
        return self(left) @ self(right).T, distances


@dataclass(frozen=True)
class Prior:
    """Variances, in units of the mean latency squared, of a term's coefficient, of its
    deviations and of what a measurement adds; and how far apart, in octaves, two shapes are
    whose deviations have little in common.
    """

    coefficient_variance: float
    deviation_variance: float
    octaves: float
    noise_variance: float

    @classmethod
    def fit(cls, surprise: Callable[[Prior], float]) -> Prior:
        """The one that surprises least: a local minimum, over logarithms."""
        solution = minimize(
            lambda logs: surprise(cls(*np.exp(logs).tolist())),
            np.log(_START),
            bounds=np.log(_BOUNDS),
            method="L-BFGS-B",
        )
        return cls(*np.exp(solution.x).tolist())

    def covariance(self, products: FloatArray, squared_octaves: FloatArray) -> FloatArray:
        """Of kernels' times, from what `Terms.products` gives."""
        alike: FloatArray = np.exp(-0.5 * squared_octaves / self.octaves**2)
        return products * (self.coefficient_variance + self.deviation_variance * alike)


def _surprise(covariance: FloatArray, values: FloatArray) -> float:
    """Negative logarithm of the marginal likelihood, but for a constant."""
    factor = cho_factor(covariance, lower=True)
    fit = values @ cho_solve(factor, values)
    return float(0.5 * fit + np.log(np.diag(factor[0])).sum())


def _counts(table: Sequence[Kernel], lengths: IntArray, indices: IntArray) -> csr_array:
    """(networks, kernels): how often each network holds each kernel."""
    starts = np.append(0, np.cumsum(lengths))
    shape = (len(lengths), len(table))
    return csr_array((np.ones(len(indices)), indices, starts), shape=shape)


def _points(kernels: Sequence[Kernel]) -> FloatArray:
    return np.array([coordinates(kernel) for kernel in kernels])
