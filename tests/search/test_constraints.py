from __future__ import annotations

import itertools
import random

import pytest

from host.export import export_program
from search.constraints import MILLIONS_OF, excess, least, quantities, share_within
from search.network import build_network
from search.space import SPACES, Space, mnasnet_space
from search.zoo import ZOO
from tests.search.fakes import small_space

A1 = ZOO["mnasnet-a1"]


def test_without_limits_nothing_is_too_much() -> None:
    assert excess(A1, {}) == ""


def test_what_is_too_much_is_said_with_the_limit() -> None:
    limits = {"parameters": 3_887_038, "multiply_adds": 300_000_000}
    assert excess(A1, limits) == "311.58 M multiply-adds where 300 are allowed"
    assert excess(A1, limits | {"multiply_adds": 312_000_000}) == ""
    assert excess(A1, limits | {"parameters": 3_887_037}).startswith("3.89 M parameters where")


@pytest.mark.parametrize("name", ["mnasnet-a1", "mnasnet-small", "a random one"])
def test_a_program_is_nearly_as_large_as_its_weights(name: str) -> None:
    space = mnasnet_space()
    architecture = ZOO.get(name) or space.resolve(space.sample(random.Random(1)))
    program, _ = export_program(build_network(architecture, classes=1000), (1, 3, 224, 224))
    estimated = quantities(architecture)["program_bytes"]
    assert estimated == pytest.approx(program.size_bytes, rel=0.01)


@pytest.mark.parametrize("name", MILLIONS_OF)
def test_the_least_there_can_be_is_that_of_all_networks(name: str) -> None:
    space = small_space()
    every = itertools.product(*(range(len(decision.choices)) for decision in space.decisions))
    assert least(space, name) == min(quantities(space.resolve(c))[name] for c in every)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_no_random_network_has_less_than_the_least(space: Space) -> None:
    rng = random.Random(0)
    sampled = [quantities(space.resolve(space.sample(rng))) for _ in range(100)]
    for name in MILLIONS_OF:
        assert least(space, name) <= min(has[name] for has in sampled)


def test_the_share_within_falls_with_the_limit() -> None:
    space = mnasnet_space()
    shares = [share_within(space, {"multiply_adds": m * 10**6}) for m in (300, 500, 10**4)]
    assert 0 < shares[0] < shares[1] < shares[2] == 1


def test_limits_that_exclude_everything_are_refused_by_the_one_that_binds() -> None:
    limits = {"parameters": 10**6, "multiply_adds": 10**10}
    with pytest.raises(ValueError, match="Allow more") as refused:
        share_within(mnasnet_space(), limits)
    message = str(refused.value)
    assert "1 M parameters exclude 1,000, and the least there can be are" in message
    assert "10000 M multiply-adds exclude 0" in message
