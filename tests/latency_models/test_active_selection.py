from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latency_models.active_selection import most_informative
from latency_models.evaluate import metrics
from latency_models.kernel_predictor import KernelPredictor
from latency_models.packing import pack
from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel
from tests.latency_models.synthetic import Machine, random_networks

Network = tuple[Kernel, ...]


def pointwise(channels: int) -> Kernel:
    return Kernel(k.CONV2D, ((1, 14, 14, channels),), (1, 14, 14, channels))


def add(channels: int) -> Kernel:
    shape = (1, 14, 14, channels)
    return Kernel(k.ADD, (shape, shape), shape)


pools = st.builds(random_networks, st.integers(3, 8), st.integers(0, 1_000))


@settings(max_examples=10, deadline=None)
@given(pools, st.integers(0, 3))
def test_a_longer_list_only_adds_and_names_no_network_twice(
    pool: list[Network], measured: int
) -> None:
    candidates, known = pool[measured:], pool[:measured]
    everything = most_informative(candidates, known, len(candidates))
    assert sorted(everything) == list(range(len(candidates)))
    for count in range(len(candidates)):
        assert most_informative(candidates, known, count) == everything[:count]


@settings(max_examples=10, deadline=None)
@given(pools)
def test_what_was_measured_already_does_not_come_first(pool: list[Network]) -> None:
    assert most_informative(pool, pool[:1], 1) != [0]


@settings(max_examples=10, deadline=None)
@given(pools, st.randoms())
def test_the_order_of_candidates_does_not_matter(pool: list[Network], random: Random) -> None:
    order = list(range(len(pool)))
    random.shuffle(order)
    chosen = most_informative([pool[row] for row in order], [], 3)
    assert [order[row] for row in chosen] == most_informative(pool, [], 3)


def test_a_kernel_tells_of_those_near_it_and_nothing_of_other_kinds() -> None:
    near, far, other = (pointwise(68),), (pointwise(1024),), (add(1024),)
    assert most_informative([near, far], [(pointwise(64),)], 1) == [1]
    assert most_informative([near, other], [(pointwise(64),)], 1) == [1]


def test_kernels_that_cost_little_matter_little() -> None:
    common, dear, cheap = pointwise(512), pointwise(8192), add(8)
    assert most_informative([(common, cheap), (common, dear)], [(common,)], 1) == [1]


def test_chosen_networks_teach_more_than_random_ones() -> None:
    networks, machine = random_networks(120, seed=3), Machine(seed=3, mood=0.0)
    candidates, held_out = networks[:60], networks[60:]
    truth_ns = np.array([machine.latency_ns(network) for network in held_out])
    measured = machine.measure_all(candidates)

    def error(rows: list[int]) -> float:
        estimates = KernelPredictor.fit([measured[row] for row in rows]).predict(*pack(held_out), 0)
        return metrics(truth_ns, np.array([e.latency_ns for e in estimates])).mean_error

    rng = np.random.default_rng(3)
    drawn = [error(rng.choice(len(candidates), 10, replace=False).tolist()) for _ in range(4)]
    assert error(most_informative(candidates, [], 10)) < np.mean(drawn)


def test_more_networks_than_there_are_cannot_be_chosen() -> None:
    with pytest.raises(ValueError, match="2 networks cannot be chosen from 1 candidates"):
        most_informative([(add(8),)], [], 2)


def test_where_all_are_measured_none_is_chosen() -> None:
    assert most_informative([], [(add(8),)], 0) == []
