"""Which networks to measure on a target before its predictor can be used."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from latlab.domain.measured_network import MeasuredNetwork
from search.space.architecture import Architecture
from search.space.deployment import DEFAULT_DEPLOYMENT, Deployment
from search.space.kernels import kernels
from search.space.space import Space
from search.space.zoo import ZOO

REFERENCE = ZOO["mobilenet-v2"]
CANDIDATES = 256  # they have most kernels of MnasNet's space
SEED = 20190  # draws the candidates; studies have seeds of their own


def random_networks(space: Space, count: int) -> list[Architecture]:
    """Return distinct networks, the same ones every time.

    The first one is the reference, whose latency is the MnasNet paper's default target. The
    others are random networks of the space.
    """
    rng = np.random.default_rng(SEED)
    networks = {REFERENCE: None}
    while len(networks) < count:
        networks[space.resolve(space.sample(rng))] = None
    return list(networks)[:count]


def calibration_networks(
    space: Space,
    count: int,
    measured: Collection[MeasuredNetwork],
    deployment: Deployment = DEFAULT_DEPLOYMENT,
) -> list[Architecture]:
    """Return the networks that remain to be measured for a calibration with `count` networks.

    The reference comes first, then the candidates in their order. Networks that a Gaussian process
    over kernels chose as the most informative gave no smaller errors than random ones.

    Args:
        space: The space that the candidates are drawn from.
        count: How many of the candidates to have measured in all; at most CANDIDATES.
        measured: Every network that was measured on the target.
        deployment: The form in which networks are measured.

    Raises:
        ValueError: There are fewer candidates than `count`.
    """
    if count > CANDIDATES:
        raise ValueError(f"{count} networks cannot be chosen from {CANDIDATES} candidates")
    candidates = random_networks(space, CANDIDATES)
    known = {network.kernels for network in measured}
    unmeasured = [network for network in candidates if kernels(network, deployment) not in known]
    missing = max(0, count - (len(candidates) - len(unmeasured)))
    return unmeasured[:missing]
