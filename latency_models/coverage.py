"""Find out which kernels have shapes near those of measured kernels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from latency_models.features import points
from latlab.domain.kernel import Kernel

# Kernels are near each other if no coordinate differs by more than a factor of two, the octave
# by which tiles, caches and the widths of networks grow.
_NEAR_OCTAVES = 1.0


@dataclass(frozen=True)
class Neighbourhood:
    """The measured kernels of each kind, which can be searched by their shapes."""

    trees: Mapping[str, KDTree]

    @classmethod
    def of(cls, kernels: Iterable[Kernel]) -> Neighbourhood:
        """Return the neighbourhood of measured kernels, which says what is near them."""
        by_kind: dict[str, list[Kernel]] = defaultdict(list)
        for kernel in kernels:
            by_kind[kernel.typed_kind].append(kernel)
        return cls({kind: KDTree(points(of_kind)) for kind, of_kind in by_kind.items()})

    def holds(self, kernels: Sequence[Kernel]) -> NDArray[np.bool_]:
        """Return (kernels,): whether a measured kernel of the same kind is near each kernel."""
        near = np.zeros(len(kernels), dtype=np.bool_)
        for kind, tree in self.trees.items():
            rows = [row for row, kernel in enumerate(kernels) if kernel.typed_kind == kind]
            if rows:
                octaves, _ = tree.query(points([kernels[row] for row in rows]), p=np.inf)
                near[rows] = octaves <= _NEAR_OCTAVES
        return near
