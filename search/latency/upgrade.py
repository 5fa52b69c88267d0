"""The latencies of a device before and after an upgrade of its software."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy import stats

from latency_models.intervals import LEVEL
from latency_models.measured_networks import each_once
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.target import UPGRADE_NETWORKS
from search.latency.calibration import CANDIDATES, random_networks
from search.space.architecture import Architecture
from search.space.deployment import Deployment
from search.space.kernels import kernels
from search.space.space import Space


@dataclass(frozen=True)
class Change:
    """How latencies changed, as ratios of after to before.

    Attributes:
        ratios: The ratio of each network that was measured on both, the smallest first.
        mean: The geometric mean of the ratios.
        lower: The lower bound of its 90 % interval.
        upper: The upper bound.
    """

    ratios: tuple[float, ...]
    mean: float
    lower: float
    upper: float


def networks_after_upgrade(
    space: Space,
    before: Collection[MeasuredNetwork],
    after: Collection[MeasuredNetwork],
    deployment: Deployment,
) -> list[Architecture]:
    """Return the networks that are to be measured after an upgrade.

    All of them were measured before it. With those that were measured since, they are ten, or
    fewer if fewer were measured before.

    Args:
        space: The space that calibrations draw networks from.
        before: The measured networks of the build before.
        after: The measured networks of the new build.
        deployment: The form in which networks are measured.
    """
    known_before = {network.kernels for network in before}
    known_after = {network.kernels for network in after}
    forms = {
        network: form
        for network in random_networks(space, CANDIDATES)
        if (form := kernels(network, deployment)) in known_before
    }
    unmeasured = [network for network, form in forms.items() if form not in known_after]
    missing = UPGRADE_NETWORKS - (len(forms) - len(unmeasured))
    return unmeasured[: max(0, missing)]


def change(
    before: Collection[MeasuredNetwork], after: Collection[MeasuredNetwork]
) -> Change | None:
    """Return how the latencies of the networks that were measured on both changed.

    Fewer than two networks show no interval: then it is None.
    """
    before_ns = {network.kernels: network.latency_ns for network in each_once(list(before))}
    ratios = sorted(
        network.latency_ns / before_ns[network.kernels]
        for network in each_once(list(after))
        if network.kernels in before_ns
    )
    if len(ratios) < 2:
        return None
    logs = np.log(ratios)
    margin = stats.t.ppf((1 + LEVEL) / 2, len(logs) - 1) * stats.sem(logs)
    mean = logs.mean()
    bounds = np.exp([mean, mean - margin, mean + margin]).tolist()
    return Change(tuple(ratios), *bounds)
