"""Different networks of a space are different networks in the proxy task."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from search.space.proxies import SMALLEST_MULTIPLIER, smallest_images
from search.space.scaling import nearest_channels, scaled
from search.space.space import SPACES, Space, mnasnet_space
from search.space.zoo import ZOO
from search.study.settings import ProxyBudget
from tests.search.space.families import are_equal, neighbours, proxy_family

BUDGET = ProxyBudget()
EARLIER = replace(BUDGET, resolution=32, distinct_networks=False)
SMALLEST = replace(BUDGET, width_multiplier=SMALLEST_MULTIPLIER)

spaces = st.sampled_from(list(SPACES.values()))
each_space = pytest.mark.parametrize("space", SPACES.values(), ids=lambda space: space.name)
many = hypothesis_settings(max_examples=150, deadline=None)


def drawn(space: Space, seed: int) -> tuple[int, ...]:
    return space.sample(random.Random(seed))


@many
@given(space=spaces, seeds=st.tuples(*[st.integers(0, 2**32)] * 2), data=st.data())
def test_two_different_networks_have_different_proxies(
    space: Space, seeds: tuple[int, int], data: st.DataObject
) -> None:
    """They share many choices, because random pairs differ nearly everywhere."""
    one, other = (drawn(space, seed) for seed in seeds)
    shared = data.draw(st.sets(st.integers(0, len(one) - 1)))
    mixed = tuple(one[i] if i in shared else other[i] for i in range(len(one)))
    for budget in (BUDGET, SMALLEST):
        assert not are_equal(space.resolve(one), space.resolve(mixed), budget)


@each_space
def test_every_single_decision_is_seen(space: Space) -> None:
    for seed in range(4):
        choices = drawn(space, seed)
        network = space.resolve(choices)
        equal = [each for each in neighbours(space, choices) if are_equal(network, each, BUDGET)]
        assert equal == []


def test_published_networks_are_told_apart() -> None:
    families = {proxy_family(network, BUDGET) for network in ZOO.values()}
    assert len(families) == len(ZOO)


def test_what_earlier_versions_could_not_see() -> None:
    space = mnasnet_space()
    choices = drawn(space, 0)
    network = space.resolve(choices)
    equal = {each for each in neighbours(space, choices) if are_equal(network, each, EARLIER)}
    assert equal
    changed = {
        (index, name)
        for each in equal
        for index, (block, other) in enumerate(zip(network.blocks, each.blocks, strict=True))
        for name in ("kernel_size", "out_channels")
        if getattr(block, name) != getattr(other, name)
    }
    assert {(0, "out_channels"), (6, "kernel_size")} <= changed


@each_space
@pytest.mark.parametrize("stem_stride", [1, 2])
def test_the_smallest_images_are_the_smallest(space: Space, stem_stride: int) -> None:
    smallest = smallest_images(space, stem_stride)
    assert smallest == 32 * stem_stride + 1
    choices = drawn(space, 1)
    network = space.resolve(choices)
    for resolution, expected in ((smallest, False), (smallest - 1, True)):
        budget = replace(BUDGET, resolution=resolution, stem_stride=stem_stride)
        equal = (are_equal(network, each, budget) for each in neighbours(space, choices))
        assert any(equal) is expected


@given(one=st.integers(1, 1024), other=st.integers(1, 1024), multiplier=st.floats(0.125, 2))
def test_widths_of_a_space_stay_different(one: int, other: int, multiplier: float) -> None:
    narrow = [nearest_channels(8 * each * multiplier) for each in (one, other)]
    assert (narrow[0] < narrow[1]) == (one < other)
    assert min(narrow) >= 1


def test_a_multiplier_of_one_changes_nothing() -> None:
    for network in ZOO.values():
        assert scaled(network, 1.0, coarsely=False) == scaled(network, 1.0) == network
