from __future__ import annotations

import pytest

from search.study.settings import StrategyName, choose_strategy, recorded_choice
from tests.search.fakes import settings

PPO, NSGA2, TPE = StrategyName.PPO, StrategyName.NSGA2, StrategyName.TPE


@pytest.mark.parametrize(
    ("rounds", "round_size", "strategy", "proposed"),
    [
        (4, None, TPE, 16),
        (8, None, TPE, 16),
        (9, None, NSGA2, 16),
        (31, None, NSGA2, 16),
        (32, None, PPO, 20),
        (400, None, PPO, 20),
        (4, 100, NSGA2, 100),
        (5, 100, PPO, 100),
    ],
)
def test_the_default_depends_on_the_number_of_samples(
    rounds: int, round_size: int | None, strategy: StrategyName, proposed: int
) -> None:
    choice = choose_strategy(None, round_size, rounds=rounds, targets=1)
    assert (choice.strategy, choice.round_size) == (strategy, proposed)
    assert not choice.separate_targets


def test_the_papers_strategy_has_its_round_size() -> None:
    assert choose_strategy(PPO, None, rounds=4, targets=1).round_size == 20
    assert choose_strategy(PPO, 16, rounds=4, targets=1).round_size == 16
    assert choose_strategy(TPE, None, rounds=4, targets=1).round_size == 16


def test_few_samples_on_several_targets_are_searched_for_the_front_of_all() -> None:
    choice = choose_strategy(None, None, rounds=4, targets=2)
    assert (choice.strategy, choice.separate_targets) == (NSGA2, True)


def test_only_a_strategy_of_several_objectives_separates_targets() -> None:
    choices = {name: choose_strategy(name, None, rounds=4, targets=2) for name in StrategyName}
    assert {name for name, choice in choices.items() if choice.separate_targets} == {NSGA2}
    assert not choose_strategy(NSGA2, None, rounds=4, targets=1).separate_targets


def test_a_study_keeps_what_is_not_given() -> None:
    made_with = settings(strategy=TPE, round_size=6)
    kept = recorded_choice(made_with, None, None)
    assert (kept.strategy, kept.round_size) == (TPE, 6)
    given = recorded_choice(made_with, PPO, 20)  # which the study will refuse
    assert (given.strategy, given.round_size) == (PPO, 20)
