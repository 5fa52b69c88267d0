"""The covariance of networks' latencies, which is a sum.

Its terms are, for each pair of networks:

- 1 for the fixed time of every network;
- the covariance of the kernels that run, pair by pair. A kernel's time is the sum of its cost
  terms, each multiplied by a coefficient that all kernels of its kind share, plus a deviation that
  varies smoothly with its shape;
- the same for kernels whose output is not used, which some runtimes run and others do not, with
  coefficients of their own;
- a smooth function of how many decisions differ, for what does not add up: where a kernel stands,
  buffers that are used again, branches beside each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from latency_models.features import points
from latency_models.packing import count, pack
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import Structure

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Variance of the fixed time. It is wide, so that the data decide.
FIXED_VARIANCE = 1.0


@dataclass(frozen=True)
class Makeup:
    """The parts that some networks are made of.

    Attributes:
        kernels: Distinct kernels.
        running: (networks, kernels) how often each network runs each kernel.
        dead: (networks, kernels) how often it contains the kernel where its output is not used.
        decisions: (networks, vocabulary) 1 for each decision of a network, else 0.
        decision_counts: (networks,) the number of its decisions, unknown ones included.
    """

    kernels: tuple[Kernel, ...]
    running: csr_array
    dead: csr_array
    decisions: FloatArray
    decision_counts: FloatArray

    @classmethod
    def of(
        cls,
        networks: Sequence[Sequence[Kernel]],
        structures: Sequence[Structure | None],
        vocabulary: Sequence[str],
    ) -> Makeup:
        """Return the makeup of networks; decisions outside the vocabulary are only counted."""
        known = [structure or Structure() for structure in structures]
        kernels, lengths, indices = pack([*networks, *(each.dead_kernels for each in known)])
        both = count(kernels, lengths, indices)
        running, dead = both[: len(networks)], both[len(networks) :]
        columns = {decision: column for column, decision in enumerate(vocabulary)}
        decisions = np.zeros((len(networks), len(columns)))
        for row, structure in enumerate(known):
            decisions[row, [columns[d] for d in structure.decisions if d in columns]] = 1.0
        counts = np.array([float(len(structure.decisions)) for structure in known])
        return cls(tuple(kernels), running, dead, decisions, counts)

    def __len__(self) -> int:
        """Return the number of networks."""
        return len(self.decision_counts)

    def __getitem__(self, rows: IntArray) -> Makeup:
        """Return the makeup of some of the networks."""
        return Makeup(
            self.kernels,
            self.running[rows],
            self.dead[rows],
            self.decisions[rows],
            self.decision_counts[rows],
        )


def vocabulary_of(structures: Sequence[Structure | None]) -> tuple[str, ...]:
    """Return the decisions of all networks, sorted."""
    return tuple(sorted({d for structure in structures if structure for d in structure.decisions}))


@dataclass(frozen=True)
class CostUnits:
    """Units of the cost terms.

    Attributes:
        by_kind: For each kind (terms,) the sum of each cost term over a mean network.
    """

    by_kind: dict[str, FloatArray]

    @classmethod
    def fit(cls, kernels: Sequence[Kernel], counts: csr_array) -> CostUnits:
        """Return units of cost terms for networks with these (networks, kernels) kernel counts."""
        mean_counts = counts.mean(axis=0)
        by_kind: dict[str, FloatArray] = {}
        for kernel, mean_count in zip(kernels, mean_counts.tolist(), strict=True):
            kind = kernel.typed_kind
            by_kind[kind] = by_kind.get(kind, 0.0) + mean_count * _costs(kernel)
        return cls({kind: np.where(sums > 0, sums, 1.0) for kind, sums in by_kind.items()})

    def costs(self, kernels: Sequence[Kernel]) -> FloatArray:
        """Return (kernels, terms): the cost terms of kernels whose kinds all have units."""
        return np.array([_costs(kernel) / self.by_kind[kernel.typed_kind] for kernel in kernels])


@dataclass(frozen=True)
class Prior:
    """The prior's hyperparameters, with variances in units of the mean latency squared.

    Attributes:
        coefficient_variance: Variance of a cost term's coefficient.
        deviation_variance: Variance of the deviations from it.
        octaves: The distance at which the deviations of two shapes have little in common.
        dead_coefficient_variance: As coefficient_variance, of kernels whose output is not used.
        dead_deviation_variance: As deviation_variance, of these.
        decision_variance: Variance of what only the decisions tell.
        decision_rate: By how much each different decision lowers the logarithm of its correlation.
        noise_variance: Variance of a measurement's error.
    """

    coefficient_variance: float = 0.1**2
    deviation_variance: float = 0.1**2
    octaves: float = 2.0
    dead_coefficient_variance: float = 0.1**2
    dead_deviation_variance: float = 0.1**2
    decision_variance: float = 0.1**2
    decision_rate: float = 0.3
    noise_variance: float = 0.02**2


NAMES = tuple(field.name for field in fields(Prior))


class Covariance:
    """The covariance between two sets of networks, for any prior."""

    def __init__(self, units: CostUnits, left: Makeup, right: Makeup) -> None:
        """Compute what does not depend on the prior.

        Kernels of kinds without units count as 0.
        """
        self._blocks = _blocks(units, left, right)
        decided = np.outer(left.decision_counts > 0, right.decision_counts > 0)
        mean_counts = np.add.outer(left.decision_counts, right.decision_counts) / 2
        self._differences = mean_counts - left.decisions @ right.decisions.T
        self._decided = decided.astype(float)
        self._linear = self._summed([block.products for block in self._blocks])

    def __call__(self, prior: Prior) -> FloatArray:
        """Return the (left, right) covariance of exact latencies."""
        return self.sum(self._terms(prior, self._alike(prior)))

    @staticmethod
    def sum(terms: Mapping[str, FloatArray]) -> FloatArray:
        """Return the covariance whose terms `derivatives` has returned."""
        variances = [term for name, term in terms.items() if name.endswith("variance")]
        total: FloatArray = FIXED_VARIANCE + np.sum(variances, axis=0)
        return total

    def derivatives(self, prior: Prior) -> Mapping[str, FloatArray]:
        """Return (left, right) derivatives by the logarithms of the hyperparameters, by names.

        The derivative by a variance's logarithm is the term of that variance. The noise is left
        out.
        """
        alike = self._alike(prior)
        terms = self._terms(prior, alike)
        stretched, dead_stretched = self._summed(
            [
                like * block.squared_octaves / prior.octaves**2
                for like, block in zip(alike, self._blocks, strict=True)
            ]
        )
        return {
            **terms,
            "octaves": prior.deviation_variance * stretched
            + prior.dead_deviation_variance * dead_stretched,
            "decision_rate": -prior.decision_rate * self._differences * terms["decision_variance"],
        }

    def _alike(self, prior: Prior) -> list[FloatArray]:
        return [block.alike(prior.octaves) for block in self._blocks]

    def _terms(self, prior: Prior, alike: list[FloatArray]) -> dict[str, FloatArray]:
        """Return the (left, right) terms of the covariance by the names of their variances."""
        linear, dead_linear = self._linear
        deviating, dead_deviating = self._summed(alike)
        decisions = prior.decision_variance * self._decided
        return {
            "coefficient_variance": prior.coefficient_variance * linear,
            "deviation_variance": prior.deviation_variance * deviating,
            "dead_coefficient_variance": prior.dead_coefficient_variance * dead_linear,
            "dead_deviation_variance": prior.dead_deviation_variance * dead_deviating,
            "decision_variance": decisions * np.exp(-prior.decision_rate * self._differences),
        }

    def _summed(self, between_kernels: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
        """Sum covariances of kernels over those that run, and over the dead ones."""
        running, dead = np.zeros_like(self._decided), np.zeros_like(self._decided)
        for block, matrix in zip(self._blocks, between_kernels, strict=True):
            running += block.running[0] @ (block.running[1] @ matrix.T).T
            if block.has_dead:
                dead += block.dead[0] @ (block.dead[1] @ matrix.T).T
        return running, dead


def kernel_covariance(
    units: CostUnits, prior: Prior, left: tuple[Kernel, ...], right: tuple[Kernel, ...]
) -> FloatArray:
    """Return the (left, right) covariance of the times of kernels that run, of one kind."""
    products = units.costs(left) @ units.costs(right).T
    alike = _alike(cdist(points(left), points(right), "sqeuclidean"), prior.octaves)
    return products * (prior.coefficient_variance + prior.deviation_variance * alike)


def by_kind(kernels: tuple[Kernel, ...]) -> dict[str, list[int]]:
    """Return the rows of the kernels of each kind and precision."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, kernel in enumerate(kernels):
        rows[kernel.typed_kind].append(row)
    return rows


@dataclass(frozen=True)
class _Block:
    """The kernels of one kind: others have nothing in common with them.

    Attributes:
        running: The (left networks, left kernels) and (right networks, right kernels) counts.
        dead: The same of dead kernels.
        has_dead: Whether both sides have dead kernels of the kind.
        products: (left kernels, right kernels) scalar products of cost terms.
        squared_octaves: (left kernels, right kernels) squared distances between shapes.
    """

    running: tuple[csr_array, csr_array]
    dead: tuple[csr_array, csr_array]
    has_dead: bool
    products: FloatArray
    squared_octaves: FloatArray

    def alike(self, octaves: float) -> FloatArray:
        return self.products * _alike(self.squared_octaves, octaves)


def _blocks(units: CostUnits, left: Makeup, right: Makeup) -> list[_Block]:
    blocks = []
    right_rows = by_kind(right.kernels)
    for kind, rows in by_kind(left.kernels).items():
        if kind not in units.by_kind or kind not in right_rows:
            continue
        columns = right_rows[kind]
        of_left = [left.kernels[row] for row in rows]
        of_right = [right.kernels[row] for row in columns]
        dead = left.dead[:, rows], right.dead[:, columns]
        blocks.append(
            _Block(
                (left.running[:, rows], right.running[:, columns]),
                dead,
                dead[0].nnz > 0 and dead[1].nnz > 0,
                units.costs(of_left) @ units.costs(of_right).T,
                cdist(points(of_left), points(of_right), "sqeuclidean"),
            )
        )
    return blocks


def _alike(squared_octaves: FloatArray, octaves: float) -> FloatArray:
    """Return the correlation, 0 to 1, of the deviations of shapes at squared distances."""
    alike: FloatArray = np.exp(-0.5 * squared_octaves / octaves**2)
    return alike


def _costs(kernel: Kernel) -> FloatArray:
    """Return the (4,) cost terms: the call itself, work, moved elements and weights.

    There are no more terms, because latencies alone do not show how the target computes.
    """
    work = kernel.multiply_adds
    moved = sum(map(prod, kernel.inputs)) + prod(kernel.output)
    return np.array([1.0, work, moved, work / max(1, prod(kernel.output[:-1]))])
