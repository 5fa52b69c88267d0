"""Remember what a fitted model computed for single kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from latlab.domain.kernel import Kernel

FloatArray = NDArray[np.float64]

MAX_KERNELS = 100_000  # about 40 MB


class KernelMemory:
    """Rows of numbers by kernel. The networks of a space share most of their kernels.

    Threads may use it at once without a lock: at worst two compute the same row.
    """

    def __init__(self) -> None:
        """Start with no rows."""
        self._rows: dict[Kernel, tuple[float, ...]] = {}

    def rows(
        self, kernels: Sequence[Kernel], compute: Callable[[Sequence[Kernel]], FloatArray]
    ) -> FloatArray:
        """Return a row of numbers for each kernel, computing the rows that are not remembered.

        Args:
            kernels: At least one.
            compute: Returns the (kernels, columns) rows of distinct kernels. What it raises is
                raised.
        """
        known = self._rows
        found = [known.get(kernel) for kernel in kernels]
        missing = list(
            dict.fromkeys(k for k, row in zip(kernels, found, strict=True) if row is None)
        )
        if missing:
            computed = dict(zip(missing, map(tuple, compute(missing).tolist()), strict=True))
            found = [row or computed[k] for k, row in zip(kernels, found, strict=True)]
            if len(known) + len(computed) > MAX_KERNELS:
                known = self._rows = {}
            known.update(computed)
        return np.array(found)
