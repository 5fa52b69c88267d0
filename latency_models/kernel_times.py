"""Times of single kernels: looked up where they were measured, else regressed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from latency_models.coverage import Neighbourhood
from latency_models.kernel_memory import KernelMemory
from latency_models.lookup import KernelTime, lookup_table
from latency_models.packing import count
from latency_models.regressor import KernelRegressor
from latlab.domain.errors import UnknownKernelKinds
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class KernelSums:
    """Parallel arrays, one entry for each network.

    sums_ns: (networks, kinds) over the kernels of each kind. coverage: share (0 to 1) of
    these from kernels near measured ones. all_seen: whether every kernel was measured itself.
    """

    sums_ns: FloatArray
    coverage: FloatArray
    all_seen: BoolArray


@dataclass(frozen=True)
class KernelTimes:
    """What is known of single kernels on a target."""

    table: Mapping[Kernel, KernelTime]
    regressors: Mapping[str, KernelRegressor]
    neighbourhood: Neighbourhood
    memory: KernelMemory = field(default_factory=KernelMemory, compare=False, repr=False)

    @classmethod
    def fit(
        cls, networks: Sequence[MeasuredNetwork], *, like: KernelTimes | None = None
    ) -> KernelTimes:
        """like: takes over the hyperparameters of another fit, to be quick."""
        table = lookup_table(networks)
        by_kind: dict[str, list[Kernel]] = defaultdict(list)
        for kernel in sorted(table):
            by_kind[kernel.kind].append(kernel)
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
        return sorted(self.regressors)

    def predict(self, kernels: Sequence[Kernel]) -> tuple[FloatArray, BoolArray]:
        """Return the (kernels,) time of each kernel in ns, and whether it was measured.

        Raises UnknownKernelKinds.
        """
        rows = self.memory.rows(kernels, self._compute)
        return rows[:, 0], rows[:, 1] > 0

    def sum(self, table: Sequence[Kernel], lengths: IntArray, indices: IntArray) -> KernelSums:
        """Sum the kernels of each network, given in the form of `packing.pack`.

        The kinds are in the order of `kinds`. Raises UnknownKernelKinds.
        """
        kernel_ns, seen, near = self.memory.rows(table, self._compute).T
        kinds = self.kinds
        columns = np.zeros((len(table), len(kinds) + 2))
        places = {kind: place for place, kind in enumerate(kinds)}
        columns[np.arange(len(table)), [places[kernel.kind] for kernel in table]] = kernel_ns
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
            rows[kernel.kind].append(row)
        unknown = sorted(rows.keys() - self.regressors.keys())
        if unknown:
            raise UnknownKernelKinds(unknown)
        kernel_ns = np.empty(len(kernels))
        for kind, of_kind in rows.items():
            kernel_ns[of_kind] = self.regressors[kind].predict([kernels[row] for row in of_kind])
        seen = np.array([kernel in self.table for kernel in kernels], dtype=np.bool_)
        for row in np.flatnonzero(seen).tolist():
            kernel_ns[row] = self.table[kernels[row]].mean_ns
        return np.column_stack([kernel_ns, seen, self.neighbourhood.holds(kernels)])
