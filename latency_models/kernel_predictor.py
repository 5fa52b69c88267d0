"""A predictor of latencies from the measured times of kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from latency_models.interference import Steadying
from latency_models.intervals import NormalizedInterval, whole_bounds_ns
from latency_models.kernel_times import KernelSums, KernelTimes
from latency_models.measured_networks import each_once, rows_of_each
from latency_models.network_correction import Correction
from latency_models.packing import check, kinds_among, pack
from latency_models.predictor import MIN_NETWORKS, LeftOuts, left_outs
from latlab.domain.errors import NotEnoughData, UnknownKernelKinds
from latlab.domain.estimate import LatencyEstimate, Source
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MAX_FOLDS = 10
_FOLD_SEED = 0
# Correction and interval are learned from whole networks, if there are enough. Of single operators
# the fixed time of a run is a large part, the profiler's µs are coarse, and few have the same kind.
_LONG_NS = 200_000.0
_WHOLE_KERNELS = 5
_ENOUGH_WHOLE = 9
# The mean of a million readings of the profiler's µs is 0 or above this. A damaged row may be not.
_LEAST_KERNEL_NS = 1e-3
_LEAST_DEVIATION = 0.003  # no latency is measured better
_MEDIAN_OF_NORMAL = float(norm.ppf(0.75))  # of the absolute value, in standard deviations


@dataclass(frozen=True)
class KernelPredictor:
    """Sums a network's kernel times and corrects the sum.

    All parts are fitted on steadied measurements, in which each network counts once. The interval
    comes from networks that the other parts were not fitted on. It is wider for a network whose
    kernels are less certain.

    Attributes:
        steadying: The correction for interference.
        kernel_times: The times of single kernels.
        correction: The correction from their sum to the latency of the network.
        deviation: The standard deviation of the logarithm of the latency of a network whose
            kernels are well known.
        interval: The prediction interval.
        samples: The number of networks that it was fitted on.
        newest_unix_ns: The time of the newest measurement.
        left_out: What is predicted of the networks without each, if they are few.
    """

    steadying: Steadying
    kernel_times: KernelTimes
    correction: Correction
    deviation: float
    interval: NormalizedInterval
    samples: int
    newest_unix_ns: int
    left_out: LeftOuts

    @classmethod
    def fit(cls, networks: Sequence[MeasuredNetwork]) -> KernelPredictor:
        """Fit a predictor on the networks that have kernel times.

        Raises:
            NotEnoughData: Fewer than MIN_NETWORKS have kernel times, or hardly any of them can
                be predicted from the others.
        """
        measurements = [_readable(each) for each in networks if cls.learns_from(each)]
        rows = rows_of_each(measurements)
        if len(rows) < MIN_NETWORKS:
            raise NotEnoughData(
                f"{MIN_NETWORKS} measured networks with traces are needed, there are {len(rows)}"
            )
        once = each_once(measurements)
        kernel_times = KernelTimes.fit(once)
        held_out = _HeldOut.predict(once, kernel_times)
        correction = held_out.correction(kernel_times.kinds)
        by_all_ns = correction(held_out.sums_ns).tolist()
        steadying = Steadying.fit(
            [measurements[row] for i in held_out.rows for row in rows[i]],
            np.array([ns for i, ns in zip(held_out.rows, by_all_ns, strict=True) for _ in rows[i]]),
        )
        once = each_once(list(map(steadying, measurements)))
        kernel_times = KernelTimes.fit(once, like=kernel_times)
        held_out = _HeldOut.predict(once, kernel_times)
        predicted_ns = held_out.corrected_ns(kernel_times.kinds)
        deviation, interval = held_out.interval(predicted_ns)
        half_widths = interval.half_widths(np.hypot(deviation, held_out.deviations))
        return cls(
            steadying,
            kernel_times,
            held_out.correction(kernel_times.kinds),
            deviation,
            interval,
            len(once),
            max(network.unix_ns for network in once),
            left_outs([once[row] for row in held_out.rows], predicted_ns, half_widths),
        )

    @staticmethod
    def learns_from(network: MeasuredNetwork) -> bool:
        """Return whether the network has kernel times."""
        return bool(network.kernel_ns)

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

        An estimate is a lookup if every kernel was measured, a bound if a kernel is of a kind
        that never was, and else a regression. Its coverage is the share of the time from kernels
        near measured ones.
        """
        check(table, lengths, indices)
        if len(lengths) == 0:
            return []
        kernels = self.kernel_times.sum(table, lengths, indices)
        if kernels.guessed_kinds and not guess:
            raise UnknownKernelKinds(kernels.guessed_kinds)
        latencies_ns = self.correction(kernels.sums_ns, kernels.guessed_ns)
        factors = self.interval.factors(np.hypot(self.deviation, kernels.deviations))
        kinds = kinds_among(table, lengths, indices, kernels.guessed_kinds)
        age_s = max(0, now_unix_ns - self.newest_unix_ns) / 1e9
        steadied = self.steadying.is_learned
        return [
            LatencyEstimate(
                latency_ns=latency_ns,
                lower_ns=lower_ns,
                upper_ns=upper_ns,
                source=_source(all_seen, unknown_kinds),
                coverage=1.0 if all_seen else coverage,
                samples=self.samples,
                age_s=age_s,
                steadied=steadied,
                unknown_kinds=unknown_kinds,
            )
            for (latency_ns, lower_ns, upper_ns), all_seen, coverage, unknown_kinds in zip(
                whole_bounds_ns(latencies_ns, factors),
                kernels.all_seen.tolist(),
                kernels.coverage.tolist(),
                kinds,
                strict=True,
            )
        ]


def _readable(network: MeasuredNetwork) -> MeasuredNetwork:
    """Return the network with 0 for kernel times below any clock's. Their inverses overflow."""
    times_ns = network.kernel_ns or ()
    if not any(0 < ns < _LEAST_KERNEL_NS for ns in times_ns):
        return network
    readable_ns = tuple(ns if ns >= _LEAST_KERNEL_NS else 0.0 for ns in times_ns)
    return replace(network, kernel_ns=readable_ns)


def _source(all_seen: bool, unknown_kinds: Sequence[str]) -> Source:
    if unknown_kinds:
        return Source.BOUND
    return Source.LOOKUP if all_seen else Source.REGRESSION


@dataclass(frozen=True)
class _HeldOut:
    """Measured networks, each summed by models that were not fitted on it.

    Attributes:
        rows: (networks,) which networks they are.
        sums_ns: (networks, kinds) the sums of the times of each kind's kernels.
        deviations: (networks,) how uncertain they are: see `KernelSums.deviations`.
        latencies_ns: (networks,) the measured latencies.
    """

    rows: list[int]
    sums_ns: FloatArray
    deviations: FloatArray
    latencies_ns: FloatArray

    @classmethod
    def predict(cls, networks: Sequence[MeasuredNetwork], like: KernelTimes) -> _HeldOut:
        """Sum the kernel times of each network by models that were fitted on other networks.

        A network is left out if it has a kind of kernel that no other fold has, and where there
        are enough others, if it is very short.

        Args:
            networks: Measured networks with kernel times, each once.
            like: The fit whose kinds and hyperparameters are kept.

        Raises:
            NotEnoughData: Hardly any network can be predicted from the others.
        """
        rows: list[int] = []
        folds: list[KernelSums] = []
        sums_ns = [np.empty((0, len(like.kinds)))]
        order = np.random.default_rng(_FOLD_SEED).permutation(len(networks))
        for fold in np.array_split(order, min(_MAX_FOLDS, len(networks))):
            rest = [networks[row] for row in np.setdiff1d(order, fold)]
            times = KernelTimes.fit(rest, like=like)
            known = [row for row in fold if not times.unknown_kinds(networks[row].kernels)]
            if known:
                sums = times.sum(*pack(networks[row].kernels for row in known))
                all_kinds_ns = np.zeros((len(known), len(like.kinds)))
                all_kinds_ns[:, np.isin(like.kinds, times.kinds)] = sums.sums_ns
                rows += known
                folds.append(sums)
                sums_ns.append(all_kinds_ns)
        if len(rows) < MIN_NETWORKS // 2:
            raise NotEnoughData(
                f"the {len(networks)} measured networks share too few kinds of kernels "
                "for one to be predicted from the others"
            )
        latencies_ns = np.array([networks[row].latency_ns for row in rows])
        kernels = np.array([len(networks[row].kernels) for row in rows])
        whole = np.flatnonzero((latencies_ns >= _LONG_NS) & (kernels >= _WHOLE_KERNELS))
        kept = whole if len(whole) >= _ENOUGH_WHOLE else np.arange(len(rows))
        return cls(
            [rows[place] for place in kept],
            np.concatenate(sums_ns)[kept],
            np.concatenate([sums.deviations for sums in folds])[kept],
            latencies_ns[kept],
        )

    @property
    def are_short(self) -> bool:
        """Whether most are single operators or little more."""
        return bool(np.median(self.latencies_ns) < _LONG_NS)

    def correction(self, kinds: Sequence[str], rows: IntArray | slice = slice(None)) -> Correction:
        """Fit the correction on some of the networks."""
        return Correction.fit(
            kinds, self.sums_ns[rows], self.latencies_ns[rows], are_short=self.are_short
        )

    def interval(self, predicted_ns: FloatArray) -> tuple[float, NormalizedInterval]:
        """Return the deviation of well-known networks, and the interval that fits the errors.

        Args:
            predicted_ns: (networks,) the latencies of `corrected_ns`.
        """
        errors = np.abs(np.log(self.latencies_ns / predicted_ns))
        deviation = max(_LEAST_DEVIATION, float(np.median(errors)) / _MEDIAN_OF_NORMAL)
        deviations = np.hypot(deviation, self.deviations)
        interval = NormalizedInterval.fit(predicted_ns, self.latencies_ns, deviations)
        if self.are_short:
            # Single operators do not show how wrong the sums of whole networks are.
            interval = interval.at_least_normal()
        return deviation, interval

    def corrected_ns(self, kinds: Sequence[str]) -> FloatArray:
        """Return the (networks,) latencies, each by a correction that was fitted on the others.

        A correction that was fitted on all of them is closer to them than to new networks. Its
        errors would make the interval too narrow.
        """
        corrected_ns = np.empty(len(self.rows))
        places = np.arange(len(self.rows))
        for fold in np.array_split(places, min(_MAX_FOLDS, len(places))):
            rest = np.setdiff1d(places, fold)
            corrected_ns[fold] = self.correction(kinds, rest)(self.sums_ns[fold])
        return corrected_ns
