"""The rewards: one number from an accuracy and a latency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

SOFT_EXPONENT = -0.07  # doubling the latency costs about 5 % of the accuracy
HARD_EXPONENT = -1.0
ABSOLUTE_BETA = -0.07  # the slope of the soft reward at the target, for an accuracy of 1


@dataclass(frozen=True)
class SoftReward:
    """MnasNet's soft reward, ACC · (LAT / T)^-0.07 (Tan et al., arXiv 1807.11626, equation 2)."""

    kind: ClassVar = "soft"
    name: ClassVar = "soft"

    def value(self, accuracy: float, latency_ns: float, target_ns: float) -> float:
        """Return the reward of an accuracy from 0 to 1 at a latency.

        Raises:
            ValueError: A latency is not above zero.
        """
        return _power(accuracy, _ratio(latency_ns, target_ns), SOFT_EXPONENT, SOFT_EXPONENT)


@dataclass(frozen=True)
class HardReward:
    """MnasNet's hard reward: ACC within the target, and ACC · (LAT / T)^-1 above it."""

    kind: ClassVar = "hard"
    name: ClassVar = "hard"

    def value(self, accuracy: float, latency_ns: float, target_ns: float) -> float:
        """Return the reward of an accuracy from 0 to 1 at a latency.

        Raises:
            ValueError: A latency is not above zero.
        """
        return _power(accuracy, _ratio(latency_ns, target_ns), 0.0, HARD_EXPONENT)


@dataclass(frozen=True)
class AbsoluteReward:
    """TuNAS's reward, ACC + beta · |LAT / T - 1| (Bender et al., arXiv 2008.06120).

    It draws the search to the target latency from both sides.

    Attributes:
        beta: The slope, below zero.
    """

    kind: ClassVar = "absolute"
    beta: float = ABSOLUTE_BETA

    def __post_init__(self) -> None:
        if not self.beta < 0:
            raise ValueError(f"the absolute reward needs a beta below zero, not {self.beta}")

    @property
    def name(self) -> str:
        """The name that reports give the reward."""
        return "absolute" if self == AbsoluteReward() else f"absolute β = {self.beta:g}"

    def value(self, accuracy: float, latency_ns: float, target_ns: float) -> float:
        """Return the reward of an accuracy from 0 to 1 at a latency.

        Raises:
            ValueError: A latency is not above zero.
        """
        return float(accuracy + self.beta * abs(_ratio(latency_ns, target_ns) - 1))


@dataclass(frozen=True)
class PowerReward:
    """The general form of the soft and the hard reward, ACC · (LAT / T)^w.

    Attributes:
        alpha: The exponent w within the target latency.
        beta: The exponent w above the target latency.
    """

    kind: ClassVar = "power"
    alpha: float
    beta: float

    @property
    def name(self) -> str:
        """The name that reports give the reward."""
        return f"α = {self.alpha:g}, β = {self.beta:g}"

    def value(self, accuracy: float, latency_ns: float, target_ns: float) -> float:
        """Return the reward of an accuracy from 0 to 1 at a latency.

        Raises:
            ValueError: A latency is not above zero.
        """
        return _power(accuracy, _ratio(latency_ns, target_ns), self.alpha, self.beta)


Reward = SoftReward | HardReward | AbsoluteReward | PowerReward


def _power(accuracy: float, ratio: float, alpha: float, beta: float) -> float:
    return float(accuracy * ratio ** (alpha if ratio <= 1 else beta))


def _ratio(latency_ns: float, target_ns: float) -> float:
    if target_ns <= 0:
        raise ValueError(f"the target latency must be above zero, not {target_ns} ns")
    if latency_ns <= 0:
        raise ValueError(f"a latency must be above zero, not {latency_ns} ns")
    return latency_ns / target_ns
