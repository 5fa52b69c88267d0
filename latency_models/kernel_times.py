"""Times of single kernels: looked up where they were measured, else regressed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latency_models.kernel import Kernel
from latency_models.lookup import KernelTime, lookup_table
from latency_models.observation import MeasuredNetwork
from latency_models.regressor import OFFSET_NS, KernelRegressor

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class UnknownKernelKinds(Exception):
    """Kernels of kinds that no measured network holds; `kinds` lists them all."""

    def __init__(self, kinds: Sequence[str]) -> None:
        super().__init__(f"never measured on this target: {', '.join(kinds)}")
        self.kinds = tuple(kinds)


@dataclass(frozen=True)
class KindModel:
    """A reading from few networks is noisy, so it is drawn towards what its shape predicts
    (empirical Bayes).

    between: variance of kernels around what their shapes predict.
    within: variance of one kernel from network to network. Both of log time.
    """

    regressor: KernelRegressor
    between: float
    within: float

    @classmethod
    def fit(
        cls, kernels: Sequence[Kernel], times: Sequence[KernelTime], like: KindModel | None
    ) -> KindModel:
        kernel_ns = np.array([time.mean_ns for time in times])
        regressor = KernelRegressor.fit(kernels, kernel_ns, like=like.regressor if like else None)
        networks = np.array([time.networks for time in times])
        relative = np.array([time.spread_ns for time in times]) / (kernel_ns + OFFSET_NS)
        repeats = float((networks - 1).sum())
        within = float((relative**2 * (networks - 1)).sum()) / repeats if repeats else 0.0
        between = max(0.0, regressor.noise - within * float(np.mean(1 / networks)))
        return cls(regressor, between, within)

    def lookup_weight(self, networks: int) -> float:
        """Of a mean over so many networks, against the regressor's prediction."""
        if self.within == 0:
            return 1.0
        return self.between / (self.between + self.within / networks)


@dataclass(frozen=True, slots=True)
class KernelSums:
    """Parallel arrays, one entry for each network.

    sums_ns: at least 1. coverage: share (0 to 1) of it from kernels that were measured.
    all_seen: whether every kernel was.
    """

    sums_ns: FloatArray
    coverage: FloatArray
    all_seen: NDArray[np.bool_]


@dataclass(frozen=True)
class KernelTimes:
    """What is known of single kernels on a target."""

    table: Mapping[Kernel, KernelTime]
    kinds: Mapping[str, KindModel]

    @classmethod
    def fit(
        cls, networks: Sequence[MeasuredNetwork], *, like: KernelTimes | None = None
    ) -> KernelTimes:
        """like: takes over the hyperparameters of another fit, to be quick."""
        table = lookup_table(networks)
        by_kind: dict[str, list[Kernel]] = defaultdict(list)
        for kernel in sorted(table):
            by_kind[kernel.kind].append(kernel)
        return cls(
            table,
            {
                kind: KindModel.fit(
                    kernels,
                    [table[kernel] for kernel in kernels],
                    like.kinds.get(kind) if like else None,
                )
                for kind, kernels in by_kind.items()
            },
        )

    def predict(self, kernels: Sequence[Kernel]) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Each kernel's time in ns, and whether it was measured.

        Raises UnknownKernelKinds.
        """
        rows: dict[str, list[int]] = defaultdict(list)
        for row, kernel in enumerate(kernels):
            rows[kernel.kind].append(row)
        unknown = sorted(rows.keys() - self.kinds.keys())
        if unknown:
            raise UnknownKernelKinds(unknown)
        kernel_ns = np.empty(len(kernels))
        for kind, of_kind in rows.items():
            kernel_ns[of_kind] = self.kinds[kind].regressor.predict(
                [kernels[row] for row in of_kind]
            )
        seen = np.array([kernel in self.table for kernel in kernels], dtype=np.bool_)
        for row in np.flatnonzero(seen).tolist():
            time = self.table[kernels[row]]
            weight = self.kinds[kernels[row].kind].lookup_weight(time.networks)
            kernel_ns[row] += weight * (time.mean_ns - kernel_ns[row])
        return kernel_ns, seen

    def sum(self, table: Sequence[Kernel], lengths: IntArray, indices: IntArray) -> KernelSums:
        """Over each network, in the form that `packing.pack` gives. Raises UnknownKernelKinds."""
        kernel_ns, seen = self.predict(table)
        starts = np.cumsum(lengths) - lengths
        sums_ns = np.maximum(np.add.reduceat(kernel_ns[indices], starts), 1.0)
        return KernelSums(
            sums_ns,
            np.add.reduceat((kernel_ns * seen)[indices], starts) / sums_ns,
            np.logical_and.reduceat(seen[indices], starts),
        )
