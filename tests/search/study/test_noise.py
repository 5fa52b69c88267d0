from __future__ import annotations

import math
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.space.zoo import ZOO
from search.study.noise import AccuracyNoise, accuracy_noise, evaluations, within_noise
from search.study.trial import Trial
from tests.search.fakes import estimate, trial

NETWORKS = list(ZOO.values())


def evaluated(*accuracies: float) -> Trial:
    made = trial(NETWORKS[0], fmean(accuracies))
    return replace(made, accuracies=accuracies if len(accuracies) > 1 else ())


def test_the_noise_is_pooled_over_the_repeats_alone() -> None:
    noise = accuracy_noise([evaluated(0.9, 0.45, 0.55), evaluated(0.1, 0.1, 0.2, 0.3)])
    assert noise is not None
    assert noise.degrees == 3
    squares = 2 * (0.05 / 0.25) ** 2 + 2 * (0.1 / 0.16) ** 2
    assert noise.log_odds == pytest.approx(math.sqrt(squares / 3))


@pytest.mark.parametrize("trials", [[], [evaluated(0.5)], [evaluated(0.5, 0.6)]])
def test_it_is_not_known_before_two_repeats_of_one_network(trials: list[Trial]) -> None:
    assert accuracy_noise(trials) is None


def test_accuracies_near_the_ends_vary_less() -> None:
    noise = AccuracyNoise(0.4, degrees=10)
    assert noise.deviation(0.5) == 0.1
    assert [noise.deviation(p) for p in (0.1, 0.9)] == pytest.approx([0.036, 0.036])
    assert noise.deviation(1.0) == pytest.approx(noise.deviation(0.0))
    assert noise.deviation(0.0) > 0
    perfect = accuracy_noise([evaluated(1.0, 1.0, 1.0)])
    assert perfect is not None
    assert perfect.log_odds == 0


def test_it_does_not_grow_by_choosing_the_luckiest() -> None:
    """Of many networks of one accuracy, those with the best first evaluation are repeated."""
    rng = np.random.default_rng(0)
    deviations = []
    for _ in range(200):
        best = sorted(rng.normal(0.5, 0.01, 64))[-8:]
        noise = accuracy_noise([evaluated(first, *rng.normal(0.5, 0.01, 2)) for first in best])
        assert noise is not None
        deviations.append(noise.deviation(0.5) ** 2)
    assert math.sqrt(fmean(deviations)) == pytest.approx(0.01, rel=0.05)


def test_the_standard_error_falls_with_the_evaluations() -> None:
    noise = AccuracyNoise(0.08, degrees=10)
    assert noise.standard_error(evaluated(0.5)) == 0.02
    assert noise.standard_error(evaluated(*[0.5] * 4)) == 0.01
    assert evaluations(evaluated(0.5)) == 1
    assert noise.half_width(evaluated(0.5)) == pytest.approx(1.812 * 0.02, rel=1e-3)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_difference_is_explained_in_both_directions_alike(one: float, other: float) -> None:
    noise = AccuracyNoise(0.4, degrees=4)
    pair = evaluated(one, one), evaluated(other)
    assert noise.explains(one - other, *pair) == noise.explains(other - one, *reversed(pair))
    assert noise.explains(0.0, *pair)


def test_a_difference_is_explained_up_to_its_interval() -> None:
    noise = AccuracyNoise(0.4, degrees=4)
    pair = evaluated(0.5, 0.5), evaluated(0.5)
    half_width = 2.132 * 0.1 * math.sqrt(1.5)
    assert noise.explains(half_width - 0.001, *pair)
    assert not noise.explains(half_width + 0.001, *pair)


def at(accuracy: float, *latencies_ns: int) -> Trial:
    """Return a trial with a latency on each of some targets of equal target latencies."""
    parts = tuple(map(estimate, latencies_ns))
    combined = replace(estimate(max(latencies_ns)), parts=parts if len(parts) > 1 else ())
    return replace(evaluated(accuracy), latency=combined)


def test_differences_within_noise_are_found_along_a_front() -> None:
    front = [at(0.5, 1_000), at(0.6, 2_000), at(0.605, 3_000)]
    assert within_noise(front, AccuracyNoise(0.04, degrees=100)) == [False, False, True]
    assert within_noise(front, AccuracyNoise(0.4, degrees=100)) == [False, True, True]
    assert within_noise(front, None) == [False] * 3
    assert within_noise([], AccuracyNoise(0.4, degrees=100)) == []


def test_on_separate_targets_a_faster_network_is_faster_on_each() -> None:
    front = [at(0.6, 1_000, 2_000), at(0.6, 2_000, 1_000), at(0.605, 2_000, 2_500)]
    noise = AccuracyNoise(0.04, degrees=100)
    assert within_noise(front, noise, separate_targets=True) == [False, False, True]
    assert within_noise(front[1:], noise, separate_targets=True) == [False, True]
    assert within_noise([front[0], at(0.605, 900, 2_500)], noise, separate_targets=True) == [
        False,
        False,
    ]
