"""What a study was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from latlab.domain.errors import LabError
from search.study.combined_latency import Combination
from search.study.reward import SOFT


class StrategyName(str, Enum):
    PPO = "ppo"
    EVOLUTION = "evolution"
    NSGA2 = "nsga2"
    TPE = "tpe"
    RANDOM = "random"


class StudyError(LabError):
    """A study that cannot be made, read or resumed; the message says what to do."""


@dataclass(frozen=True)
class StudySettings:
    """What makes two searches the same study.

    target_id, target_ns: the Target that latencies are of, and the T of the reward.
    alpha, beta, absolute: of the reward, as `search.study.reward.reward` takes them.
    accuracy: the dataset and the budget of the proxy task, flat and of JSON's own types.
    limits: what a candidate may have at most, as `search.space.limits` takes them.
    warm_start: whose networks came before the first round: "zoo", another study's name, or
    None.
    more_target_ids, more_targets_ns: those beside the first; `weights` of all targets, none
    where the worst counts (see `Combination`).
    ppo: those of its settings that are not the defaults.

    Raises ValueError on what makes no sense.
    """

    space: str
    strategy: str
    target_id: str
    target_ns: int
    accuracy: dict[str, Any]
    alpha: float = SOFT[0]
    beta: float = SOFT[1]
    round_size: int = 20
    seed: int = 0
    absolute: bool = False
    limits: dict[str, int] = field(default_factory=dict)
    warm_start: str | None = None
    more_target_ids: list[str] = field(default_factory=list)
    more_targets_ns: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    ppo: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.more_target_ids) != len(self.more_targets_ns):
            raise ValueError(
                f"give a target latency for each of the {1 + len(self.more_target_ids)} targets, "
                f"in their order: there are {1 + len(self.more_targets_ns)}"
            )
        if len(set(self.target_ids())) < len(self.target_ids()):
            raise ValueError("name each target once")
        if self.weights and not self.more_target_ids:
            raise ValueError("--weight tells several targets apart: leave it out for one")
        self.combination()
        if self.round_size < 1:
            raise ValueError(f"a round needs at least one architecture, not {self.round_size}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"a seed is from 0 to 2**32 - 1, not {self.seed}")

    def target_ids(self) -> list[str]:
        return [self.target_id, *self.more_target_ids]

    def combination(self) -> Combination:
        """Of the latencies on all targets."""
        return Combination((self.target_ns, *self.more_targets_ns), tuple(self.weights))
