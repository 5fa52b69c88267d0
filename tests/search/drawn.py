"""Hypothesis strategies of what a search knows."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from search.space.architecture import (
    MAX_CHANNELS,
    MAX_EXPANSION,
    MAX_KERNEL_SIZE,
    MAX_LAYERS,
    MAX_STRIDING,
    OPERATIONS,
    SKIPS,
    Architecture,
    Block,
    can_skip,
)

# Each convolution and skip, with and without squeeze-and-excitation, in few layers.
EVERY_OPERATOR = Architecture(
    16,
    (
        Block("conv", 1, 5, 2, 0.25, "pool", 16, 2),
        Block("dconv", 1, 3, 1, 0.0, "identity", 16, 1),
        Block("mbconv", 3, 5, 2, 0.25, "identity", 24, 2),
        Block("mbconv", 6, 3, 1, 0.0, "none", 32, 1),
    ),
    64,
)

channels = st.integers(1, 64) | st.integers(1, MAX_CHANNELS)


@st.composite
def architectures(draw: st.DrawFn, max_blocks: int = 8) -> Architecture:
    """Any that can be built and that `search.space.kernels` knows."""
    stem_channels = in_channels = draw(channels)
    blocks: list[Block] = []
    for _ in range(draw(st.integers(1, max_blocks))):
        striding = sum(block.stride > 1 for block in blocks)
        op = draw(st.sampled_from(OPERATIONS))
        block = Block(
            op=op,
            expansion=draw(st.integers(1, MAX_EXPANSION)) if op == "mbconv" else 1,
            kernel_size=draw(st.integers(0, MAX_KERNEL_SIZE // 2)) * 2 + 1,
            stride=draw(st.integers(1, 2)) if striding < MAX_STRIDING else 1,
            se_ratio=draw(st.just(0.0) | st.floats(0, 1)),
            skip=draw(st.sampled_from(SKIPS)),
            out_channels=draw(channels),
            layers=draw(st.integers(1, 4) | st.integers(1, MAX_LAYERS)),
        )
        blocks.append(block if can_skip(block, in_channels) else replace(block, skip="none"))
        in_channels = block.out_channels
    return Architecture(stem_channels, tuple(blocks), draw(channels))
