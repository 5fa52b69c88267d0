"""The diversity of networks, block by block."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence

from search.report.drawing.words import operation
from search.space.architecture import Architecture, Block

# The aspects in which blocks differ, and the text of a block's choice.
ASPECTS: dict[str, Callable[[Block], str]] = {
    "operation": operation,
    "kernel": lambda block: f"{block.kernel_size}×{block.kernel_size}",
    "squeeze-and-excitation": lambda block: f"SE {block.se_ratio:g}" if block.se_ratio else "none",
    "skip": lambda block: block.skip,
    "layers": lambda block: str(block.layers),
}


def blocks_at_each_place(architectures: Sequence[Architecture]) -> list[list[Block]]:
    """Return the blocks at each place of networks that have equally many blocks."""
    return [list(place) for place in zip(*(a.blocks for a in architectures), strict=True)]


def shares(blocks: Sequence[Block], aspect: Callable[[Block], str]) -> dict[str, float]:
    """Return, for each value of an aspect of blocks, the share of the blocks that have it."""
    return {choice: count / len(blocks) for choice, count in Counter(map(aspect, blocks)).items()}


def effective_number(things: Iterable[Hashable]) -> float:
    """Return the effective number of kinds of things: the exponential of Shannon's entropy.

    It is n for n kinds that are equally frequent, and 1 if all things are alike.
    """
    counted = Counter(things)
    total = counted.total()
    return math.exp(-sum(n / total * math.log(n / total) for n in counted.values()))
