"""The space that the old studies searched: networks so narrow that their programs fit into a
repository."""

from __future__ import annotations

import random

from search.space.architecture import Architecture
from search.space.space import Reference, Space


def narrow_space() -> Space:
    return Space(
        name="narrow",
        stem_channels=8,
        head_channels=16,
        references=(Reference(8, 1, 1), Reference(8, 2, 2), Reference(16, 2, 2)),
        convolutions=(("dconv", 1), ("mbconv", 3)),
        kernel_sizes=(3, 5),
        se_ratios=(0.0, 0.25),
        skips=("identity", "none"),
        filters=(1.0, 2.0),
        layers=(0, 1),
    )


def made_up_accuracy(architecture: Architecture) -> float:
    """From 0.1 to 0.9, always the same for a network."""
    return random.Random(architecture.id).uniform(0.1, 0.9)
