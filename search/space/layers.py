"""What the blocks of an Architecture unfold to, layer by layer. The network builder, the
counts and the kernel list all read these, so that they cannot disagree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from search.space.architecture import Architecture, Block, se_channels, takes_skip


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer with everything decided.

    expanded_channels: the width of the depthwise convolution; of the output in a "conv".
    se_channels: of the squeeze-and-excitation bottleneck; 0 for none.
    skip: "none", "identity" or "pool", as it really is in this layer.
    """

    op: str
    in_channels: int
    expanded_channels: int
    out_channels: int
    kernel_size: int
    stride: int
    se_channels: int
    skip: str


def round_channels(channels: float) -> int:
    """The nearest multiple of 8, at least 8 and never below 0.9 of what was asked."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


def scaled(architecture: Architecture, width_multiplier: float) -> Architecture:
    """The same network with every channel count multiplied and rounded."""
    if width_multiplier == 1.0:
        return architecture
    return Architecture(
        round_channels(architecture.stem_channels * width_multiplier),
        tuple(
            replace(block, out_channels=round_channels(block.out_channels * width_multiplier))
            for block in architecture.blocks
        ),
        round_channels(architecture.head_channels * width_multiplier),
    )


def block_layers(block: Block, in_channels: int) -> Iterator[Layer]:
    """The layers of one block whose input has `in_channels`."""
    for index in range(block.layers):
        stride = block.stride if index == 0 else 1
        yield Layer(
            op=block.op,
            in_channels=in_channels,
            expanded_channels=(
                block.out_channels if block.op == "conv" else in_channels * block.expansion
            ),
            out_channels=block.out_channels,
            kernel_size=block.kernel_size,
            stride=stride,
            se_channels=se_channels(block, in_channels),
            skip=block.skip if takes_skip(stride, in_channels, block.out_channels) else "none",
        )
        in_channels = block.out_channels


def layers_by_block(architecture: Architecture) -> Iterator[tuple[Layer, ...]]:
    """The layers of every block, in order, without stem and head."""
    in_channels = architecture.stem_channels
    for block in architecture.blocks:
        yield tuple(block_layers(block, in_channels))
        in_channels = block.out_channels
