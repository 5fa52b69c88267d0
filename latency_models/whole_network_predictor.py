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
from latency_models.measured_networks import each_once, rows_of_each
from latency_models.packing import check, count, kinds_among, pack
from latency_models.predictor import MIN_NETWORKS
from latency_models.regressor import Rates
from latency_models.whole_network_prior import CostUnits, KernelSums, Prior, definite, surprise
from latlab.domain.errors import NotEnoughData, UnknownKernelKinds
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
        rates: What work usually takes, for kinds of kernels that no measured network has.
        fixed_ns: The fixed time of every network.
        neighbourhood: The kernels by their coordinates.
        interval: The prediction interval.
        samples: The number of networks that it was fitted on.
        newest_unix_ns: The time of the newest measurement.
        memory: The kernels that were predicted before.
    """

    steadying: Steadying
    units: CostUnits
    prior: Prior
    kernels: tuple[Kernel, ...]
    weights_ns: FloatArray
    rates: Rates
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
        if (distinct := len(rows_of_each(networks))) < MIN_NETWORKS:
            raise NotEnoughData(
                f"{MIN_NETWORKS} measured networks are needed, there are {distinct}"
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
        """Fit a predictor to measurements.

        Returns:
            The predictor, and the (measurements,) latency of each network, predicted from the
            others.
        """
        once = each_once(networks)
        kernels, lengths, indices = pack(network.kernels for network in once)
        counts = count(kernels, lengths, indices)
        units = CostUnits.fit(kernels, counts)
        sums = KernelSums(counts, *units.compare(kernels, kernels))
        latencies_ns = np.array([network.latency_ns for network in once])
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
        # Rasmussen and Williams, Gaussian Processes for Machine Learning, equation 5.12.
        left_out_ns = latencies_ns - mean_ns * solution / np.diag(inverse)
        left_out_ns = np.maximum(left_out_ns, _MIN_LATENCY_NS)
        weights_ns = mean_ns * (counts.T @ solution)
        implied_ns = prior.covariance(*units.compare(kernels, kernels)) @ weights_ns
        predictor = cls(
            steadying,
            units,
            prior,
            tuple(kernels),
            weights_ns,
            Rates.fit(dict(zip(kernels, np.maximum(implied_ns, 0.0).tolist(), strict=True))),
            mean_ns * _FIXED_VARIANCE * float(solution.sum()),
            Neighbourhood.of(kernels),
            RelativeInterval.fit(left_out_ns, latencies_ns),
            len(once),
            max(network.unix_ns for network in once),
        )
        of_measurements_ns = np.empty(len(networks))
        for rows, left_out in zip(rows_of_each(networks), left_out_ns, strict=True):
            of_measurements_ns[rows] = left_out
        return predictor, of_measurements_ns

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
        unknown = sorted({kernel.typed_kind for kernel in table} - self.units.by_kind.keys())
        if unknown and not guess:
            raise UnknownKernelKinds(unknown)
        kernel_ns, near, guessed = self.memory.rows(table, self._compute).T
        sizes_ns = np.abs(kernel_ns)
        columns = np.column_stack([kernel_ns, sizes_ns, sizes_ns * near, kernel_ns * guessed])
        sums_ns = count(table, lengths, indices) @ columns
        totals_ns, total_sizes_ns, near_ns, guessed_ns = sums_ns.T
        latencies_ns = np.maximum(self.fixed_ns + totals_ns, _MIN_LATENCY_NS)
        coverages = near_ns / np.maximum(total_sizes_ns, _MIN_LATENCY_NS)
        factors = self.interval.with_guesses(guessed_ns / latencies_ns, self.rates.deviation)
        age_s = max(0, now_unix_ns - self.newest_unix_ns) / 1e9
        return [
            LatencyEstimate(
                latency_ns=whole_ns(latency_ns),
                lower_ns=whole_ns(latency_ns / factor),
                upper_ns=whole_ns(latency_ns * factor),
                source=Source.BOUND if kinds else Source.REGRESSION,
                coverage=coverage,
                samples=self.samples,
                age_s=age_s,
                steadied=self.steadying.is_learned,
                unknown_kinds=kinds,
            )
            for latency_ns, factor, coverage, kinds in zip(
                latencies_ns.tolist(),
                factors.tolist(),
                coverages.tolist(),
                kinds_among(table, lengths, indices, unknown),
                strict=True,
            )
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
        """Return (kernels, 3): time in ns, whether one near it was measured, if it is a guess."""
        guessed = np.array([kernel.typed_kind not in self.units.by_kind for kernel in kernels])
        known = [kernel for kernel, guess in zip(kernels, guessed, strict=True) if not guess]
        kernel_ns = self.rates.guess_ns(kernels)
        kernel_ns[~guessed] = self.kernel_ns(known) if known else []
        return np.column_stack([kernel_ns, self.neighbourhood.holds(kernels), guessed])


def _outlier(networks: Sequence[MeasuredNetwork], left_out_ns: FloatArray) -> int | None:
    """Return the row whose ratio exceeds _MAX_RATIO the most; None if there is none."""
    latencies_ns = np.array([network.latency_ns for network in networks])
    ratios = latencies_ns / np.maximum(left_out_ns, np.median(latencies_ns))
    worst = int(np.argmax(ratios))
    return worst if ratios[worst] > _MAX_RATIO else None
