from __future__ import annotations

from search.space.architecture import Architecture
from search.strategies.evolution import POPULATION, Evolution
from search.study.trial import Trial
from tests.search.fakes import small_space

SPACE = small_space()


def big_kernels(architecture: Architecture) -> float:
    return sum(block.kernel_size == 5 for block in architecture.blocks) / len(architecture.blocks)


def tell(evolution: Evolution, architectures: list[Architecture]) -> None:
    rewards = map(big_kernels, architectures)
    evolution.tell([Trial(a, 0, r, None, r) for a, r in zip(architectures, rewards, strict=True)])


def test_what_is_rewarded_takes_over() -> None:
    evolution = Evolution(SPACE, seed=0)
    rewards = []
    for _ in range(20):
        architectures = evolution.ask(20)
        tell(evolution, architectures)
        rewards.append(sum(map(big_kernels, architectures)) / 20)
    assert sum(rewards[:5]) / 5 < 0.65
    assert sum(rewards[-5:]) / 5 > 0.8


def test_a_child_is_another_network_than_its_parent() -> None:
    """All of one network's children, for it fills the population."""
    evolution = Evolution(SPACE, seed=0)
    parent = SPACE.sample(evolution._rng)
    evolution._asked = [parent] * POPULATION
    evolution.tell([Trial(SPACE.resolve(parent), 0, 0.5, None, 0.5)] * POPULATION)
    for choices in (evolution._child() for _ in range(200)):
        assert sum(a != b for a, b in zip(choices, parent, strict=True)) == 1


def test_what_it_learns_of_may_be_a_parent_and_is_the_first_to_go() -> None:
    evolution = Evolution(SPACE, seed=0)
    learned = SPACE.resolve(SPACE.sample(evolution._rng))
    evolution.learn([Trial(learned, 0, 9.0, None, 9.0), Trial(learned, 0, None, None, None)])
    tell(evolution, evolution.ask(POPULATION - 1))
    assert evolution._population[0] == (9.0, SPACE.spell(learned))
    assert len(evolution._population) == POPULATION
    tell(evolution, evolution.ask(1))
    assert 9.0 not in [reward for reward, _ in evolution._population]


def test_what_is_adopted_enters_the_population() -> None:
    evolution = Evolution(SPACE, seed=0)
    evolution.ask(1)
    adopted = Evolution(SPACE, seed=1).ask(1)
    evolution.adopt(adopted)
    tell(evolution, adopted)
    assert evolution._population[-1] == (big_kernels(adopted[0]), SPACE.spell(adopted[0]))


def test_the_population_holds_the_youngest_that_have_a_reward() -> None:
    evolution = Evolution(SPACE, seed=0)
    tell(evolution, evolution.ask(POPULATION))
    failed = evolution.ask(1)
    evolution.tell([Trial(failed[0], 0, None, None, None, failure="it failed")])
    assert len(evolution._population) == POPULATION
    before = evolution._population[0]
    tell(evolution, evolution.ask(POPULATION))
    assert len(evolution._population) == POPULATION
    assert evolution._population[0] is not before
