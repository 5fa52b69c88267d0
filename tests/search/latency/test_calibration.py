from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.precision import Precision
from search.latency.calibration import CANDIDATES, REFERENCE, calibration_networks, random_networks
from search.space.deployment import Deployment
from search.space.kernels import kernels
from search.space.space import mnasnet_space

SPACE = mnasnet_space()
RANDOM = random_networks(SPACE, 10)


def network_of(network: tuple[Kernel, ...]) -> MeasuredNetwork:
    return MeasuredNetwork(network, (1.0,) * len(network), 1.0, 1.0, 1.0, 0)


def test_random_networks_are_distinct_and_more_of_them_only_add() -> None:
    networks = random_networks(SPACE, 50)
    assert len(set(networks)) == 50
    assert networks[0] == REFERENCE
    assert random_networks(SPACE, 20) == networks[:20]


def test_the_candidates_hold_most_kernels_of_the_space() -> None:
    networks = list(map(kernels, random_networks(SPACE, 4 * CANDIDATES)))
    held = {kernel for network in networks[:CANDIDATES] for kernel in network}
    assert len(held) > 0.9 * len({kernel for network in networks for kernel in network})


@settings(max_examples=5, deadline=None)
@given(st.sets(st.integers(0, 9)), st.integers(0, 4))
def test_what_was_measured_counts_and_is_not_measured_again(rows: set[int], more: int) -> None:
    measured = {network: kernels(network) for network in map(RANDOM.__getitem__, rows)}
    networks = calibration_networks(
        SPACE, len(rows) + more, list(map(network_of, measured.values()))
    )
    assert len({*networks, *measured}) == len(rows) + more
    if 0 not in rows:
        assert networks[:1] == [REFERENCE][:more]
    assert calibration_networks(SPACE, len(rows), list(map(network_of, measured.values()))) == []


def test_a_calibration_goes_on_where_it_stopped() -> None:
    networks = calibration_networks(SPACE, 5, [])
    assert (
        calibration_networks(SPACE, 5, [network_of(kernels(n)) for n in networks[:2]])
        == networks[2:]
    )


def test_other_networks_do_not_count() -> None:
    shape = (1, 7, 7, 8)
    other = (Kernel(k.HARDSWISH, (shape,), shape),)
    alone = calibration_networks(SPACE, 4, [])
    assert calibration_networks(SPACE, 4, [network_of(other)]) == alone


def test_more_than_the_candidates_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="candidates"):
        calibration_networks(SPACE, CANDIDATES + 1, [])


def test_a_calibration_is_of_networks_as_they_are_deployed() -> None:
    small = Deployment(resolution=64, classes=10)
    networks = calibration_networks(SPACE, 5, [], small)
    measured = [network_of(kernels(network, small)) for network in networks]
    assert calibration_networks(SPACE, 5, measured, small) == []
    assert len(calibration_networks(SPACE, 5, measured)) == 5
    in_int8 = replace(small, precision=Precision.INT8)
    assert len(calibration_networks(SPACE, 5, measured, in_int8)) == 5
