"""Which networks to measure next.

A traced measurement times each kernel of a network, and a kernel's time tells something of
the times of kernels like it. So, before anything is measured, a Gaussian process over
kernels says how unsure the latency of every network would be afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from sklearn.gaussian_process.kernels import Matern

from latency_models.features import multiply_adds, points
from latency_models.packing import pack
from latlab.domain.kernel import Kernel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Prior variances of the logarithms of kernels' times, relative to each other: of what
# kernels of a kind share, the more the nearer their shapes; of each kernel's own; of reading.
_SHARED, _OWN, _READING = 1.0, 0.05, 0.01
_NEAR_OCTAVES = 2.0

# What a kernel costs on a CPU core, roughly: it weighs kernels against each other.
_CALL_NS, _MULTIPLY_ADD_NS, _ELEMENT_NS = 1_000.0, 0.05, 0.3


def most_informative(
    candidates: Sequence[Sequence[Kernel]], measured: Sequence[Sequence[Kernel]], count: int
) -> list[int]:
    """`count` rows of `candidates` to measure, best first: each the one that, after
    `measured` and those before it, most lowers the mean variance of the candidates'
    relative errors. With nothing measured yet they are a diverse set. Ties go to the first.

    Each candidate has at least one kernel. Raises ValueError for too few candidates.
    """
    if count > len(candidates):
        raise ValueError(f"{count} networks are wanted, there are {len(candidates)} candidates")
    if count == 0:
        return []
    measured = [kernels for kernels in measured if kernels]  # others have told nothing
    table, lengths, indices = pack([*candidates, *measured])
    networks = np.split(indices, np.cumsum(lengths)[:-1])
    shares = _shares(table, networks[: len(candidates)])
    kernels = {row: np.unique(network) for row, network in enumerate(networks[: len(candidates)])}
    covariance = _covariance(table)
    if measured:
        covariance = _after_reading(
            np.unique(np.concatenate(networks[len(candidates) :])), covariance
        )
    chosen: list[int] = []
    for _ in range(count):
        of_networks = shares @ covariance  # (candidates, kernels): networks with kernels
        squares = of_networks.T @ of_networks
        best = max(kernels, key=lambda row: _reduction(kernels[row], covariance, squares))
        chosen.append(best)
        covariance = _after_reading(kernels.pop(best), covariance)
    return chosen


def _shares(table: Sequence[Kernel], networks: Sequence[IntArray]) -> FloatArray:
    """(networks, kernels): the share of each kernel in each network's latency."""
    counts = np.array([np.bincount(network, minlength=len(table)) for network in networks])
    totals_ns = counts * np.array([_cost_ns(kernel) for kernel in table])
    shares: FloatArray = totals_ns / totals_ns.sum(axis=1, keepdims=True)
    return shares


def _cost_ns(kernel: Kernel) -> float:
    elements = sum(prod(shape) for shape in (*kernel.inputs, kernel.output))
    return _CALL_NS + _MULTIPLY_ADD_NS * multiply_adds(kernel) + _ELEMENT_NS * elements


def _covariance(table: Sequence[Kernel]) -> FloatArray:
    kinds = np.array([kernel.kind for kernel in table])
    near = Matern(_NEAR_OCTAVES, nu=2.5)(points(table))
    covariance: FloatArray = _SHARED * near * (kinds[:, None] == kinds) + _OWN * np.eye(len(table))
    return covariance


def _after_reading(kernels: IntArray, covariance: FloatArray) -> FloatArray:
    known = covariance[kernels]
    left: FloatArray = covariance - known.T @ cho_solve(_factor(kernels, covariance), known)
    return left


def _reduction(kernels: IntArray, covariance: FloatArray, squares: FloatArray) -> float:
    """By how much reading `kernels` lowers the candidates' variances, summed.

    squares: (kernels, kernels) products of their covariances with candidates, summed too.
    """
    block = squares[np.ix_(kernels, kernels)]
    return float(np.trace(cho_solve(_factor(kernels, covariance), block)))


def _factor(kernels: IntArray, covariance: FloatArray) -> tuple[FloatArray, bool]:
    """Of the covariance of the kernels' readings, by Cholesky."""
    readings = covariance[np.ix_(kernels, kernels)] + _READING * np.eye(len(kernels))
    factor: tuple[FloatArray, bool] = cho_factor(readings)
    return factor
