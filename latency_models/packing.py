"""Many networks as one table of distinct kernels and indices into the table."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MAX_ELEMENTS = 2**40


def pack(networks: Iterable[Sequence[Kernel]]) -> tuple[list[Kernel], IntArray, IntArray]:
    """Pack networks as `latlab.domain.kernel.pack` does, with arrays of int64."""
    table, lengths, indices = k.pack(networks)
    return table, np.array(lengths, dtype=np.int64), np.array(indices, dtype=np.int64)


def count(table: Sequence[Kernel], lengths: IntArray, indices: IntArray) -> csr_array:
    """Return (networks, rows of `table`): how often each network contains each kernel."""
    starts = np.append(0, np.cumsum(lengths))
    shape = (len(lengths), len(table))
    return csr_array((np.ones(len(indices)), indices, starts), shape=shape)


def sum_up(
    table: Sequence[Kernel], lengths: IntArray, indices: IntArray, columns: FloatArray
) -> FloatArray:
    """Return (networks, columns): the sums of (rows of `table`, columns) over each network."""
    if len(lengths) == 1:  # without the sparse array, which takes longer than the sums
        counts = np.bincount(indices, minlength=len(table)).astype(np.float64)
        return counts[None] @ columns
    sums: FloatArray = count(table, lengths, indices) @ columns
    return sums


def kinds_among(
    table: Sequence[Kernel], lengths: IntArray, indices: IntArray, kinds: Sequence[str]
) -> list[tuple[str, ...]]:
    """Return which of some typed kinds each packed network has, sorted."""
    if not kinds:
        return [()] * len(lengths)
    kind_of_rows = [kernel.typed_kind for kernel in table]
    return [
        tuple(sorted({kind_of_rows[row] for row in rows.tolist()}.intersection(kinds)))
        for rows in np.split(indices, np.cumsum(lengths)[:-1])
    ]


def check(table: Sequence[Kernel], lengths: IntArray, indices: IntArray) -> None:
    """Check that packed networks are sound.

    Raises:
        ValueError: The three arguments do not fit together, or a kernel is too large.
    """
    check_sizes(table)
    if np.any(lengths < 1):
        raise ValueError("every network must have at least one kernel")
    if lengths.sum() != len(indices):
        raise ValueError(
            f"the networks' lengths add up to {lengths.sum()} kernels, but there are "
            f"{len(indices)} indices"
        )
    if len(indices) and not 0 <= indices.min() <= indices.max() < len(table):
        raise ValueError(f"an index is outside the table of {len(table)} kernels")


def check_sizes(kernels: Iterable[Kernel]) -> None:
    """Check that a device can hold the kernels.

    Raises:
        ValueError: A kernel has a tensor that is too large for any device.
    """
    for kernel in kernels:
        if _is_too_large(kernel):
            raise ValueError(f"a tensor of this kernel is too large for any device: {kernel}")


@functools.lru_cache(maxsize=65_536)  # networks share most of their kernels
def _is_too_large(kernel: Kernel) -> bool:
    shapes = (*kernel.inputs, kernel.output, kernel.kernel_size)
    return any(prod(shape) > _MAX_ELEMENTS for shape in shapes)
