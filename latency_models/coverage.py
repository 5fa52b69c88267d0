"""How far kernels are from those that were measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from latency_models.features import model_kind, points, variant
from latlab.domain.kernel import Kernel

# Kernels are near each other if no coordinate differs by more than a factor of two, the octave
# by which tiles, caches and the widths of networks grow.
NEAR_OCTAVES = 1.0

Family: TypeAlias = tuple[str, tuple[int, ...]]  # a model's name and a variant


@dataclass(frozen=True)
class Neighbourhood:
    """The measured kernels of each kind and variant, which can be searched by their shapes."""

    trees: Mapping[Family, KDTree]

    @classmethod
    def of(cls, kernels: Iterable[Kernel]) -> Neighbourhood:
        """Return the neighbourhood of measured kernels, which says what is near them."""
        families: dict[Family, list[Kernel]] = defaultdict(list)
        for kernel in kernels:
            families[_family(kernel)].append(kernel)
        return cls({family: KDTree(points(members)) for family, members in families.items()})

    def octaves(self, kernels: Sequence[Kernel]) -> NDArray[np.float64]:
        """Return the (kernels,) distance from each kernel to the nearest that was measured.

        The distance is the largest difference of a coordinate, in octaves. It is infinite where
        no kernel of the same kind and variant was measured: a window of another size, stride or
        dilation is new, however near its shape is.
        """
        octaves = np.full(len(kernels), np.inf)
        rows: dict[Family, list[int]] = defaultdict(list)
        for row, kernel in enumerate(kernels):
            rows[_family(kernel)].append(row)
        for family, family_rows in rows.items():
            if tree := self.trees.get(family):
                members = [kernels[row] for row in family_rows]
                octaves[family_rows], _ = tree.query(points(members), p=np.inf)
        return octaves

    def holds(self, kernels: Sequence[Kernel]) -> NDArray[np.bool_]:
        """Return (kernels,): whether a measured kernel of the same family is near each kernel."""
        near: NDArray[np.bool_] = self.octaves(kernels) <= NEAR_OCTAVES
        return near


def _family(kernel: Kernel) -> Family:
    return model_kind(kernel), variant(kernel)
