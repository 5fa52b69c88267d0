"""A predictor of latencies from those of other networks, without kernel times.

In this model a network takes a fixed time plus the sum of its kernels' times, which are
unknown. A kernel's time is the sum of its cost terms, each multiplied by a coefficient that all
kernels of its kind share, plus a deviation that varies smoothly with its shape. With Gaussian
priors on all of these, the latencies are a Gaussian process. The covariance of two networks is
the sum of the covariances of their kernels, pair by pair. What the sums imply about the kernels
follows in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from latency_models.coverage import Neighbourhood
from latency_models.interference import Steadying
from latency_models.intervals import RelativeInterval
from latency_models.kernel_memory import KernelMemory
from latency_models.measured_networks import rows_of_each
from latency_models.packing import check, count, pack
from latency_models.predictor import MIN_NETWORKS
from latency_models.whole_network_prior import CostUnits, KernelSums, Prior, definite, surprise
from latlab.domain.errors import NotEnoughData
from latlab.domain.estimate import LatencyEstimate, Source, whole_ns
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MIN_LATENCY_NS = 1.0

# A network is an outlier if its latency is so many times its prediction from the others and the
# median latency. At most one of so many networks is left out.
_MAX_RATIO = 30.0
_NETWORKS_PER_OUTLIER = 10

# Prior variance of the fixed time, in units of the mean latency squared. It is wide, so that the
# data decide.
_FIXED_VARIANCE = 1.0


@dataclass(frozen=True)
class WholeNetworkPredictor:
    """Predicts latencies from those of other networks, without kernel times.

    latency = fixed_ns + sum over kernels of (covariances with `kernels`) @ `weights_ns`.

    Attributes:
        steadying: The correction for interference.
        units: The units of the cost terms.
        prior: The fitted prior.
        kernels: The distinct kernels of the measured networks.
        weights_ns: (kernels,) the dual coefficients of the posterior.
        fixed_ns: The fixed time of every network.
        neighbourhood: The kernels by their coordinates.
        interval: The prediction interval.
        samples: The number of measurements that it was fitted on.
        newest_unix_ns: The time of the newest of them.
        memory: The kernels that were predicted before.
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
        """Fit a predictor on latencies; kernel times are ignored.

        The time grows with the cube of the number of networks. The interval comes from the
        leave-one-out errors. A network that took far longer than the others predict would
        outweigh them all. It is left out if there are ten networks or more.

        Raises:
            NotEnoughData: Fewer than MIN_NETWORKS networks have kernels.
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
        """Fit a predictor, and return it with the (networks,) leave-one-out predictions."""
        kernels, lengths, indices = pack(network.kernels for network in networks)
        counts = count(kernels, lengths, indices)
        units = CostUnits.fit(kernels, counts)
        sums = KernelSums(counts, *units.compare(kernels, kernels))
        latencies_ns = np.array([network.latency_ns for network in networks])
        mean_ns = float(latencies_ns.mean())
        shares = latencies_ns / mean_ns

        def covariance(prior: Prior) -> FloatArray:
            """Return the covariance of the measured latencies."""
            exact = sums.covariance(prior) + _FIXED_VARIANCE
            return exact + prior.noise_variance * np.eye(len(shares))

        prior = Prior.fit(lambda prior: surprise(covariance(prior), shares))
        known, _ = definite(covariance(prior))
        inverse = np.linalg.inv(known)
        solution = inverse @ shares
        # Rasmussen and Williams, Gaussian Processes for Machine Learning, equation 5.12, for
        # all measurements of one network at a time.
        left_out_ns = latencies_ns.copy()
        for rows in rows_of_each(networks):
            block = inverse[np.ix_(rows, rows)]
            left_out_ns[rows] -= mean_ns * np.linalg.solve(block, solution[rows])
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
        self,
        table: Sequence[Kernel],
        lengths: IntArray,
        indices: IntArray,
        now_unix_ns: int,
        *,
        guess: bool = False,
    ) -> list[LatencyEstimate]:
        """Return the latency estimate of each network, as `Predictor.predict` says.

        Its coverage is the share of the time from kernels near those of measured networks.
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
        """Return the (kernels,) times that the latencies imply, in ns.

        Kernels that always occur together share their time in proportion to their cost terms.
        Times of small kernels may be below 0.

        Raises:
            UnknownKernelKinds: No measured network has a kernel of a kind.
        """
        covariance = self.prior.covariance(*self.units.compare(kernels, self.kernels))
        kernel_ns: FloatArray = covariance @ self.weights_ns
        return kernel_ns

    def _compute(self, kernels: Sequence[Kernel]) -> FloatArray:
        """Return (kernels, 2): the time in ns, and whether a kernel near it was measured."""
        return np.column_stack([self.kernel_ns(kernels), self.neighbourhood.holds(kernels)])


def _outlier(networks: Sequence[MeasuredNetwork], left_out_ns: FloatArray) -> int | None:
    """Return the row whose ratio exceeds _MAX_RATIO the most; None if there is none."""
    latencies_ns = np.array([network.latency_ns for network in networks])
    ratios = latencies_ns / np.maximum(left_out_ns, np.median(latencies_ns))
    worst = int(np.argmax(ratios))
    return worst if ratios[worst] > _MAX_RATIO else None
