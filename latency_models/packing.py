"""Many networks as one table of distinct kernels and indices into it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel

IntArray = NDArray[np.int64]

_MAX_ELEMENTS = 2**40


def pack(networks: Iterable[Sequence[Kernel]]) -> tuple[list[Kernel], IntArray, IntArray]:
    """As `latlab.domain.kernel.pack`, with arrays of int64."""
    table, lengths, indices = k.pack(networks)
    return table, np.array(lengths, dtype=np.int64), np.array(indices, dtype=np.int64)


def count(table: Sequence[Kernel], lengths: IntArray, indices: IntArray) -> csr_array:
    """(networks, rows of `table`): how often each network holds each kernel."""
    starts = np.append(0, np.cumsum(lengths))
    shape = (len(lengths), len(table))
    return csr_array((np.ones(len(indices)), indices, starts), shape=shape)


def check(table: Sequence[Kernel], lengths: IntArray, indices: IntArray) -> None:
    """Raises ValueError where the three do not fit together, or no device holds a kernel."""
    check_sizes(table)
    if np.any(lengths < 1):
        raise ValueError("a network has at least one kernel")
    if lengths.sum() != len(indices):
        raise ValueError(f"lengths add up to {lengths.sum()}, but there are {len(indices)} indices")
    if len(indices) and not 0 <= indices.min() <= indices.max() < len(table):
        raise ValueError(f"an index lies outside the table of {len(table)} kernels")


def check_sizes(kernels: Iterable[Kernel]) -> None:
    """Raises ValueError for a kernel that no device holds."""
    for kernel in kernels:
        shapes = (*kernel.inputs, kernel.output, kernel.kernel_size)
        if any(prod(shape) > _MAX_ELEMENTS for shape in shapes):
            raise ValueError(f"no device holds a tensor of this size: {kernel}")
