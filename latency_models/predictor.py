"""Predicts the latency of networks from the kernels that they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latency_models.correction import Correction
from latency_models.estimate import LatencyEstimate, Source
from latency_models.intervals import RelativeInterval
from latency_models.kernel import Kernel
from latency_models.kernel_times import KernelTimes, UnknownKernelKinds
from latency_models.observation import MeasuredNetwork
from latency_models.packing import check, pack

__all__ = ["MIN_NETWORKS", "NotEnoughData", "Predictor", "UnknownKernelKinds"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MIN_NETWORKS = 4
_MAX_FOLDS = 10


class NotEnoughData(Exception):
    """Too few networks were measured, or have too little in common; says what is needed."""


@dataclass(frozen=True)
class Predictor:
    """Kernel times, summed, corrected for the whole, with an interval from networks that
    the kernel times were not fitted on.

    samples: the measured networks behind it; newest_unix_ns: when the last was measured.
    """

    kernel_times: KernelTimes
    correction: Correction
    interval: RelativeInterval
    samples: int
    newest_unix_ns: int

    @classmethod
    def fit(cls, networks: Sequence[MeasuredNetwork], *, seed: int = 0) -> Predictor:
        """Learns from the networks that have traces. seed: of the folds.

        Raises NotEnoughData where fewer than MIN_NETWORKS have, or where hardly any could
        be predicted from the others.
        """
        traced = [network for network in networks if network.kernel_ns]
        if len(traced) < MIN_NETWORKS:
            raise NotEnoughData(
                f"{MIN_NETWORKS} measured networks with traces are needed, there are {len(traced)}"
            )
        kernel_times = KernelTimes.fit(traced)
        sums_ns, latencies_ns = _hold_out(traced, kernel_times, seed)
        if len(sums_ns) < MIN_NETWORKS // 2:
            raise NotEnoughData(
                f"the {len(traced)} measured networks share too few kinds of kernels "
                "for one to be predicted from the others"
            )
        correction = Correction.fit(kernel_times.kinds, sums_ns, latencies_ns)
        return cls(
            kernel_times,
            correction,
            RelativeInterval.fit(correction(sums_ns), latencies_ns),
            len(traced),
            max(network.unix_ns for network in traced),
        )

    def predict(
        self, table: Sequence[Kernel], lengths: IntArray, indices: IntArray, now_unix_ns: int
    ) -> list[LatencyEstimate]:
        """One estimate for each network.

        table: (rows,) distinct kernels. lengths: (networks,) how many kernels each network
        has, at least 1. indices: (sum of lengths,) rows of `table`, network after network.
        Raises UnknownKernelKinds, and ValueError where the three do not fit together.
        """
        check(table, lengths, indices)
        if len(lengths) == 0:
            return []
        kernels = self.kernel_times.sum(table, lengths, indices)
        latencies_ns = self.correction(kernels.sums_ns)
        age_s = max(0, now_unix_ns - self.newest_unix_ns) / 1e9
        return [
            LatencyEstimate(
                latency_ns=round(latency_ns),
                lower_ns=round(latency_ns / self.interval.factor),
                upper_ns=round(latency_ns * self.interval.factor),
                source=Source.LOOKUP if all_seen else Source.REGRESSION,
                coverage=1.0 if all_seen else coverage,
                samples=self.samples,
                age_s=age_s,
            )
            for latency_ns, all_seen, coverage in zip(
                latencies_ns.tolist(),
                kernels.all_seen.tolist(),
                kernels.coverage.tolist(),
                strict=True,
            )
        ]


def _hold_out(
    networks: Sequence[MeasuredNetwork], like: KernelTimes, seed: int
) -> tuple[FloatArray, FloatArray]:
    """(networks, kinds) sums of kernels by models that have not seen the network, kinds in
    the order of `like`, and measured latencies.

    A network that holds a kind of kernel which its fold alone has is left out.
    """
    sums_ns, latencies_ns = [np.empty((0, len(like.kinds)))], [np.empty(0)]
    order = np.random.default_rng(seed).permutation(len(networks))
    for fold in np.array_split(order, min(_MAX_FOLDS, len(networks))):
        times = KernelTimes.fit([networks[i] for i in np.setdiff1d(order, fold)], like=like)
        held_out = [
            network
            for network in (networks[i] for i in fold)
            if times.regressors.keys() >= {kernel.kind for kernel in network.kernels}
        ]
        if held_out:
            known_ns = times.sum(*pack(n.kernels for n in held_out)).sums_ns
            of_all_kinds_ns = np.zeros((len(held_out), len(like.kinds)))
            of_all_kinds_ns[:, np.isin(like.kinds, times.kinds)] = known_ns
            sums_ns.append(of_all_kinds_ns)
            latencies_ns.append(np.array([n.latency_ns for n in held_out]))
    return np.concatenate(sums_ns), np.concatenate(latencies_ns)
