from __future__ import annotations

import pytest

from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.target import UPGRADE_NETWORKS
from search.latency.calibration import random_networks
from search.latency.upgrade import change, networks_after_upgrade
from search.space.deployment import DEFAULT_DEPLOYMENT
from search.space.kernels import kernels
from search.space.space import mnasnet_space

SPACE = mnasnet_space()
NETWORKS = random_networks(SPACE, 40)


def measured(rows: range, factor: float = 1.0) -> list[MeasuredNetwork]:
    latencies_ns = [1e6 * (row + 1) * factor for row in rows]
    return [
        MeasuredNetwork(kernels(NETWORKS[row]), None, ns, 0.99 * ns, 1.01 * ns, row)
        for row, ns in zip(rows, latencies_ns, strict=True)
    ]


def test_ten_networks_of_before_are_measured_again_and_none_twice() -> None:
    chosen = networks_after_upgrade(SPACE, measured(range(30)), [], DEFAULT_DEPLOYMENT)
    assert len(set(chosen)) == UPGRADE_NETWORKS
    assert set(chosen) <= set(NETWORKS[:30])
    some = measured(range(7))
    rest = networks_after_upgrade(SPACE, measured(range(30)), some, DEFAULT_DEPLOYMENT)
    assert len(rest) == UPGRADE_NETWORKS - 7
    assert set(rest) <= set(NETWORKS[7:30])
    enough = measured(range(12))
    assert networks_after_upgrade(SPACE, measured(range(30)), enough, DEFAULT_DEPLOYMENT) == []
    few = networks_after_upgrade(SPACE, measured(range(4)), [], DEFAULT_DEPLOYMENT)
    assert set(few) == set(NETWORKS[:4])


def test_the_change_is_that_of_the_networks_measured_on_both() -> None:
    found = change(measured(range(20)), measured(range(5, 30), factor=1.1))
    assert found is not None
    assert found.mean == pytest.approx(1.1)
    assert found.lower <= found.mean <= found.upper < 1.11
    assert found.ratios == pytest.approx([1.1] * 15)


def test_one_network_shows_no_change() -> None:
    assert change(measured(range(5)), measured(range(4, 10))) is None
    other = MeasuredNetwork((Kernel("warp", ((1, 8),), (1, 8)),), None, 1e6, 1e6, 1e6, 0)
    assert change(measured(range(5)), [other]) is None
