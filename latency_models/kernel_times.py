"""The times of single kernels: looked up if they were measured, else regressed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log, sqrt
from statistics import median

import numpy as np
from numpy.typing import NDArray

from latency_models.coverage import NEAR_OCTAVES, Neighbourhood
from latency_models.features import model_kind, variant
from latency_models.kernel_memory import KernelMemory
from latency_models.packing import pack, sum_up
from latency_models.rates import OFFSET_NS, Rates
from latency_models.regressor import KernelRegressor
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# A kernel so many octaves further than near ones is as uncertain as one of a new variant, and one
# twice as far is twice as uncertain.
_FAR_OCTAVES = 2.0
_MOST_UNCERTAIN = log(30)
# The error of a regressor for a new variant: at least the first; the second where no kind has two
# variants to learn it from.
_LEAST_NOVELTY = 0.2
_USUAL_NOVELTY = 1.0
_USUAL_SPREAD = 0.05
_UNKNOWN = -1


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

    def deviation(self, typical_spread: float) -> float:
        """Return the relative standard deviation of the kernel's time in one more network.

        Args:
            typical_spread: The relative spread of a kernel that was measured in one network.
        """
        if self.networks == 1:
            return typical_spread * sqrt(2)
        return self.spread_ns / (self.mean_ns + OFFSET_NS) * sqrt(1 + 1 / self.networks)


@dataclass(frozen=True, slots=True)
class KernelSums:
    """Sums over the kernels of each network.

    Attributes:
        sums_ns: (networks, kinds) the sum of the times of each kind's kernels. The kinds are in
            the order of `KernelTimes.kinds`.
        guessed_ns: (networks,) the sum of the times of kernels of other kinds.
        guessed_kinds: These other kinds, sorted.
        deviations: (networks,) the standard deviation of the logarithm of the whole sum that
            follows from how uncertain the kernels are.
        coverage: (networks,) the share of the time from kernels near measured ones, 0 to 1.
        all_seen: (networks,) whether every kernel was measured itself.
    """

    sums_ns: FloatArray
    guessed_ns: FloatArray
    guessed_kinds: list[str]
    deviations: FloatArray
    coverage: FloatArray
    all_seen: BoolArray


@dataclass(frozen=True, slots=True)
class _Predicted:
    """What is predicted of each kernel, as parallel (kernels,) arrays.

    Attributes:
        ns: The time.
        deviations: The standard deviation of its logarithm.
        seen: Whether it was measured itself.
        near: Whether one near it was measured.
        kinds: The place of its kind among `KernelTimes.kinds`; _UNKNOWN for other kinds.
    """

    ns: FloatArray
    deviations: FloatArray
    seen: BoolArray
    near: BoolArray
    kinds: IntArray


@dataclass(frozen=True)
class KernelTimes:
    """The times of single kernels on one target.

    Attributes:
        table: The measured kernels.
        regressors: A regressor for each kind of kernel, by `features.model_kind`.
        rates: What work usually takes, for kinds without a regressor.
        typical_spread: The usual relative deviation between networks of a kernel's time.
        novelty: The standard deviation of the logarithm of a kernel's time around its
            regressor's, for a kernel far from all that were measured.
        neighbourhood: The measured kernels by their coordinates.
        memory: The kernels that were predicted before.
    """

    table: Mapping[Kernel, KernelTime]
    regressors: Mapping[str, KernelRegressor]
    rates: Rates
    typical_spread: float
    novelty: float
    neighbourhood: Neighbourhood
    memory: KernelMemory = field(default_factory=KernelMemory, compare=False, repr=False)

    @classmethod
    def fit(
        cls, networks: Sequence[MeasuredNetwork], *, like: KernelTimes | None = None
    ) -> KernelTimes:
        """Fit the times of single kernels on networks with kernel times.

        Args:
            networks: Measured networks of one target, each once.
            like: A fit whose hyperparameters are kept, which is faster than fitting them.
        """
        table = lookup_table(networks)
        means_ns = {kernel: time.mean_ns for kernel, time in table.items()}
        rates = like.rates if like else Rates.fit(means_ns)
        by_kind: dict[str, list[Kernel]] = defaultdict(list)
        for kernel in sorted(table):
            by_kind[model_kind(kernel)].append(kernel)
        earlier = like.regressors if like else {}
        regressors = {
            kind: _fit_regressor(kernels, means_ns, rates, earlier.get(kind))
            for kind, kernels in by_kind.items()
        }
        novelty = like.novelty if like else _novelty(by_kind, means_ns, rates, regressors)
        return cls(
            table, regressors, rates, _typical_spread(table), novelty, Neighbourhood.of(table)
        )

    @property
    def kinds(self) -> list[str]:
        """The known kinds of kernels, sorted."""
        return sorted(self.regressors)

    def unknown_kinds(self, kernels: Iterable[Kernel]) -> list[str]:
        """Return the kinds of kernels that were never measured, sorted."""
        return sorted({k.typed_kind for k in kernels if model_kind(k) not in self.regressors})

    def predict(self, kernels: Sequence[Kernel]) -> tuple[FloatArray, BoolArray]:
        """Return the (kernels,) time of each kernel in ns, and whether it was measured.

        Kernels of a kind that was never measured have the time that the rates give.
        """
        predicted = self._predict(kernels)
        return predicted.ns, predicted.seen

    def sum(self, table: Sequence[Kernel], lengths: IntArray, indices: IntArray) -> KernelSums:
        """Sum the kernel times of each network, given in the form of `packing.pack`.

        The errors of kernels that were measured are independent. Those of other kernels of one
        kind are taken to be equal, because one model predicts them.
        """
        kernels = self._predict(table)
        known, places = len(self.regressors), kernels.kinds
        unknown = np.flatnonzero(places == _UNKNOWN)
        kinds = [table[row].typed_kind for row in unknown.tolist()]
        guessed = sorted(set(kinds))  # they come after the known ones
        places[unknown] = [known + guessed.index(kind) for kind in kinds]
        by_kind = np.zeros((len(table), known + len(guessed)))
        by_kind[np.arange(len(table)), places] = kernels.ns
        columns = np.column_stack(
            [
                kernels.ns * kernels.near,
                ~kernels.seen,
                np.where(kernels.seen, kernels.ns * kernels.deviations, 0.0) ** 2,
                by_kind,
                by_kind * np.where(kernels.seen, 0.0, kernels.deviations)[:, None],
            ]
        )
        sums = sum_up(table, lengths, indices, columns)
        near_ns, unseen, variances = sums[:, 0], sums[:, 1], sums[:, 2]
        sums_ns, shared_errors_ns = np.split(sums[:, 3:], 2, axis=1)
        totals_ns = np.maximum(sums_ns.sum(axis=1), 1.0)
        # As shares, for extrapolated times may be so long that their squares overflow.
        shared_deviations = np.linalg.norm(shared_errors_ns / totals_ns[:, None], axis=1)
        return KernelSums(
            sums_ns[:, :known],
            sums_ns[:, known:].sum(axis=1),
            guessed,
            np.hypot(np.sqrt(variances) / totals_ns, shared_deviations),
            near_ns / totals_ns,
            unseen == 0,
        )

    def _predict(self, kernels: Sequence[Kernel]) -> _Predicted:
        ns, deviations, seen, near, kinds = self.memory.rows(kernels, self._compute).T
        return _Predicted(ns, deviations, seen > 0, near > 0, kinds.astype(np.int64))

    def _compute(self, kernels: Sequence[Kernel]) -> FloatArray:
        """Return (kernels, 5): the columns of _Predicted."""
        octaves = self.neighbourhood.octaves(kernels)
        places = {kind: place for place, kind in enumerate(self.kinds)}
        rows = np.zeros((len(kernels), 5))
        rows[:, 3] = octaves <= NEAR_OCTAVES
        rows[:, 4] = [places.get(model_kind(kernel), _UNKNOWN) for kernel in kernels]
        unseen: dict[str, list[int]] = defaultdict(list)
        for row, kernel in enumerate(kernels):
            if (time := self.table.get(kernel)) is not None:
                rows[row, :3] = time.mean_ns, time.deviation(self.typical_spread), 1.0
            else:
                unseen[model_kind(kernel)].append(row)
        for kind, kind_rows in unseen.items():
            of_kind = [kernels[row] for row in kind_rows]
            if regressor := self.regressors.get(kind):
                ns, deviations = regressor.predict(of_kind)
                rows[kind_rows, 0] = ns
                rows[kind_rows, 1] = np.hypot(deviations, self._remoteness(octaves[kind_rows]))
            else:
                rows[kind_rows, 0] = self.rates.guess_ns(of_kind)
                rows[kind_rows, 1] = self.rates.deviation
        return rows

    def _remoteness(self, octaves: FloatArray) -> FloatArray:
        """Return the deviations of kernels by their distances: how well rooflines extrapolate."""
        distances = np.where(np.isfinite(octaves), octaves - NEAR_OCTAVES, _FAR_OCTAVES)
        return np.clip(self.novelty * distances / _FAR_OCTAVES, 0.0, _MOST_UNCERTAIN)


def _fit_regressor(
    kernels: Sequence[Kernel],
    means_ns: Mapping[Kernel, float],
    rates: Rates,
    like: KernelRegressor | None,
) -> KernelRegressor:
    return KernelRegressor.fit(kernels, np.array([means_ns[k] for k in kernels]), rates, like=like)


def _novelty(
    by_kind: Mapping[str, Sequence[Kernel]],
    means_ns: Mapping[Kernel, float],
    rates: Rates,
    regressors: Mapping[str, KernelRegressor],
) -> float:
    """Return how wrong regressors are for windows that they were not fitted on.

    Each variant of each kind is left out once. The result is the root mean square of the errors
    of logarithms, in which each variant counts once.
    """
    errors = []
    for kind, kernels in by_kind.items():
        variants = sorted({variant(kernel) for kernel in kernels})
        for left_out in variants if len(variants) > 1 else ():
            rest = [kernel for kernel in kernels if variant(kernel) != left_out]
            held_out = [kernel for kernel in kernels if variant(kernel) == left_out]
            regressor = _fit_regressor(rest, means_ns, rates, regressors[kind])
            predicted_ns, _ = regressor.predict(held_out)
            measured_ns = np.array([means_ns[kernel] for kernel in held_out])
            misfits = np.log((measured_ns + OFFSET_NS) / (predicted_ns + OFFSET_NS))
            errors.append(float(np.mean(misfits**2)))
    return max(_LEAST_NOVELTY, float(np.sqrt(np.mean(errors)))) if errors else _USUAL_NOVELTY


def _typical_spread(table: Mapping[Kernel, KernelTime]) -> float:
    """Return the median relative spread of the kernels that were measured in several networks."""
    spreads = [
        time.spread_ns / (time.mean_ns + OFFSET_NS) for time in table.values() if time.networks > 1
    ]
    return median(spreads) if spreads else _USUAL_SPREAD


def lookup_table(networks: Sequence[MeasuredNetwork]) -> Mapping[Kernel, KernelTime]:
    """Return the time of every traced kernel; networks without a trace are skipped."""
    traced = [network for network in networks if network.kernel_ns is not None]
    table, lengths, indices = pack(network.kernels for network in traced)
    times_ns = np.concatenate([np.empty(0), *(network.kernel_ns or () for network in traced)])
    # A kernel that a network contains several times has the mean of its times there.
    cells = np.repeat(np.arange(len(traced)), lengths) * len(table) + indices
    cells, places = np.unique(cells, return_inverse=True)
    means_ns, rows = np.bincount(places, times_ns) / np.bincount(places), cells % len(table)
    counts = np.bincount(rows, minlength=len(table))
    pooled_ns = np.bincount(rows, means_ns, len(table)) / counts
    squares = np.bincount(rows, (means_ns - pooled_ns[rows]) ** 2, len(table))
    spreads_ns = np.sqrt(squares / np.maximum(1, counts - 1))
    numbers = zip(pooled_ns.tolist(), spreads_ns.tolist(), counts.tolist(), strict=True)
    return {kernel: KernelTime(*each) for kernel, each in zip(table, numbers, strict=True)}
