"""What is measured on a target before its predictor can be used."""

from __future__ import annotations

import numpy as np

from search.architecture import Architecture
from search.space import Space
from search.zoo import ZOO

REFERENCE = ZOO["mobilenet-v2"]
SEED = 20190  # of the draw, apart from every study's own


def calibration_networks(space: Space, count: int) -> list[Architecture]:
    """`count` distinct networks, always the same: the reference, whose latency is the
    paper's default target, and random ones of the space."""
    rng = np.random.default_rng(SEED)
    networks = {REFERENCE: None}
    while len(networks) < count:
        networks[space.resolve(space.sample(rng))] = None
    return list(networks)[:count]
