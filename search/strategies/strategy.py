"""The interface of strategies, and the strategies by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import optuna
from optuna.samplers import NSGAIISampler, RandomSampler, TPESampler
from optuna.study import StudyDirection

from search.space.architecture import Architecture
from search.space.limits import Allows, everything
from search.space.space import Space
from search.strategies.evolution import Evolution
from search.strategies.optuna_strategy import (
    OptunaStrategy,
    accuracy_and_latencies,
    accuracy_and_latency,
    reward_alone,
)
from search.strategies.ppo import PPO
from search.study.settings import PPOSettings, StrategyName
from search.study.trial import Trial

MAXIMIZE, MINIMIZE = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Strategy(Protocol):
    """A strategy proposes architectures and learns from their trials, in turn.

    A strategy with the same seed that was asked and told the same proposes the same on the same
    machine. So the finished rounds of a study are replayed by asking for them and telling their
    trials. Another machine may round differently, and propose differently: there the strategy
    adopts what the study has recorded.
    """

    def learn(self, trials: Sequence[Trial]) -> None:
        """Learn from trials that the strategy did not propose, before it is asked for any."""
        ...

    def ask(self, n: int) -> list[Architecture]:
        """Propose `n` architectures, which may repeat earlier ones."""
        ...

    def adopt(self, architectures: Sequence[Architecture]) -> None:
        """Take these architectures for the proposals of the last `ask`, which were as many.

        Proposals that are equal stay as they are.

        Raises:
            ValueError: An architecture cannot have been proposed, because it does not lie in the
                strategy's space.
        """
        ...

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from the trials of all architectures last asked for, in the same order."""
        ...

    def statistics(self) -> Mapping[str, float]:
        """Return finite statistics of the last `tell` by name, for people; empty without any."""
        ...


def make_strategy(
    name: StrategyName,
    space: Space,
    seed: int,
    allows: Allows = everything,
    ppo: PPOSettings | None = None,
    separate_targets: int = 0,
) -> Strategy:
    """Make the strategy with this name.

    PPO, evolution and TPE maximize the reward. NSGA-II optimizes accuracy and latency: the
    combined latency, or that on each target. A candidate that is not allowed is drawn again, and
    after `MAX_DRAWS` draws it is made smaller.

    Args:
        name: Name of the strategy.
        space: The search space.
        seed: Seed of everything that the strategy draws.
        allows: Whether an architecture may be proposed.
        ppo: Settings of PPO; None stands for the defaults.
        separate_targets: Number of targets whose latencies are objectives of their own for
            NSGA-II; 0 for the combined latency.
    """
    match name:
        case StrategyName.PPO:
            return PPO(space, seed, ppo, allows)
        case StrategyName.EVOLUTION:
            return Evolution(space, seed, allows)
        case StrategyName.NSGA2:
            nsga2 = NSGAIISampler(population_size=16, seed=seed)
            objectives = accuracy_and_latencies if separate_targets else accuracy_and_latency
            directions = [MAXIMIZE, *[MINIMIZE] * (separate_targets or 1)]
            return OptunaStrategy(space, nsga2, objectives, directions, allows)
        case StrategyName.TPE:
            # The constant liar keeps the candidates of one round apart, which are asked for
            # together.
            tpe = TPESampler(constant_liar=True, seed=seed)
            return OptunaStrategy(space, tpe, reward_alone, [MAXIMIZE], allows)
        case StrategyName.RANDOM:
            return OptunaStrategy(space, RandomSampler(seed), reward_alone, [MAXIMIZE], allows)
