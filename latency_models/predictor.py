"""Predicts the latency of networks from the kernels they are made of."""

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

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MIN_NETWORKS = 4
_FOLDS = 5


class NotEnoughData(Exception):
    """Fewer than MIN_NETWORKS traced networks."""


@dataclass(frozen=True)
class Predictor:
    """Immutable once fitted; `correction` and `interval` are there to be inspected."""

    kernel_times: KernelTimes
    correction: Correction
    interval: RelativeInterval
    samples: int
    newest_unix_ns: int

    @classmethod
    def fit(cls, networks: Sequence[MeasuredNetwork], *, seed: int = 0) -> Predictor:
        """Raises NotEnoughData below MIN_NETWORKS networks with traces."""
        traced = [network for network in networks if network.kernel_ns is not None]
        if len(traced) < MIN_NETWORKS:
            raise NotEnoughData(
                f"{MIN_NETWORKS} measured networks with traces are needed, there are {len(traced)}"
            )
        kernel_times = KernelTimes.fit(traced)
        sums, latencies = _held_out_sums(traced, kernel_times, np.random.default_rng(seed))
        correction = Correction.fit(sums, latencies)
        return cls(
            kernel_times,
            correction,
            RelativeInterval.fit(correction(sums), latencies),
            len(networks),
            max(network.unix_ns for network in networks),
        )

    def predict(
        self, table: Sequence[Kernel], lengths: IntArray, indices: IntArray, now_unix_ns: int
    ) -> list[LatencyEstimate]:
        """One estimate for each network.

        table: distinct kernels. indices: rows of `table`, the kernels of all networks one
        network after another. lengths: how many of them belong to each network, at least 1.
        Raises UnknownKernelKinds, and ValueError where the three do not fit together.
        """
        _check_packing(len(table), lengths, indices)
        if len(lengths) == 0:
            return []
        kernel_ns, seen = self.kernel_times.predict(table)
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        sums = np.add.reduceat(kernel_ns[indices], starts)
        seen_sums = np.add.reduceat((kernel_ns * seen)[indices], starts)
        all_seen = np.logical_and.reduceat(seen[indices], starts)
        latencies = self.correction(sums)
        growth = 1 + self.interval.half_width
        age_s = max(0, now_unix_ns - self.newest_unix_ns) / 1e9
        return [
            LatencyEstimate(
                round(latency),
                round(latency / growth),
                round(latency * growth),
                Source.LOOKUP if looked_up else Source.REGRESSION,
                coverage,
                self.samples,
                age_s,
            )
            for latency, looked_up, coverage in zip(
                latencies.tolist(), all_seen.tolist(), (seen_sums / sums).tolist(), strict=True
            )
        ]


def _check_packing(rows: int, lengths: IntArray, indices: IntArray) -> None:
    if np.any(lengths < 1):
        raise ValueError("a network has at least one kernel")
    if lengths.sum() != len(indices):
        raise ValueError(f"lengths add up to {lengths.sum()}, indices are {len(indices)}")
    if len(indices) and (indices.min() < 0 or indices.max() >= rows):
        raise ValueError(f"an index lies outside the table of {rows} kernels")


def _held_out_sums(
    networks: Sequence[MeasuredNetwork], like: KernelTimes, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Sums of kernels predicted by models that have not seen the network, and latencies."""
    sums, latencies = [], []
    order = rng.permutation(len(networks))
    for fold in np.array_split(order, min(_FOLDS, len(networks))):
        held_out = set(fold.tolist())
        times = KernelTimes.fit([n for i, n in enumerate(networks) if i not in held_out], like=like)
        for i in fold:
            try:
                sums.append(times.predict(networks[i].kernels)[0].sum())
            except UnknownKernelKinds:
                continue
            latencies.append(networks[i].latency_ns)
    return np.array(sums), np.array(latencies)
