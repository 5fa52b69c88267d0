from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from search.report.comparison.groups import Group, group_studies
from search.report.comparison.significance import against_random, in_words
from search.report.drawing.arrays import FloatArray
from search.study.settings import HardReward, PPOSettings, StrategyName
from search.study.study import Study
from tests.search.fakes import settings


def groups(*strategies: str, seeds: int = 5) -> list[Group]:
    return group_studies(
        [
            Study(
                Path(f"{strategy}-{seed}"), settings(strategy=StrategyName(strategy), seed=seed), []
            )
            for strategy in strategies
            for seed in range(seeds)
        ]
    )


def spread(least: float, seeds: int = 5) -> FloatArray:
    return np.array([least + 0.01 * seed for seed in range(seeds)], np.float64)


def test_what_is_above_in_every_seed_is_above_random() -> None:
    compared = groups("random", "ppo")
    [against] = against_random(compared, [spread(0.1), spread(0.5)])
    assert against.group is compared[1]
    assert against.random is compared[0]
    assert against.share_above == 1
    assert against.p == pytest.approx(2 / 252)
    said = in_words([against], 96)
    assert "at 96 samples" in said
    assert "ppo is higher (higher in 100% of the pairs of its 5 and random's 5 seeds" in said


def test_what_is_below_is_said_to_be() -> None:
    tested = against_random(groups("evolution", "random"), [spread(0.1), spread(0.5)])
    assert "evolution is lower" in in_words(tested, 96)


@hypothesis_settings(deadline=None)
@given(st.integers(1, 3), st.floats(0, 1), st.floats(0, 1))
def test_few_seeds_tell_nothing_whatever_they_say(seeds: int, ours: float, theirs: float) -> None:
    compared = groups("random", "ppo", seeds=seeds)
    tested = against_random(compared, [spread(theirs, seeds), spread(ours, seeds)])
    assert f"its {seeds} and random's {seeds} seeds are too few for a test" in in_words(tested, 96)


def test_the_more_is_compared_the_more_is_asked_of_each() -> None:
    compared = groups("random", "ppo", "tpe", "nsga2")
    [alone] = against_random(compared[:2], [spread(0.1), spread(0.5)])
    tested = against_random(compared, [spread(0.1), *[spread(0.5)] * 3])
    assert alone.p is not None
    assert [against.p for against in tested] == pytest.approx([3 * alone.p] * 3)
    assert "p multiplied by the 3 comparisons" in in_words(tested, 96)
    four = groups("random", "ppo", "tpe", seeds=4)
    assert against_random(four[:2], [spread(0.1, 4), spread(0.5, 4)])[0].p is not None
    both = against_random(four, [spread(0.1, 4), *[spread(0.5, 4)] * 2])
    assert [against.p for against in both] == [None, None]


def test_equal_hypervolumes_are_not_told_apart() -> None:
    tested = against_random(groups("random", "ppo"), [np.ones(5), np.ones(5)])
    assert tested[0].share_above == 0.5
    assert tested[0].p == 1
    assert "ppo does not differ significantly" in in_words(tested, 96)


def test_only_what_differs_in_nothing_but_the_strategy_is_held_against_random() -> None:
    studies = [
        Study(Path("random"), settings(strategy=StrategyName.RANDOM), []),
        Study(Path("set"), settings(strategy=StrategyName.PPO, ppo=PPOSettings(epochs=4)), []),
        Study(Path("hard"), settings(strategy=StrategyName.PPO, reward=HardReward()), []),
    ]
    compared = group_studies(studies)
    tested = against_random(compared, [spread(0.1, 1)] * 3)
    assert [against.group.studies[0].directory.name for against in tested] == ["set"]
    assert against_random(compared[1:], [spread(0.1, 1)] * 2) == []
    assert in_words([], 96) == ""
