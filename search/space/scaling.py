"""Scale the channel counts of networks."""

from __future__ import annotations

from dataclasses import replace

from search.space.architecture import Architecture

CHANNEL_STEP = 8  # The spaces' channel counts are multiples of it.


def round_channels(channels: float) -> int:
    """Return the nearest multiple of 8 that is at least 8 and at least 90 % of `channels`."""
    rounded = max(CHANNEL_STEP, int(channels + 4) // CHANNEL_STEP * CHANNEL_STEP)
    return rounded if rounded >= 0.9 * channels else rounded + CHANNEL_STEP


def nearest_channels(channels: float) -> int:
    """Return the nearest whole number that is at least 1; halves are rounded up.

    So two counts that differ by 1 or more stay different.
    """
    return max(1, int(channels + 0.5))


def scaled(
    architecture: Architecture, width_multiplier: float, *, coarsely: bool = True
) -> Architecture:
    """Return the network with every channel count multiplied and rounded.

    A multiplier of 1 returns the architecture itself, without rounding.

    Args:
        architecture: The network.
        width_multiplier: The factor.
        coarsely: Round to multiples of 8. A small multiplier then makes equal networks of
            different ones. Otherwise counts are rounded to whole numbers, and multiples of 8
            stay different from each other if the multiplier is at least 1/8.
    """
    if width_multiplier == 1.0:
        return architecture
    rounded = round_channels if coarsely else nearest_channels
    return Architecture(
        rounded(architecture.stem_channels * width_multiplier),
        tuple(
            replace(block, out_channels=rounded(block.out_channels * width_multiplier))
            for block in architecture.blocks
        ),
        rounded(architecture.head_channels * width_multiplier),
    )
