"""Scale the channel counts of networks."""

from __future__ import annotations

from dataclasses import replace

from search.space.architecture import Architecture


def round_channels(channels: float) -> int:
    """Return the nearest multiple of 8 that is at least 8 and at least 90 % of `channels`."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


def scaled(architecture: Architecture, width_multiplier: float) -> Architecture:
    """Return the network with every channel count multiplied and rounded.

    A multiplier of 1 returns the architecture itself, without rounding.
    """
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
