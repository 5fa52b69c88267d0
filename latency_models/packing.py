"""Many networks as one table of distinct kernels and indices into it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from latency_models.kernel import Kernel

IntArray = NDArray[np.int64]


def pack(networks: Iterable[Sequence[Kernel]]) -> tuple[list[Kernel], IntArray, IntArray]:
    """`(table, lengths, indices)`: the distinct kernels in order of first appearance, how
    many kernels each network has, and all their rows in the table, network after network.
    """
    rows: dict[Kernel, int] = {}
    lengths: list[int] = []
    indices: list[int] = []
    for kernels in networks:
        lengths.append(len(kernels))
        indices.extend(rows.setdefault(kernel, len(rows)) for kernel in kernels)
    return list(rows), np.array(lengths, dtype=np.int64), np.array(indices, dtype=np.int64)
