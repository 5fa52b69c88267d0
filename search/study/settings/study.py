"""The settings that make two searches the same study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from latlab.domain.errors import LabError
from search.space.deployment import Deployment
from search.study.settings.accuracy import AccuracySource
from search.study.settings.limits import Limits
from search.study.settings.ppo import PPOSettings
from search.study.settings.reward import Reward, SoftReward
from search.study.settings.surrogate import SurrogateSettings


class StrategyName(str, Enum):
    """The name of a search strategy."""

    PPO = "ppo"
    EVOLUTION = "evolution"
    NSGA2 = "nsga2"
    TPE = "tpe"
    RANDOM = "random"


STRATEGIES_OF_SEVERAL_OBJECTIVES = frozenset({StrategyName.NSGA2})


class StudyError(LabError):
    """A study cannot be made, read or resumed. The message says what to do."""


@dataclass(frozen=True)
class SearchTarget:
    """A Target that networks are searched for.

    Attributes:
        id: Id of the Target.
        latency_ns: Latency that networks should have there, T in the reward.
        weight: Weight of this target in the mean over several targets. Either all targets of a
            study have a weight, or none has one and the worst target counts.

    Raises:
        ValueError: The latency or the weight is not above zero.
    """

    id: str
    latency_ns: int
    weight: float | None = None

    def __post_init__(self) -> None:
        if self.latency_ns <= 0:
            raise ValueError(f"the target latency must be above zero, not {self.latency_ns} ns")
        if self.weight is not None and not self.weight > 0:
            raise ValueError(f"a weight must be above zero, not {self.weight}")


def check_targets(targets: Sequence[SearchTarget]) -> None:
    """Check that targets can be searched for together.

    Raises:
        ValueError: There is none, one is named twice, or some have a weight and others none.
    """
    if not targets:
        raise ValueError("a search needs at least one target")
    if len({target.id for target in targets}) < len(targets):
        raise ValueError("a target is named twice: name each target once")
    weighted = sum(target.weight is not None for target in targets)
    if weighted and len(targets) == 1:
        raise ValueError("a weight has an effect for several targets only: leave it out")
    if weighted not in (0, len(targets)):
        raise ValueError(
            f"give a weight to each of the {len(targets)} targets or to none, not to {weighted}"
        )


@dataclass(frozen=True)
class StudySettings:
    """The settings that make two searches the same study.

    Attributes:
        space: Name of the search space.
        strategy: Strategy that proposes candidates.
        targets: The targets that networks are searched for, one or several.
        accuracy: Where accuracies come from.
        reward: How accuracy and latency become one number.
        deployment: The form in which networks are measured, predicted and counted.
        round_size: Number of candidates for each round.
        seed: Seed of everything that is drawn.
        limits: What a candidate may have at most.
        warm_start: Whose networks come before the first round: "zoo", the name of another study,
            or None.
        ppo: Settings of PPO, whose defaults hold for the other strategies.
        separate_targets: Whether the latency on each target is an objective of its own, for a
            strategy of several objectives and for the front, beside the combined latency. It is
            false for one target.
        surrogate: The use of a surrogate of accuracy, which an older study does not have; None
            for none.

    Raises:
        ValueError: A value is out of its range, or two values contradict each other.
    """

    space: str
    strategy: StrategyName
    targets: tuple[SearchTarget, ...]
    accuracy: AccuracySource
    reward: Reward = field(default_factory=SoftReward)
    deployment: Deployment = field(default_factory=Deployment)
    round_size: int = 20
    seed: int = 0
    limits: Limits = field(default_factory=Limits)
    warm_start: str | None = None
    ppo: PPOSettings = field(default_factory=PPOSettings)
    separate_targets: bool = False
    surrogate: SurrogateSettings | None = None

    def __post_init__(self) -> None:
        check_targets(self.targets)
        if self.separate_targets and len(self.targets) == 1:
            raise ValueError("one target cannot be separated: leave separate_targets out")
        if self.separate_targets and self.strategy not in STRATEGIES_OF_SEVERAL_OBJECTIVES:
            raise ValueError(
                f"the strategy {self.strategy.value} has one objective, so its targets cannot be "
                "separated"
            )
        if self.round_size < 1:
            raise ValueError(f"a round needs at least one architecture, not {self.round_size}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"a seed must be from 0 to 2**32 - 1, not {self.seed}")

    @property
    def target_ids(self) -> list[str]:
        """The ids of the targets, in their order."""
        return [target.id for target in self.targets]

    @property
    def target_ns(self) -> int:
        """The latency wanted on the first target.

        Latencies on several targets are combined into one, which is compared with it.
        """
        return self.targets[0].latency_ns
