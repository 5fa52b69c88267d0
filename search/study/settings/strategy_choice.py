"""The strategy of a search, and the size of its rounds, where the user leaves them open."""

from __future__ import annotations

from dataclasses import dataclass

from search.study.settings.study import (
    STRATEGIES_OF_SEVERAL_OBJECTIVES,
    StrategyName,
    StudySettings,
)

# On the table of Accel-NASBench, TPE finds the best fronts of 64 samples, it and NSGA-II those of
# 128, and NSGA-II those of 300 and 500. The numbers are in docs/searching.md.
FEW_SAMPLES = 128
MANY_SAMPLES = 500  # PPO is for searches of thousands, as in the MnasNet paper
ROUND_SIZE = 16
PPO_ROUND_SIZE = 20  # the minibatch of the MnasNet paper

# The defaults in words, for the command's help.
STRATEGY_DEFAULT = (
    f"tpe for up to {FEW_SAMPLES} candidates on one target, nsga2 for fewer than {MANY_SAMPLES},"
    " ppo for more"
)
ROUND_SIZE_DEFAULT = f"{ROUND_SIZE}, for ppo {PPO_ROUND_SIZE}"
EVIDENCE = (
    "On a public table the fronts of 64 candidates that tpe finds have 9 % more hypervolume than"
    " random ones, those of 300 that nsga2 finds have 11 % more, and those of ppo 0 % and 1 %."
)


@dataclass(frozen=True)
class StrategyChoice:
    """The strategy that proposes candidates, as the settings of a study record it.

    Attributes:
        strategy: The strategy.
        round_size: Number of candidates for each round.
        separate_targets: Whether the latency on each target is an objective of its own.
    """

    strategy: StrategyName
    round_size: int
    separate_targets: bool


def choose_strategy(
    strategy: StrategyName | None, round_size: int | None, *, rounds: int, targets: int
) -> StrategyChoice:
    """Return the choice for a new study: what was given, and else what suits its size.

    Args:
        strategy: The strategy; None for the best one at this number of samples.
        round_size: Number of candidates for each round; None for the strategy's default.
        rounds: Number of rounds.
        targets: Number of targets.
    """
    if strategy is None:
        strategy = _default(rounds * (round_size or ROUND_SIZE), targets)
    return StrategyChoice(
        strategy,
        round_size or (PPO_ROUND_SIZE if strategy is StrategyName.PPO else ROUND_SIZE),
        targets > 1 and strategy in STRATEGIES_OF_SEVERAL_OBJECTIVES,
    )


def recorded_choice(
    made_with: StudySettings, strategy: StrategyName | None, round_size: int | None
) -> StrategyChoice:
    """Return the choice for a study that exists: its own, but for what was given.

    Args:
        made_with: The study's settings.
        strategy: The strategy that the user names, or None.
        round_size: The number of candidates for each round that the user names, or None.
    """
    return StrategyChoice(
        strategy or made_with.strategy,
        round_size or made_with.round_size,
        made_with.separate_targets,
    )


def _default(samples: int, targets: int) -> StrategyName:
    if samples >= MANY_SAMPLES:
        return StrategyName.PPO
    # On several targets NSGA-II is the default for few samples too, because it alone searches
    # for the front of all targets.
    if samples <= FEW_SAMPLES and targets == 1:
        return StrategyName.TPE
    return StrategyName.NSGA2
