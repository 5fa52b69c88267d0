"""A predictor of latencies from those of other networks, without kernel times.

In this model a network takes a fixed time plus the sum of its kernels' times, which are
unknown, plus what only its decisions tell. With Gaussian priors on all of these, the latencies
are a Gaussian process, whose covariance is the sum of the parts' covariances. The likelihood of
the latencies decides how much each part explains. What the sums imply about the kernels follows
in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latency_models.coverage import Neighbourhood
from latency_models.interference import Steadying
from latency_models.intervals import NormalizedInterval, whole_bounds_ns
from latency_models.measured_networks import each_once, rows_of_each
from latency_models.packing import check, count, kinds_among
from latency_models.predictor import MIN_NETWORKS, LeftOuts, left_outs
from latency_models.rates import Rates
from latency_models.whole_network_covariance import (
    FIXED_VARIANCE,
    NAMES,
    CostUnits,
    Makeup,
    by_kind,
    kernel_covariance,
    vocabulary_of,
)
from latency_models.whole_network_process import Process
from latlab.domain.errors import NotEnoughData, UnknownKernelKinds
from latlab.domain.estimate import LatencyEstimate, Source
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork, Structure

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MIN_LATENCY_NS = 1.0

# Of more networks, so many are drawn: time grows with the cube of them, memory with the square.
# They are drawn blindly, because a choice for information would take unusual networks, and their
# errors would not be those of a usual one, for which the interval is.
_MAX_NETWORKS = 2_000
_SEED = 0
_PORTION = 500  # networks that are predicted at a time

# A network is an outlier if its latency is so many times its prediction from the others and the
# median latency. At most one of so many networks is left out.
_MAX_RATIO = 30.0
_NETWORKS_PER_OUTLIER = 10


@dataclass(frozen=True)
class WholeNetworkPredictor:
    """Predicts latencies from those of other networks, without kernel times.

    Attributes:
        steadying: The correction for interference.
        process: The Gaussian process of latencies in units of their mean.
        mean_ns: The mean latency of the measured networks.
        vocabulary: The decisions of the measured networks.
        running_kinds: The kinds of the kernels that they run.
        rates: What work usually takes, for other kinds of kernels.
        neighbourhood: The kernels by their coordinates.
        interval: The prediction interval.
        samples: The number of distinct networks that were measured.
        newest_unix_ns: The time of the newest measurement.
        left_out: What is predicted of the networks without each, if they are few.
    """

    steadying: Steadying
    process: Process
    mean_ns: float
    vocabulary: tuple[str, ...]
    running_kinds: frozenset[str]
    rates: Rates
    neighbourhood: Neighbourhood
    interval: NormalizedInterval
    samples: int
    newest_unix_ns: int
    left_out: LeftOuts

    @classmethod
    def fit(cls, networks: Sequence[MeasuredNetwork]) -> WholeNetworkPredictor:
        """Fit a predictor on latencies; kernel times are ignored.

        At most 2,000 networks are used. The interval comes from the leave-one-out errors. A
        network that took far longer than the others predict would outweigh them all. It is left
        out if there are ten networks or more.

        Raises:
            NotEnoughData: Fewer than MIN_NETWORKS networks have kernels.
        """
        networks = list(filter(cls.learns_from, networks))
        distinct = rows_of_each(networks)
        if (samples := len(distinct)) < MIN_NETWORKS:
            raise NotEnoughData(f"{MIN_NETWORKS} measured networks are needed, there are {samples}")
        drawn = np.random.default_rng(_SEED).permutation(samples)[:_MAX_NETWORKS]
        networks = [networks[row] for place in sorted(drawn) for row in distinct[place]]
        most = len(networks) // _NETWORKS_PER_OUTLIER
        while True:
            predictor, left_out_ns = cls._fit(networks, Steadying.none(), samples)
            outlier = _outlier(networks, left_out_ns)
            if outlier is None or most == 0:
                break
            networks, most = networks[:outlier] + networks[outlier + 1 :], most - 1
        steadying = Steadying.fit(networks, left_out_ns)
        if steadying.is_learned:
            predictor, _ = cls._fit(list(map(steadying, networks)), steadying, samples)
        return predictor

    @classmethod
    def _fit(
        cls, networks: Sequence[MeasuredNetwork], steadying: Steadying, samples: int
    ) -> tuple[WholeNetworkPredictor, FloatArray]:
        """Fit a predictor to measurements.

        Returns:
            The predictor, and the (measurements,) latency of each network, predicted from the
            others.
        """
        once = each_once(networks)
        structures = [network.structure for network in once]
        vocabulary = vocabulary_of(structures)
        makeup = Makeup.of([network.kernels for network in once], structures, vocabulary)
        latencies_ns = np.array([network.latency_ns for network in once])
        mean_ns = float(latencies_ns.mean())
        units = CostUnits.fit(makeup.kernels, makeup.running + makeup.dead)
        process = Process.fit(units, makeup, latencies_ns / mean_ns)
        left_out_ns = np.maximum(mean_ns * process.left_out, _MIN_LATENCY_NS)
        deviations = mean_ns * process.left_out_deviations / left_out_ns
        # The hyperparameters were fitted on the networks that they are judged by. New ones are
        # predicted worse, to first order by Akaike's final prediction error (1969).
        optimism = np.sqrt(1 + 2 * len(NAMES) / len(once))
        interval = NormalizedInterval.fit(left_out_ns, latencies_ns, deviations / optimism)
        runs = makeup.running.sum(axis=0) > 0
        running = tuple(k for k, is_run in zip(makeup.kernels, runs, strict=True) if is_run)
        implied_ns = np.maximum(_kernel_ns(process, mean_ns, running), 0.0)
        predictor = cls(
            steadying,
            process,
            mean_ns,
            vocabulary,
            frozenset(kernel.typed_kind for kernel in running),
            Rates.fit(dict(zip(running, implied_ns.tolist(), strict=True))),
            Neighbourhood.of(running),
            interval,
            samples,
            max(network.unix_ns for network in once),
            left_outs(once, left_out_ns, interval.half_widths(deviations)),
        )
        of_measurements_ns = np.empty(len(networks))
        for rows, left_out in zip(rows_of_each(networks), left_out_ns, strict=True):
            of_measurements_ns[rows] = left_out
        return predictor, of_measurements_ns

    @staticmethod
    def learns_from(network: MeasuredNetwork) -> bool:
        """Return whether the network has kernels."""
        return bool(network.kernels)

    @property
    def fixed_ns(self) -> float:
        """The time of every network that does not depend on what it is made of."""
        return self.mean_ns * FIXED_VARIANCE * float(self.process.weights.sum())

    def predict(
        self,
        table: Sequence[Kernel],
        lengths: IntArray,
        indices: IntArray,
        now_unix_ns: int,
        *,
        guess: bool = False,
        structures: Sequence[Structure | None] | None = None,
    ) -> list[LatencyEstimate]:
        """Return the latency estimate of each network, as `Predictor.predict` says.

        Its coverage is the share of the time from kernels near those of measured networks.

        Args:
            table: See `Predictor.predict`, as for the next four.
            lengths: (networks,)
            indices: (sum of lengths,)
            now_unix_ns: The current time.
            guess: Whether to guess the times of unknown kinds of kernels.
            structures: (networks,) what the kernels do not tell of each network, if anything.
        """
        check(table, lengths, indices)
        if len(lengths) == 0:
            return []
        unknown = sorted({kernel.typed_kind for kernel in table} - self.running_kinds)
        if unknown and not guess:
            raise UnknownKernelKinds(unknown)
        guessed = np.array([kernel.typed_kind in unknown for kernel in table])
        guesses_ns = np.where(guessed, self.rates.guess_ns(table), 0.0)
        sizes_ns = np.abs(self.kernel_ns(table)) + guesses_ns
        known_ns = sizes_ns * self.neighbourhood.holds(table)
        columns = np.column_stack([guesses_ns, sizes_ns, known_ns])
        guessed_ns, total_sizes_ns, near_ns = (count(table, lengths, indices) @ columns).T
        means, deviations = self._predict(table, lengths, indices, structures)
        latencies_ns = np.maximum(self.mean_ns * means + guessed_ns, _MIN_LATENCY_NS)
        factors = self.interval.factors(
            np.hypot(self.mean_ns * deviations, self.rates.deviation * guessed_ns) / latencies_ns
        )
        age_s = max(0, now_unix_ns - self.newest_unix_ns) / 1e9
        steadied = self.steadying.is_learned
        return [
            LatencyEstimate(
                latency_ns=latency_ns,
                lower_ns=lower_ns,
                upper_ns=upper_ns,
                source=Source.BOUND if kinds else Source.REGRESSION,
                coverage=coverage,
                samples=self.samples,
                age_s=age_s,
                steadied=steadied,
                unknown_kinds=kinds,
            )
            for (latency_ns, lower_ns, upper_ns), coverage, kinds in zip(
                whole_bounds_ns(latencies_ns, factors),
                (near_ns / np.maximum(total_sizes_ns, _MIN_LATENCY_NS)).tolist(),
                kinds_among(table, lengths, indices, unknown),
                strict=True,
            )
        ]

    def kernel_ns(self, kernels: Sequence[Kernel]) -> FloatArray:
        """Return the (kernels,) times that the latencies imply, in ns; 0 for unknown kinds.

        Kernels that always occur together share their time in proportion to their cost terms.
        Times of small kernels may be below 0.
        """
        return _kernel_ns(self.process, self.mean_ns, tuple(kernels))

    def _predict(
        self,
        table: Sequence[Kernel],
        lengths: IntArray,
        indices: IntArray,
        structures: Sequence[Structure | None] | None,
    ) -> tuple[FloatArray, FloatArray]:
        """Return the (networks,) means and deviations without guesses, in units of the mean."""
        split = np.split(indices, np.cumsum(lengths)[:-1])
        networks = [[table[row] for row in rows.tolist()] for rows in split]
        known = [None] * len(networks) if structures is None else structures
        predicted = [
            self.process.predict(
                Makeup.of(
                    networks[start : start + _PORTION],
                    known[start : start + _PORTION],
                    self.vocabulary,
                )
            )
            for start in range(0, len(networks), _PORTION)
        ]
        means, deviations = zip(*predicted, strict=True)
        return np.concatenate(means), np.concatenate(deviations)


def _kernel_ns(process: Process, mean_ns: float, kernels: tuple[Kernel, ...]) -> FloatArray:
    """Return the (kernels,) times that a process implies."""
    kernel_ns = np.zeros(len(kernels))
    weights_ns = mean_ns * (process.makeup.running.T @ process.weights)
    known_rows = by_kind(process.makeup.kernels)
    for kind, rows in by_kind(kernels).items():
        if columns := known_rows.get(kind):
            covariance = kernel_covariance(
                process.units,
                process.prior,
                tuple(kernels[row] for row in rows),
                tuple(process.makeup.kernels[column] for column in columns),
            )
            kernel_ns[rows] = covariance @ weights_ns[columns]
    return kernel_ns


def _outlier(networks: Sequence[MeasuredNetwork], left_out_ns: FloatArray) -> int | None:
    """Return the row whose ratio exceeds _MAX_RATIO the most; None if there is none."""
    latencies_ns = np.array([network.latency_ns for network in networks])
    ratios = latencies_ns / np.maximum(left_out_ns, np.median(latencies_ns))
    worst = int(np.argmax(ratios))
    return worst if ratios[worst] > _MAX_RATIO else None
