from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.study.settings import AbsoluteReward, HardReward, PowerReward, Reward, SoftReward

TARGET_NS = 75_000_000
accuracies = st.floats(0.01, 1)
latencies = st.integers(1, 10**12)
REWARDS: list[Reward] = [SoftReward(), HardReward(), AbsoluteReward(), PowerReward(0.1, -0.5)]


def test_doubling_latency_is_worth_five_percent_of_accuracy() -> None:
    soft = SoftReward().value(0.5, 2 * TARGET_NS, TARGET_NS)
    assert soft == pytest.approx(0.5 * 0.95, rel=0.003)


def test_the_paper_s_a1_on_pixel_1() -> None:
    # 0.752 · (78/75)^-0.07
    soft = SoftReward().value(0.752, 78_000_000, TARGET_NS)
    assert soft == pytest.approx(0.749938, abs=1e-6)


def test_hard_is_accuracy_alone_within_the_target_and_falls_with_latency_above_it() -> None:
    hard = HardReward()
    assert hard.value(0.7, TARGET_NS // 3, TARGET_NS) == 0.7
    assert hard.value(0.7, TARGET_NS, TARGET_NS) == 0.7
    assert hard.value(0.7, 2 * TARGET_NS, TARGET_NS) == pytest.approx(0.35)


@given(accuracies, latencies, latencies, st.sampled_from([SoftReward(), HardReward()]))
def test_faster_is_never_worse(accuracy: float, one: int, other: int, reward: Reward) -> None:
    faster, slower = sorted((one, other))
    on_faster = reward.value(accuracy, faster, TARGET_NS)
    assert on_faster >= reward.value(accuracy, slower, TARGET_NS)


@given(accuracies, latencies)
def test_soft_and_hard_are_powers(accuracy: float, latency_ns: int) -> None:
    for reward, power in (
        (SoftReward(), PowerReward(-0.07, -0.07)),
        (HardReward(), PowerReward(0.0, -1.0)),
    ):
        value = reward.value(accuracy, latency_ns, TARGET_NS)
        assert value == power.value(accuracy, latency_ns, TARGET_NS)


@given(accuracies, st.floats(0.01, 1))
def test_the_absolute_one_is_highest_at_the_target_and_falls_alike_on_both_sides(
    accuracy: float, distance: float
) -> None:
    def at(ratio: float) -> float:
        return AbsoluteReward().value(accuracy, ratio, 1.0)

    assert at(1) == accuracy
    assert at(1 + distance) == pytest.approx(accuracy - 0.07 * distance)
    assert distance == 1 or at(1 - distance) == pytest.approx(at(1 + distance))


def test_an_absolute_reward_that_rises_with_distance_is_refused() -> None:
    with pytest.raises(ValueError, match="beta below zero"):
        AbsoluteReward(beta=0.0)


@pytest.mark.parametrize("reward", REWARDS)
def test_latencies_of_zero_and_below_are_refused(reward: Reward) -> None:
    for target_ns in (0, -1):
        with pytest.raises(ValueError, match="target latency must be above zero"):
            reward.value(0.5, 1, target_ns)
    with pytest.raises(ValueError, match="a latency must be above zero"):
        reward.value(0.5, 0, TARGET_NS)


def test_rewards_have_names() -> None:
    assert [reward.name for reward in REWARDS] == [
        "soft",
        "hard",
        "absolute",
        "α = 0.1, β = -0.5",
    ]
    assert AbsoluteReward(-0.5).name == "absolute β = -0.5"
