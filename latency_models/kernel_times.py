"""The times of single kernels: looked up if they were measured, else regressed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from latency_models.coverage import Neighbourhood
from latency_models.kernel_memory import KernelMemory
from latency_models.packing import count
from latency_models.regressor import KernelRegressor
from latlab.domain.errors import UnknownKernelKinds
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class KernelTime:
    """A kernel's time over the networks that contain it.

    Attributes:
        mean_ns: The mean over networks, each of which counts once.
        spread_ns: The standard deviation between networks; 0 for one network.
        networks: The number of networks.
    """

    mean_ns: float
    spread_ns: float
    networks: int


@dataclass(frozen=True, slots=True)
class KernelSums:
    """Sums over the kernels of each network.

    Attributes:
        sums_ns: (networks, kinds) the sum of the times of each kind's kernels.
        coverage: (networks,) the share of the time from kernels near measured ones, 0 to 1.
        all_seen: (networks,) whether every kernel was measured itself.
    """

    sums_ns: FloatArray
    coverage: FloatArray
    all_seen: BoolArray


@dataclass(frozen=True)
class KernelTimes:
    """The times of single kernels on one target.

    Attributes:
        table: The measured kernels.
        regressors: A regressor for each kind of kernel.
        neighbourhood: The measured kernels by their coordinates.
        memory: The kernels that were predicted before.
    """

    table: Mapping[Kernel, KernelTime]
    regressors: Mapping[str, KernelRegressor]
    neighbourhood: Neighbourhood
    memory: KernelMemory = field(default_factory=KernelMemory, compare=False, repr=False)

    @classmethod
    def fit(
        cls, networks: Sequence[MeasuredNetwork], *, like: KernelTimes | None = None
    ) -> KernelTimes:
        """Fit the times of single kernels on networks with kernel times.

        Args:
            networks: Measured networks of one target.
            like: A fit whose hyperparameters are kept, which is faster than fitting them.
        """
        table = lookup_table(networks)
        by_kind: dict[str, list[Kernel]] = defaultdict(list)
        for kernel in sorted(table):
            by_kind[kernel.typed_kind].append(kernel)
        regressors = {
            kind: KernelRegressor.fit(
                kernels,
                np.array([table[kernel].mean_ns for kernel in kernels]),
                like=like.regressors.get(kind) if like else None,
            )
            for kind, kernels in by_kind.items()
        }
        return cls(table, regressors, Neighbourhood.of(table))

    @property
    def kinds(self) -> list[str]:
        """The known kinds of kernels, sorted."""
        return sorted(self.regressors)

    def predict(self, kernels: Sequence[Kernel]) -> tuple[FloatArray, BoolArray]:
        """Return the (kernels,) time of each kernel in ns, and whether it was measured.

        Raises:
            UnknownKernelKinds: No kernel of a kind was measured.
        """
        rows = self.memory.rows(kernels, self._compute)
        return rows[:, 0], rows[:, 1] > 0

    def sum(self, table: Sequence[Kernel], lengths: IntArray, indices: IntArray) -> KernelSums:
        """Sum the kernel times of each network, given in the form of `packing.pack`.

        The kinds are in the order of `kinds`.

        Raises:
            UnknownKernelKinds: No kernel of a kind was measured.
        """
        kernel_ns, seen, near = self.memory.rows(table, self._compute).T
        kinds = self.kinds
        columns = np.zeros((len(table), len(kinds) + 2))
        places = {kind: place for place, kind in enumerate(kinds)}
        columns[np.arange(len(table)), [places[kernel.typed_kind] for kernel in table]] = kernel_ns
        columns[:, -2] = kernel_ns * near
        columns[:, -1] = 1.0 - seen
        sums = count(table, lengths, indices) @ columns
        sums_ns = sums[:, :-2]
        return KernelSums(
            sums_ns, sums[:, -2] / np.maximum(sums_ns.sum(axis=1), 1.0), sums[:, -1] == 0
        )

    def _compute(self, kernels: Sequence[Kernel]) -> FloatArray:
        """Return (kernels, 3): the time in ns, whether it was measured, whether one near it was."""
        rows: dict[str, list[int]] = defaultdict(list)
        for row, kernel in enumerate(kernels):
            rows[kernel.typed_kind].append(row)
        unknown = sorted(rows.keys() - self.regressors.keys())
        if unknown:
            raise UnknownKernelKinds(unknown)
        kernel_ns = np.empty(len(kernels))
        for kind, kind_rows in rows.items():
            kernel_ns[kind_rows] = self.regressors[kind].predict(
                [kernels[row] for row in kind_rows]
            )
        seen = np.array([kernel in self.table for kernel in kernels], dtype=np.bool_)
        for row in np.flatnonzero(seen).tolist():
            kernel_ns[row] = self.table[kernels[row]].mean_ns
        return np.column_stack([kernel_ns, seen, self.neighbourhood.holds(kernels)])


def lookup_table(networks: Sequence[MeasuredNetwork]) -> Mapping[Kernel, KernelTime]:
    """Return the time of every traced kernel; networks without a trace are skipped."""
    means: dict[Kernel, list[float]] = defaultdict(list)
    for network in networks:
        if network.kernel_ns is None:
            continue
        readings: dict[Kernel, list[float]] = defaultdict(list)
        for kernel, kernel_ns in zip(network.kernels, network.kernel_ns, strict=True):
            readings[kernel].append(kernel_ns)
        for kernel, values in readings.items():
            means[kernel].append(fmean(values))
    return {
        kernel: KernelTime(mean_ns := fmean(values), _spread(values, mean_ns), len(values))
        for kernel, values in means.items()
    }


def _spread(values: Sequence[float], mean: float) -> float:
    """Return the standard deviation; 0 for one value."""
    return sqrt(sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1))
