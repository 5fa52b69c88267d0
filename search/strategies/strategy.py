"""What proposes architectures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import optuna
from optuna.samplers import NSGAIISampler, RandomSampler, TPESampler
from optuna.study import StudyDirection

from search.space.architecture import Architecture
from search.space.limits import Allows, everything
from search.space.space import Space
from search.strategies.evolution import Evolution
from search.strategies.optuna_strategy import OptunaStrategy, accuracy_and_latency, reward_alone
from search.strategies.ppo import PPO
from search.study.ppo_settings import PPOSettings
from search.study.settings import StrategyName
from search.study.trial import Trial

MAXIMIZE, MINIMIZE = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Strategy(Protocol):
    """Asked and told in turn. The same seed, asked and told the same, proposes the same, so
    that finished rounds are replayed by asking for them and telling their trials."""

    def learn(self, trials: Sequence[Trial]) -> None:
        """Of networks of its space that it was not asked for, before it is asked for any."""
        ...

    def ask(self, n: int) -> list[Architecture]: ...

    def tell(self, trials: Sequence[Trial]) -> None:
        """The trials of what was last asked for, all of them and in its order."""
        ...


def make_strategy(
    name: StrategyName,
    space: Space,
    seed: int,
    allows: Allows = everything,
    ppo: PPOSettings | None = None,
) -> Strategy:
    """PPO, evolution and TPE climb the reward; NSGA-II takes accuracy and latency as they are.
    What is not allowed is drawn again, and after `MAX_DRAWS` draws fitted to what is."""
    match name:
        case StrategyName.PPO:
            return PPO(space, seed, ppo, allows)
        case StrategyName.EVOLUTION:
            return Evolution(space, seed, allows)
        case StrategyName.NSGA2:
            nsga2 = NSGAIISampler(population_size=16, seed=seed)
            objectives, directions = accuracy_and_latency, [MAXIMIZE, MINIMIZE]
            return OptunaStrategy(space, nsga2, objectives, directions, allows)
        case StrategyName.TPE:
            # The liar keeps the candidates of one round, asked for together, apart.
            tpe = TPESampler(constant_liar=True, seed=seed)
            return OptunaStrategy(space, tpe, reward_alone, [MAXIMIZE], allows)
        case StrategyName.RANDOM:
            return OptunaStrategy(space, RandomSampler(seed), reward_alone, [MAXIMIZE], allows)
