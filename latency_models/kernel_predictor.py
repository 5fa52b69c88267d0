"""A predictor of latencies from the measured times of kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latency_models.interference import Steadying
from latency_models.intervals import RelativeInterval
from latency_models.kernel_times import KernelTimes
from latency_models.measured_networks import rows_of_each
from latency_models.network_correction import Correction
from latency_models.packing import check, pack
from latency_models.predictor import MIN_NETWORKS
from latlab.domain.errors import NotEnoughData
from latlab.domain.estimate import LatencyEstimate, Source, whole_ns
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MAX_FOLDS = 10
_FOLD_SEED = 0


@dataclass(frozen=True)
class KernelPredictor:
    """Sums a network's kernel times and corrects the sum.

    All parts are fitted on steadied measurements. The interval comes from networks that the
    other parts were not fitted on.

    Attributes:
        steadying: The correction for interference.
        kernel_times: The times of single kernels.
        correction: The correction from their sum to the latency of the network.
        interval: The prediction interval.
        samples: The number of measurements that it was fitted on.
        newest_unix_ns: The time of the newest of them.
    """

    steadying: Steadying
    kernel_times: KernelTimes
    correction: Correction
    interval: RelativeInterval
    samples: int
    newest_unix_ns: int

    @classmethod
    def fit(cls, networks: Sequence[MeasuredNetwork]) -> KernelPredictor:
        """Fit a predictor on the networks that have kernel times.

        Raises:
            NotEnoughData: Fewer than MIN_NETWORKS have kernel times, or hardly any of them can
                be predicted from the others.
        """
        traced = list(filter(cls.learns_from, networks))
        if len(traced) < MIN_NETWORKS:
            raise NotEnoughData(
                f"{MIN_NETWORKS} measured networks with traces are needed, there are {len(traced)}"
            )
        kernel_times = KernelTimes.fit(traced)
        held_out, sums_ns = _hold_out(traced, kernel_times)
        if len(held_out) < MIN_NETWORKS // 2:
            raise NotEnoughData(
                f"the {len(traced)} measured networks share too few kinds of kernels "
                "for one to be predicted from the others"
            )
        correction = Correction.fit(kernel_times.kinds, sums_ns, _latencies_ns(held_out))
        steadying = Steadying.fit(held_out, correction(sums_ns))
        traced = list(map(steadying, traced))
        kernel_times = KernelTimes.fit(traced, like=kernel_times)
        held_out, sums_ns = _hold_out(traced, kernel_times)
        latencies_ns = _latencies_ns(held_out)
        corrected_ns = _hold_out_correction(kernel_times.kinds, sums_ns, latencies_ns)
        return cls(
            steadying,
            kernel_times,
            Correction.fit(kernel_times.kinds, sums_ns, latencies_ns),
            RelativeInterval.fit(corrected_ns, latencies_ns),
            len(traced),
            max(network.unix_ns for network in traced),
        )

    @staticmethod
    def learns_from(network: MeasuredNetwork) -> bool:
        """Return whether the network has kernel times."""
        return bool(network.kernel_ns)

    def predict(
        self, table: Sequence[Kernel], lengths: IntArray, indices: IntArray, now_unix_ns: int
    ) -> list[LatencyEstimate]:
        """Return the latency estimate of each network, as `Predictor.predict` says.

        An estimate is a lookup if every kernel was measured, and else a regression. Its
        coverage is the share of the time from kernels near measured ones.
        """
        check(table, lengths, indices)
        if len(lengths) == 0:
            return []
        kernels = self.kernel_times.sum(table, lengths, indices)
        latencies_ns = self.correction(kernels.sums_ns)
        age_s = max(0, now_unix_ns - self.newest_unix_ns) / 1e9
        return [
            LatencyEstimate(
                latency_ns=whole_ns(latency_ns),
                lower_ns=whole_ns(latency_ns / self.interval.factor),
                upper_ns=whole_ns(latency_ns * self.interval.factor),
                source=Source.LOOKUP if all_seen else Source.REGRESSION,
                coverage=1.0 if all_seen else coverage,
                samples=self.samples,
                age_s=age_s,
                steadied=self.steadying.is_learned,
            )
            for latency_ns, all_seen, coverage in zip(
                latencies_ns.tolist(),
                kernels.all_seen.tolist(),
                kernels.coverage.tolist(),
                strict=True,
            )
        ]


def _hold_out(
    networks: Sequence[MeasuredNetwork], like: KernelTimes
) -> tuple[list[MeasuredNetwork], FloatArray]:
    """Sum the kernel times of each network by models that were not fitted on it.

    All measurements of a network are in one fold. A network is left out if it has a kind of
    kernel that no other fold has.

    Args:
        networks: Measured networks with kernel times.
        like: The fit whose hyperparameters are kept.

    Returns:
        The networks, fold by fold, and (networks, kinds) sums, with kinds in the order of `like`.
    """
    rows = rows_of_each(networks)
    held_out: list[MeasuredNetwork] = []
    sums_ns = [np.empty((0, len(like.kinds)))]
    order = np.random.default_rng(_FOLD_SEED).permutation(len(rows))
    for fold in np.array_split(order, min(_MAX_FOLDS, len(rows))):
        rest = [networks[row] for i in np.setdiff1d(order, fold) for row in rows[i]]
        times = KernelTimes.fit(rest, like=like)
        fold_networks = [
            network
            for network in (networks[row] for i in fold for row in rows[i])
            if times.regressors.keys() >= {kernel.typed_kind for kernel in network.kernels}
        ]
        if fold_networks:
            held_out += fold_networks
            known_ns = times.sum(*pack(network.kernels for network in fold_networks)).sums_ns
            all_kinds_ns = np.zeros((len(fold_networks), len(like.kinds)))
            all_kinds_ns[:, np.isin(like.kinds, times.kinds)] = known_ns
            sums_ns.append(all_kinds_ns)
    return held_out, np.concatenate(sums_ns)


def _hold_out_correction(
    kinds: Sequence[str], sums_ns: FloatArray, latencies_ns: FloatArray
) -> FloatArray:
    """Return the (networks,) latencies, each by a correction that was fitted on the others.

    A correction that was fitted on all of them is closer to them than to new networks. Its
    errors would make the interval too narrow.
    """
    corrected_ns = np.empty(len(sums_ns))
    rows = np.arange(len(sums_ns))
    for fold in np.array_split(rows, min(_MAX_FOLDS, len(rows))):
        rest = np.setdiff1d(rows, fold)
        corrected_ns[fold] = Correction.fit(kinds, sums_ns[rest], latencies_ns[rest])(sums_ns[fold])
    return corrected_ns


def _latencies_ns(networks: Sequence[MeasuredNetwork]) -> FloatArray:
    return np.array([network.latency_ns for network in networks])
