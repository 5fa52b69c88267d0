from __future__ import annotations

from dataclasses import replace

import pytest

from latlab.domain import kernel as k
from latlab.domain.errors import NotReady
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from search.cli.evaluate import evaluation_of
from tests.latency_models.synthetic import Machine, random_networks


def evaluated_sizes(measured: list[MeasuredNetwork]) -> int:
    """How many predictions were judged in two splits."""
    return len(evaluation_of(measured, splits=2).parity.measured_ns)


def test_what_no_other_network_resembles_is_not_held_out() -> None:
    networks = Machine().measure_all(random_networks(12, seed=3))
    shape = (1, 7, 7, 8)
    probe = replace(
        networks[0],
        kernels=(*networks[0].kernels, Kernel(k.HARDSWISH, (shape,), shape)),
        kernel_ns=(*(networks[0].kernel_ns or ()), 1_000.0),
    )
    assert evaluated_sizes(networks) == evaluated_sizes([*networks, probe]) == 2 * 4


def test_networks_measured_again_count_once() -> None:
    networks = Machine().measure_all(random_networks(12, seed=3))
    again = [replace(network, unix_ns=network.unix_ns + 100) for network in networks[:6]]
    assert evaluated_sizes([*networks, *again]) == 2 * 4  # as above without them


def test_too_little_to_judge_by_says_what_to_do() -> None:
    with pytest.raises(NotReady, match="latlab calibrate"):
        evaluated_sizes(Machine().measure_all(random_networks(3, seed=3)))


def test_a_target_without_kernel_times_is_evaluated_too() -> None:
    networks = Machine().measure_all(random_networks(12, seed=3))
    untraced = [replace(network, kernel_ns=None) for network in networks]
    assert evaluated_sizes(untraced) == evaluated_sizes(networks)
