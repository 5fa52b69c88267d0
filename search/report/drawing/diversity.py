"""How alike networks are, block by block."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence

from search.report.drawing.words import operation
from search.space.architecture import Architecture, Block

# What a block may differ in, in words.
ASPECTS: dict[str, Callable[[Block], str]] = {
    "operation": operation,
    "kernel": lambda block: f"{block.kernel_size}×{block.kernel_size}",
    "squeeze-and-excitation": lambda block: f"SE {block.se_ratio:g}" if block.se_ratio else "none",
    "skip": lambda block: block.skip,
    "layers": lambda block: str(block.layers),
}


def blocks_at_each_place(architectures: Sequence[Architecture]) -> list[list[Block]]:
    """Of networks with equally many blocks."""
    return [list(place) for place in zip(*(a.blocks for a in architectures), strict=True)]


def shares(blocks: Sequence[Block], aspect: Callable[[Block], str]) -> dict[str, float]:
    """How often each choice was made, as shares of 1."""
    return {choice: count / len(blocks) for choice, count in Counter(map(aspect, blocks)).items()}


def effective_number(things: Iterable[Hashable]) -> float:
    """exp of Shannon's entropy: n where n kinds are equally frequent, 1 where all are alike."""
    counted = Counter(things)
    total = counted.total()
    return math.exp(-sum(n / total * math.log(n / total) for n in counted.values()))
