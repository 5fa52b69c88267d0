"""The sequential test of a ratio, on simulated pairs of visits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from host.measuring.sequential import (
    BATCH,
    ERROR,
    FLOOR_BATCHES,
    SequentialTest,
    Verdict,
)

LIMIT = 1.03
BATCHES = 20
REPETITIONS = 60
# So many of REPETITIONS, and more, are wrong with a probability of 1 in 500 if ERROR is the rate.
MOST_WRONG = 9


def pairs(rng: np.random.Generator, ratio: float, noise: float, mood: float = 0.0) -> list[float]:
    """Return heavy-tailed ratios of pairs, in which a mood that lasts 5 pairs moves the ratio."""
    count = BATCHES * BATCH
    moods = np.repeat(rng.normal(0, mood, -(-count // 5)), 5)[:count]
    logs: NDArray[np.float64] = math.log(ratio) + noise * rng.standard_t(3, count) + moods
    return np.exp(logs).tolist()  # type: ignore[no-any-return]


def decided(ratios: list[float], limit: float = LIMIT) -> tuple[Verdict, SequentialTest]:
    """Look after each batch and stop at a verdict."""
    test = SequentialTest(limit)
    for start in range(0, len(ratios), BATCH):
        test.add(ratios[start : start + BATCH])
        if test.verdict() is not Verdict.UNDECIDED:
            break
    return test.verdict(), test


@pytest.mark.parametrize(("noise", "mood"), [(0.002, 0.0), (0.03, 0.0), (0.03, 0.015)])
def test_at_the_limit_it_seldom_says_either(noise: float, mood: float) -> None:
    rng = np.random.default_rng(1)
    verdicts = [decided(pairs(rng, LIMIT, noise, mood))[0] for _ in range(REPETITIONS)]
    assert verdicts.count(Verdict.SLOWER) < MOST_WRONG
    assert verdicts.count(Verdict.NOT_SLOWER) < MOST_WRONG


def test_repeated_looks_at_a_fixed_interval_would_err_far_more_often() -> None:
    """The contract above can fail: this is what the test is there to avoid."""
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(REPETITIONS):
        logs = np.log(pairs(rng, LIMIT, 0.03)) - math.log(LIMIT)
        looks = range(2 * BATCH, len(logs) + 1, BATCH)
        wrong += any(logs[:n].mean() > 1.64 * logs[:n].std() / math.sqrt(n) for n in looks)
    assert wrong >= MOST_WRONG


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [(1.0, Verdict.NOT_SLOWER), (0.8, Verdict.NOT_SLOWER), (1.06, Verdict.SLOWER)],
)
def test_programs_that_are_off_the_limit_are_decided(ratio: float, verdict: Verdict) -> None:
    rng = np.random.default_rng(2)
    ended = [decided(pairs(rng, ratio, 0.03)) for _ in range(30)]
    assert sum(found is verdict for found, _ in ended) >= 28
    for _, test in ended:
        known = test.estimate()
        assert known.lower <= known.ratio <= known.upper


@settings(max_examples=20)
@given(st.floats(0.5, 2.0), st.floats(0.5, 2.0))
def test_a_verdict_says_on_which_side_the_interval_lies(ratio: float, limit: float) -> None:
    verdict, test = decided(pairs(np.random.default_rng(3), ratio, 0.02), limit)
    known = test.estimate()
    match verdict:
        case Verdict.SLOWER:
            assert known.lower >= limit * (1 - 1e-9)
        case Verdict.NOT_SLOWER:
            assert known.upper <= limit * (1 + 1e-9)
        case _:
            assert known.lower <= limit <= known.upper


def test_the_interval_holds_the_ratio() -> None:
    rng = np.random.default_rng(4)
    outside = 0
    for _ in range(30):
        test = SequentialTest(10.0)
        test.add(pairs(rng, 1.1, 0.03))
        known = test.estimate()
        outside += not known.lower <= 1.1 <= known.upper
    assert outside <= 2 * 2 * ERROR * 30


@settings(max_examples=20)
@given(st.lists(st.floats(0.9, 1.1), max_size=3 * BATCH), st.integers(1, 7))
def test_it_does_not_matter_in_how_many_parts_pairs_come(ratios: list[float], size: int) -> None:
    whole, parts = SequentialTest(LIMIT), SequentialTest(LIMIT)
    whole.add(ratios)
    for start in range(0, len(ratios), size):
        parts.add(ratios[start : start + size])
    assert parts.verdict() is whole.verdict()
    if whole.batches:
        assert parts.estimate() == whole.estimate()


def test_nothing_is_known_at_the_beginning() -> None:
    test = SequentialTest(LIMIT)
    test.add([1.0] * (BATCH - 1))
    known = test.estimate()
    assert test.verdict() is Verdict.UNDECIDED
    assert math.isnan(known.ratio)
    assert (known.lower, known.upper) == (0.0, math.inf)
    assert test.floor(100) == math.inf
    assert not test.is_hopeless(100)


def test_visits_that_always_agree_are_decided_at_once() -> None:
    verdict, test = decided([1.0] * 60 * BATCH)
    assert verdict is Verdict.NOT_SLOWER
    assert test.batches < 8


def test_a_limit_below_the_noise_is_given_up_and_the_floor_could_be_decided() -> None:
    rng = np.random.default_rng(5)
    test = SequentialTest(1.001)
    ratios = pairs(rng, 1.0, 0.05)
    test.add(ratios[: (FLOOR_BATCHES - 1) * BATCH])
    assert not test.is_hopeless(BATCHES)  # it is too early to say
    test.add(ratios[(FLOOR_BATCHES - 1) * BATCH : -BATCH])
    assert test.is_hopeless(BATCHES)
    test.add(ratios[-BATCH:])
    floor = test.floor(BATCHES)
    assert 1.001 < floor < 1.05
    assert test.floor(4 * BATCHES) < floor
    assert decided(ratios, 1 + 2 * (floor - 1))[0] is Verdict.NOT_SLOWER


def test_a_limit_that_can_be_decided_in_time_is_hardly_ever_given_up() -> None:
    rng, batches = np.random.default_rng(9), 3 * BATCHES
    verdicts = []
    for _ in range(REPETITIONS):
        test = SequentialTest(LIMIT)
        while test.verdict() is Verdict.UNDECIDED and not test.is_hopeless(batches):
            test.add(np.exp(rng.normal(0, 0.1, BATCH)).tolist())
        verdicts.append(test.verdict())
    assert verdicts.count(Verdict.NOT_SLOWER) >= 0.85 * REPETITIONS  # 97 % with all the time


def test_a_program_far_beyond_a_limit_below_the_noise_is_found() -> None:
    rng = np.random.default_rng(6)
    verdict, test = decided(pairs(rng, 1.2, 0.05), 1.001)
    assert verdict is Verdict.SLOWER
    assert not test.is_hopeless(BATCHES)


def test_a_large_difference_is_found_whatever_mood_the_machine_is_in() -> None:
    """Ratios that a neighbour changes for minutes at a time are all far beyond the limit."""
    rng = np.random.default_rng(7)
    count = BATCHES * BATCH
    mood = 0.3 * np.sin(np.linspace(0, 6, count))
    ratios = 5 * np.exp(mood + 0.03 * rng.standard_t(3, count))
    verdict, test = decided(ratios.tolist())
    assert verdict is Verdict.SLOWER
    assert test.batches < FLOOR_BATCHES
