"""What is measured on a target before its predictor can be used."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from latlab.domain.kernel import Kernel
from search.space.architecture import Architecture
from search.space.deployment import DEFAULT, Deployment
from search.space.kernels import kernels
from search.space.space import Space
from search.space.zoo import ZOO

REFERENCE = ZOO["mobilenet-v2"]
CANDIDATES = 256  # hold most kernels of MnasNet's space
SEED = 20190  # of the draw, apart from every study's own


def random_networks(space: Space, count: int) -> list[Architecture]:
    """`count` distinct networks, always the same: the reference, whose latency is the
    paper's default target, and random ones of the space."""
    rng = np.random.default_rng(SEED)
    networks = {REFERENCE: None}
    while len(networks) < count:
        networks[space.resolve(space.sample(rng))] = None
    return list(networks)[:count]


def calibration_networks(
    space: Space,
    count: int,
    measured: Collection[tuple[Kernel, ...]],
    deployment: Deployment = DEFAULT,
) -> list[Architecture]:
    """What is left to measure of `count` networks, at most CANDIDATES: the reference, then
    those of the candidates that tell most beside all that was measured.

    measured: the kernels of every network that the target has measured.
    """
    from latency_models.active_selection import most_informative  # scikit-learn takes a second

    candidates = {
        kernels(network, deployment=deployment): network
        for network in random_networks(space, CANDIDATES)
    }
    known = dict.fromkeys(measured)
    left = [network for network in candidates if network not in known]
    missing = max(0, count - (len(candidates) - len(left)))
    chosen = [network for network in left[:missing] if candidates[network] == REFERENCE]
    rest = left[len(chosen) :]
    rows = most_informative(rest, [*known, *chosen], missing - len(chosen))
    return [candidates[network] for network in chosen + [rest[row] for row in rows]]
