from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.study.reward import ABSOLUTE_BETA, HARD, SOFT, reward

TARGET_NS = 75_000_000
accuracies = st.floats(0.01, 1)
latencies = st.integers(1, 10**12)


def test_doubling_latency_is_worth_five_percent_of_accuracy() -> None:
    assert reward(0.5, 2 * TARGET_NS, TARGET_NS) == pytest.approx(0.5 * 0.95, rel=0.003)


def test_the_paper_s_a1_on_pixel_1() -> None:
    # 0.752 · (78/75)^-0.07
    assert reward(0.752, 78_000_000, TARGET_NS) == pytest.approx(0.749938, abs=1e-6)


def test_hard_is_accuracy_alone_within_the_target_and_falls_with_latency_above_it() -> None:
    assert reward(0.7, TARGET_NS // 3, TARGET_NS, *HARD) == 0.7
    assert reward(0.7, TARGET_NS, TARGET_NS, *HARD) == 0.7
    assert reward(0.7, 2 * TARGET_NS, TARGET_NS, *HARD) == pytest.approx(0.35)


@given(accuracies, latencies, latencies, st.sampled_from([SOFT, HARD]))
def test_faster_is_never_worse(
    accuracy: float, one: int, other: int, exponents: tuple[float, float]
) -> None:
    faster, slower = sorted((one, other))
    assert reward(accuracy, faster, TARGET_NS, *exponents) >= reward(
        accuracy, slower, TARGET_NS, *exponents
    )


@given(accuracies, st.floats(0.01, 1))
def test_the_absolute_one_is_highest_at_the_target_and_falls_alike_on_both_sides(
    accuracy: float, distance: float
) -> None:
    def at(ratio: float) -> float:
        return reward(accuracy, ratio, 1.0, beta=ABSOLUTE_BETA, absolute=True)

    assert at(1) == accuracy
    assert at(1 + distance) == pytest.approx(accuracy - 0.07 * distance)
    assert distance == 1 or at(1 - distance) == pytest.approx(at(1 + distance))


def test_an_absolute_reward_that_rises_with_distance_is_refused() -> None:
    with pytest.raises(ValueError, match="beta below zero"):
        reward(0.5, 1, TARGET_NS, beta=0.0, absolute=True)


@pytest.mark.parametrize("target_ns", [0, -1])
def test_a_target_of_zero_or_below_is_refused(target_ns: int) -> None:
    with pytest.raises(ValueError, match="target latency must be above zero"):
        reward(0.5, 1, target_ns)


def test_a_latency_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="a latency must be above zero"):
        reward(0.5, 0, TARGET_NS)
