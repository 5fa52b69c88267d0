from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latlab.export import export_program
from search.space.architecture import Architecture
from search.space.deployment import Deployment
from search.space.limits import MILLIONS_OF, excess, fitted, quantities, share_within
from search.space.network import build_network
from search.space.space import SPACES, Space, mnasnet_space
from search.space.zoo import ZOO
from search.strategies.strategy import make_strategy
from search.study.settings import StrategyName
from tests.search.fakes import small_space, trial, true_accuracy
from tests.search.space.test_space import choices, in_any_space

A1 = ZOO["mnasnet-a1"]


def test_without_limits_nothing_is_too_much() -> None:
    assert excess(A1, {}) == ""


def test_what_is_too_much_is_said_with_the_limit() -> None:
    limits = {"parameters": 3_887_038, "multiply_adds": 300_000_000}
    assert excess(A1, limits) == "311.58 M multiply-adds where 300 are allowed"
    assert excess(A1, limits | {"multiply_adds": 312_000_000}) == ""
    assert excess(A1, limits | {"parameters": 3_887_037}).startswith("3.89 M parameters where")


def test_limits_are_for_the_network_as_it_is_deployed() -> None:
    small = Deployment(resolution=112, classes=10)
    limits = quantities(A1, small)
    assert excess(A1, limits, small) == ""
    assert set(limits.values()) & set(quantities(A1).values()) == set()
    assert all(unit in excess(A1, limits) for unit in MILLIONS_OF.values())
    space = mnasnet_space()
    least = quantities(space.resolve(space.smallest), small)
    assert share_within(space, {"multiply_adds": 300_000_000}, small) > 0.9
    with pytest.raises(ValueError, match="the smallest has"):
        share_within(space, least)


@pytest.mark.parametrize("name", ["mnasnet-a1", "mnasnet-small", "a random one"])
def test_a_program_is_nearly_as_large_as_its_weights(name: str) -> None:
    space = mnasnet_space()
    architecture = ZOO.get(name) or space.resolve(space.sample(random.Random(1)))
    program, _ = export_program(build_network(architecture), Deployment().input_shape)
    estimated = quantities(architecture)["program_bytes"]
    assert estimated == pytest.approx(program.size_bytes, rel=0.01)


def test_the_smallest_network_has_the_least_of_everything() -> None:
    convolutions = (("conv", 1), ("mbconv", 3), ("dconv", 1))
    space = replace(small_space(), convolutions=convolutions)
    every = itertools.product(*(range(len(decision.choices)) for decision in space.decisions))
    have = [quantities(space.resolve(choices)) for choices in every]
    smallest = quantities(space.resolve(space.smallest))
    assert smallest == {name: min(has[name] for has in have) for name in MILLIONS_OF}


@given(in_any_space)
def test_no_network_has_less_of_anything_than_the_smallest(
    drawn: tuple[Space, tuple[int, ...]],
) -> None:
    space, choices = drawn
    has, smallest = (quantities(space.resolve(c)) for c in (choices, space.smallest))
    assert all(smallest[name] <= has[name] for name in MILLIONS_OF)


def test_the_share_within_falls_with_the_limit() -> None:
    space = mnasnet_space()
    shares = [share_within(space, {"multiply_adds": m * 10**6}) for m in (300, 500, 10**4)]
    assert 0 < shares[0] < shares[1] < shares[2] == 1


def test_limits_that_exclude_everything_are_refused_by_the_one_that_binds() -> None:
    limits = {"parameters": 10**6, "multiply_adds": 10**10}
    with pytest.raises(ValueError, match="Allow more") as refused:
        share_within(mnasnet_space(), limits)
    message = str(refused.value)
    assert "no network of mnasnet is within the limits: 1 M parameters are allowed" in message
    assert "multiply-adds" not in message


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("name", MILLIONS_OF)
def test_only_what_the_smallest_network_exceeds_is_refused(space: Space, name: str) -> None:
    least = quantities(space.resolve(space.smallest))[name]
    assert share_within(space, {name: least}) == 0  # of random ones
    with pytest.raises(ValueError, match="the smallest has"):
        share_within(space, {name: least - 1})


@settings(deadline=None)
@given(in_any_space, st.data())
def test_what_is_fitted_is_allowed_and_as_near_as_may_be(
    drawn: tuple[Space, tuple[int, ...]], data: st.DataObject
) -> None:
    """Within limits that just one network is sure to be within, be it the smallest."""
    space, wanted = drawn
    meets = data.draw(st.just(space.smallest) | choices(space))
    limits = quantities(space.resolve(meets))

    def allows(architecture: Architecture) -> bool:
        return not excess(architecture, limits)

    found = fitted(space, wanted, allows)
    assert allows(space.resolve(found))
    assert fitted(space, wanted, allows) == found
    for index, (has, smallest) in enumerate(zip(found, space.smallest, strict=True)):
        nearer = (*found[:index], wanted[index], *found[index + 1 :])
        assert has == wanted[index] or (has == smallest and not allows(space.resolve(nearer)))
    assert fitted(space, found, allows) == found


@pytest.mark.parametrize("name", StrategyName)
def test_under_tight_limits_every_strategy_proposes_what_they_allow(name: StrategyName) -> None:
    """Different networks for all that, and alike when replayed."""
    space = mnasnet_space()
    limits = {
        name: round(1.1 * least)
        for name, least in quantities(space.resolve(space.smallest)).items()
    }

    def play() -> list[list[Architecture]]:
        strategy = make_strategy(name, space, 0, lambda a: not excess(a, limits))
        rounds = []
        for _ in range(2):
            rounds.append(strategy.ask(3))
            strategy.tell([trial(a, true_accuracy(a)) for a in rounds[-1]])
        return rounds

    played = play()
    proposed = [architecture for asked in played for architecture in asked]
    assert not any(excess(architecture, limits) for architecture in proposed)
    assert len(set(proposed)) == len(proposed)
    assert play() == played
