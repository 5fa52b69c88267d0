"""The choice of networks to measure next.

A traced measurement times each kernel of a network, and a kernel's time is evidence for the
times of similar kernels. So a Gaussian process over kernels can compute, before anything is
measured, how uncertain the latency of each network would be afterwards.
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

# Prior variances of the logarithms of kernels' times, relative to each other: the part that
# kernels of a kind share if their shapes are near, the part of each kernel alone, and the
# error of a reading.
_SHARED, _OWN, _READING = 1.0, 0.05, 0.01
_NEAR_OCTAVES = 2.0

# The rough cost of a kernel on a CPU core, by which kernels are weighted.
_CALL_NS, _MULTIPLY_ADD_NS, _ELEMENT_NS = 1_000.0, 0.05, 0.3


def most_informative(
    candidates: Sequence[Sequence[Kernel]], measured: Sequence[Sequence[Kernel]], count: int
) -> list[int]:
    """Choose the networks whose measurement teaches most.

    Each chosen network is the one that most lowers the mean variance of the candidates'
    relative errors, given `measured` and the networks chosen before it. If nothing is measured
    yet, the chosen networks are a diverse set. Of equally good candidates the first is chosen.

    Args:
        candidates: The kernels of each candidate, at least one.
        measured: The kernels of the networks that were measured with traces.
        count: Number of candidates to choose.

    Returns:
        Rows of `candidates`, the best first.

    Raises:
        ValueError: There are fewer than `count` candidates.
    """
    if count > len(candidates):
        raise ValueError(f"{count} networks cannot be chosen from {len(candidates)} candidates")
    if count == 0:
        return []
    measured = [kernels for kernels in measured if kernels]
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
        covariances = shares @ covariance  # (candidates, kernels)
        squares = covariances.T @ covariances
        best = max(kernels, key=lambda row: _reduction(kernels[row], covariance, squares))
        chosen.append(best)
        covariance = _after_reading(kernels.pop(best), covariance)
    return chosen


def _shares(table: Sequence[Kernel], networks: Sequence[IntArray]) -> FloatArray:
    """Return (networks, kernels): the share of each kernel in each network's latency."""
    counts = np.array([np.bincount(network, minlength=len(table)) for network in networks])
    totals_ns = counts * np.array([_cost_ns(kernel) for kernel in table])
    shares: FloatArray = totals_ns / totals_ns.sum(axis=1, keepdims=True)
    return shares


def _cost_ns(kernel: Kernel) -> float:
    elements = sum(prod(shape) for shape in (*kernel.inputs, kernel.output))
    return _CALL_NS + _MULTIPLY_ADD_NS * multiply_adds(kernel) + _ELEMENT_NS * elements


def _covariance(table: Sequence[Kernel]) -> FloatArray:
    kinds = np.array([kernel.typed_kind for kernel in table])
    near = Matern(_NEAR_OCTAVES, nu=2.5)(points(table))
    covariance: FloatArray = _SHARED * near * (kinds[:, None] == kinds) + _OWN * np.eye(len(table))
    return covariance


def _after_reading(kernels: IntArray, covariance: FloatArray) -> FloatArray:
    """Return the covariance of all kernels after a reading of some."""
    known = covariance[kernels]
    remaining: FloatArray = covariance - known.T @ cho_solve(_factor(kernels, covariance), known)
    return remaining


def _reduction(kernels: IntArray, covariance: FloatArray, squares: FloatArray) -> float:
    """Return by how much a reading of some kernels lowers the sum of the candidates' variances.

    Args:
        kernels: Rows of the kernels that are read.
        covariance: (kernels, kernels) of all kernels.
        squares: (kernels, kernels) products of their covariances with the candidates, summed
            over the candidates.
    """
    block = squares[np.ix_(kernels, kernels)]
    return float(np.trace(cho_solve(_factor(kernels, covariance), block)))


def _factor(kernels: IntArray, covariance: FloatArray) -> tuple[FloatArray, bool]:
    """Return the Cholesky factor of the covariance of the kernels' readings."""
    readings = covariance[np.ix_(kernels, kernels)] + _READING * np.eye(len(kernels))
    factor: tuple[FloatArray, bool] = cho_factor(readings)
    return factor
