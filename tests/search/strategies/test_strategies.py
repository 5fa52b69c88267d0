from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.space.architecture import Architecture
from search.space.zoo import ZOO
from search.strategies.strategy import Strategy, make_strategy
from search.study.combined_latency import Combination
from search.study.settings import SearchTarget, StrategyName
from search.study.trial import Trial
from tests.search.fakes import estimate, small_space, true_accuracy, true_latency_ns

SPACE = small_space()


def judge(architecture: Architecture, fails: bool) -> Trial:
    if fails:
        return Trial(architecture, 0, None, None, None, failure="it failed")
    accuracy = true_accuracy(architecture)
    return Trial(architecture, 0, accuracy, estimate(true_latency_ns(architecture)), accuracy)


def play(strategy: Strategy, rounds: list[list[bool]]) -> list[list[Trial]]:
    """One round for each list; its entries say which trials fail."""
    played = []
    for fails in rounds:
        architectures = strategy.ask(len(fails))
        trials = [judge(a, f) for a, f in zip(architectures, fails, strict=True)]
        strategy.tell(trials)
        played.append(trials)
    return played


@pytest.mark.parametrize("name", StrategyName)
@settings(max_examples=8, deadline=None)
@given(
    rounds=st.lists(st.lists(st.booleans(), min_size=1, max_size=7), max_size=6),
    seed=st.integers(0, 2**32 - 1),
)
def test_replayed_rounds_bring_back_the_very_state(
    name: StrategyName, rounds: list[list[bool]], seed: int
) -> None:
    strategy = make_strategy(name, SPACE, seed)
    played = play(strategy, rounds)
    again = make_strategy(name, SPACE, seed)
    for trials in played:
        assert again.ask(len(trials)) == [trial.architecture for trial in trials]
        again.tell(trials)
    assert again.ask(5) == strategy.ask(5)


@pytest.mark.parametrize("name", StrategyName)
def test_what_was_learned_before_the_first_round_is_replayed_as_well(name: StrategyName) -> None:
    rng = random.Random(0)
    learned = [judge(SPACE.resolve(SPACE.sample(rng)), fails) for fails in [False] * 9 + [True]]
    rounds = [[False] * 6, [True, False] * 3]

    def learned_and_played() -> tuple[list[list[Trial]], list[Architecture]]:
        strategy = make_strategy(name, SPACE, seed=0)
        strategy.learn(learned)
        return play(strategy, rounds), strategy.ask(5)

    assert learned_and_played() == learned_and_played()


@pytest.mark.parametrize("name", StrategyName)
def test_what_is_not_allowed_is_not_proposed_and_replayed_alike(name: StrategyName) -> None:
    def allows(architecture: Architecture) -> bool:  # an eighth of all spellings
        without_expansion = all(block.op == "conv" for block in architecture.blocks)
        return without_expansion and true_accuracy(architecture) < 0.5

    strategy = make_strategy(name, SPACE, 0, allows)
    played = play(strategy, [[False] * 9, [True] + [False] * 8, [False] * 9])
    assert all(allows(trial.architecture) for trials in played for trial in trials)
    again = make_strategy(name, SPACE, 0, allows)
    for trials in played:
        assert again.ask(9) == [trial.architecture for trial in trials]
        again.tell(trials)


@pytest.mark.parametrize("name", StrategyName)
def test_where_nothing_is_allowed_asking_ends(name: StrategyName) -> None:
    strategy = make_strategy(name, SPACE, 0, lambda architecture: False)
    assert len(play(strategy, [[True] * 2])[0]) == 2


@pytest.mark.parametrize("name", StrategyName)
def test_proposals_lie_in_the_space_and_differ_by_seed(name: StrategyName) -> None:
    first, other = (make_strategy(name, SPACE, seed).ask(20) for seed in (0, 1))
    assert all(SPACE.spell(architecture) for architecture in first)
    assert len(first) == 20
    assert first != other


@pytest.mark.parametrize("name", [StrategyName.NSGA2, StrategyName.TPE])
def test_what_was_told_steers_the_proposals(name: StrategyName) -> None:
    """Where only big kernels are accurate and all are as fast, they take over."""
    strategy = make_strategy(name, SPACE, seed=0)
    shares = []
    for _ in range(8):
        architectures = strategy.ask(20)
        values = [sum(b.kernel_size == 5 for b in a.blocks) / 2 for a in architectures]
        shares.append(sum(values) / 20)
        strategy.tell(
            [
                Trial(a, 0, value, estimate(1000), value)
                for a, value in zip(architectures, values, strict=True)
            ]
        )
    assert shares[-1] > max(0.75, shares[0])


@pytest.mark.parametrize("name", StrategyName)
def test_a_network_without_a_reward_teaches_as_one_without_an_accuracy(
    name: StrategyName,
) -> None:
    def next_after(failed: Trial) -> list[Architecture]:
        strategy = make_strategy(name, SPACE, seed=0)
        for _ in range(4):
            first, *others = strategy.ask(6)
            told = [judge(architecture, fails=False) for architecture in others]
            strategy.tell([replace(failed, architecture=first), *told])
        return strategy.ask(6)

    [network] = make_strategy(name, SPACE, 0).ask(1)
    unmeasurable = Trial(network, 0, 0.99, estimate(1), None, failure="it crashed")
    assert next_after(unmeasurable) == next_after(judge(network, fails=True))


def test_nsga2_keeps_what_is_fast_on_one_of_several_separate_targets() -> None:
    """Big kernels are slow on one target and small ones on the other. So a mix has the best worst
    latency, and networks of only big or only small kernels are as good where each counts."""
    combination = Combination((SearchTarget("a", 1000), SearchTarget("b", 1000)))

    def judged(architecture: Architecture) -> Trial:
        big = sum(block.kernel_size == 5 for block in architecture.blocks)
        parts = [estimate(1000 + 200 * big), estimate(1400 - 200 * big)]
        return Trial(architecture, 0, 0.5, combination.combine(parts), 0.5)

    mixed = {}
    for separate_targets in (0, 2):
        strategy = make_strategy(StrategyName.NSGA2, SPACE, 0, separate_targets=separate_targets)
        for _ in range(6):
            strategy.tell(list(map(judged, strategy.ask(16))))
        kernels = [{block.kernel_size for block in a.blocks} for a in strategy.ask(16)]
        mixed[separate_targets] = kernels.count({3, 5})
    assert mixed[0] >= 12
    assert mixed[2] <= 10


@pytest.mark.parametrize("name", StrategyName)
def test_a_round_that_failed_altogether_does_not_stop_the_search(name: StrategyName) -> None:
    strategy = make_strategy(name, SPACE, seed=0)
    play(strategy, [[True] * 6, [True, False] * 3])
    assert len(strategy.ask(6)) == 6


@pytest.mark.parametrize("name", StrategyName)
@settings(max_examples=8, deadline=None)
@given(replaced=st.lists(st.booleans(), min_size=1, max_size=12), seed=st.integers(0, 99))
def test_what_is_adopted_counts_as_proposed(
    name: StrategyName, replaced: list[bool], seed: int
) -> None:
    rng = random.Random(seed)
    others = [SPACE.resolve(SPACE.sample(rng)) for _ in replaced]

    def asked_next(*, adopts: bool) -> list[Architecture]:
        strategy = make_strategy(name, SPACE, seed)
        architectures = strategy.ask(len(replaced))
        if adopts:
            taken = zip(architectures, others, replaced, strict=True)
            architectures = [other if is_other else own for own, other, is_other in taken]
            strategy.adopt(architectures)
        strategy.tell([judge(architecture, fails=False) for architecture in architectures])
        return strategy.ask(5)

    assert asked_next(adopts=True) == asked_next(adopts=True)
    assert any(replaced) or asked_next(adopts=True) == asked_next(adopts=False)


@pytest.mark.parametrize("name", StrategyName)
def test_a_network_of_another_space_cannot_be_adopted(name: StrategyName) -> None:
    strategy = make_strategy(name, SPACE, 0)
    strategy.ask(1)
    with pytest.raises(ValueError, match="does not lie in the space small"):
        strategy.adopt([ZOO["mobilenet-v2"]])
