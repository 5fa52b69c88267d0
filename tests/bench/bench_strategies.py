"""search.*_wins, search.default64_*: each strategy against random search, seed by seed.

Networks, accuracies and latencies are those of Accel-NASBench's table. A strategy and random
search have equally many samples, and are compared by the hypervolume of these. The defaults were
chosen on seeds from 1,000 on.

python -m tests.bench.bench_strategies
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import t as student_t

from search.space.architecture import Architecture
from search.strategies.strategy import Strategy, make_strategy
from search.study.settings import SoftReward, StrategyChoice, StrategyName, choose_strategy
from search.study.trial import Trial
from tests.bench.figures import IS_QUICK, Goal, at_least, at_most, quick, report
from tests.bench.permutation import p_value
from tests.bench.public_data import public_data
from tests.bench.table_lab import SPACE, TableLab

SEEDS = range(quick(20, least=8))
FEW_SAMPLES, SAMPLES, LONG_SAMPLES = 64, 300, quick(8_000)
ENOUGH_WINS = 19  # of 20 seeds
COMPARED = (StrategyName.PPO, StrategyName.NSGA2, StrategyName.EVOLUTION, StrategyName.TPE)


@dataclass(frozen=True)
class Comparison:
    """A strategy's hypervolumes beside those of random search, one for each seed."""

    choice: StrategyChoice
    samples: int
    volumes: Sequence[float]
    at_random: Sequence[float]

    @property
    def gains(self) -> list[float]:
        return [one - other for one, other in zip(self.volumes, self.at_random, strict=True)]

    @property
    def wins(self) -> int:
        return sum(gain > 0 for gain in self.gains)

    def conditions(self) -> dict[str, object]:
        gains = self.gains
        spread = statistics.stdev(gains) / len(gains) ** 0.5
        half_width = float(student_t.ppf(0.95, len(gains) - 1)) * spread
        mean = statistics.fmean(gains)
        return {
            "strategy": self.choice.strategy.value,
            "samples": self.samples,
            "round_size": self.choice.round_size,
            "seeds": len(gains),
            "p": p_value(gains),
            "gain": round(mean, 5),
            "gain_90": [round(mean - half_width, 5), round(mean + half_width, 5)],
            "hypervolume": round(statistics.fmean(self.volumes), 4),
            "at_random": round(statistics.fmean(self.at_random), 4),
        }


def main() -> None:
    path = public_data("anb_dev.csv")
    if path is None:
        return
    torch.set_num_threads(1)
    lab = TableLab.of(path)
    at_random = random_volumes(lab, (FEW_SAMPLES, SAMPLES, LONG_SAMPLES))

    def compared(choice: StrategyChoice, samples: int) -> Comparison:
        return Comparison(choice, samples, volumes(lab, choice, samples), at_random[samples])

    few = compared(chosen(None, FEW_SAMPLES), FEW_SAMPLES)
    conditions = few.conditions() | {"wins": few.wins}
    unit = "share of the table's ranges"
    gain = round(statistics.fmean(few.gains), 5)
    report("search.default64_gain", gain, unit, Goal(">=", 1e-5), **conditions)
    report("search.default64_p", p_value(few.gains), "p-value", at_most(0.05), **conditions)

    default = chosen(None, SAMPLES).strategy
    for name in COMPARED:
        comparison = compared(chosen(name, SAMPLES), SAMPLES)
        goal = at_least(ENOUGH_WINS) if name is default and not IS_QUICK else None
        report(
            f"search.{name.value}_wins", comparison.wins, "seeds", goal, **comparison.conditions()
        )
    comparison = compared(chosen(StrategyName.PPO, LONG_SAMPLES), LONG_SAMPLES)
    goal = None if IS_QUICK else at_least(ENOUGH_WINS)
    report("search.ppo8000_wins", comparison.wins, "seeds", goal, **comparison.conditions())


def chosen(name: StrategyName | None, samples: int) -> StrategyChoice:
    """Return what `latlab search` would choose for so many samples."""
    rounds = samples // 16
    return choose_strategy(name, None, rounds=rounds, targets=1)


def volumes(lab: TableLab, choice: StrategyChoice, samples: int) -> list[float]:
    """Return the hypervolume of what a strategy samples, for each seed."""
    strategies = [make_strategy(choice.strategy, SPACE, seed) for seed in SEEDS]
    return [hypervolume(lab, trials) for trials in play(lab, strategies, choice, samples)]


def play(
    lab: TableLab, strategies: Sequence[Strategy], choice: StrategyChoice, samples: int
) -> list[list[Trial]]:
    """Return the first trials of strategies, which are asked and told round by round.

    They take turns, because the table answers for many networks at once much faster.
    """
    reward = SoftReward()
    played: list[list[Trial]] = [[] for _ in strategies]
    while len(played[0]) < samples:
        asked = [strategy.ask(choice.round_size) for strategy in strategies]
        found = iter(trials_of(lab, [a for each in asked for a in each], reward))
        for strategy, architectures, trials in zip(strategies, asked, played, strict=True):
            told = [next(found) for _ in architectures]
            strategy.tell(told)
            trials += told
    return [trials[:samples] for trials in played]


def trials_of(
    lab: TableLab, architectures: Sequence[Architecture], reward: SoftReward
) -> list[Trial]:
    """Return a trial of each architecture, in their order."""
    accuracies = lab.accuracy.evaluate(architectures, lambda done: None)
    trials = []
    for architecture, accuracy, latency in zip(
        architectures, accuracies, lab.predict(architectures), strict=True
    ):
        assert isinstance(accuracy, float)
        value = reward.value(accuracy, latency.latency_ns, lab.target_ns)
        trials.append(Trial(architecture, 0, accuracy, latency, value))
    return trials


def random_volumes(lab: TableLab, sample_counts: Sequence[int]) -> dict[int, list[float]]:
    """Return the hypervolumes of random search, for each number of samples and each seed.

    Each decision is drawn uniformly, as by the strategy `random`, whose sampler takes minutes for
    so many.
    """
    by_count: dict[int, list[float]] = {count: [] for count in sample_counts}
    for seed in SEEDS:
        rng = np.random.default_rng([seed, 1])  # evolution draws from `seed` itself
        drawn = [SPACE.resolve(SPACE.sample(rng)) for _ in range(max(sample_counts))]
        trials = trials_of(lab, drawn, SoftReward())
        for count, each in by_count.items():
            each.append(hypervolume(lab, trials[:count]))
    return by_count


def hypervolume(lab: TableLab, trials: Sequence[Trial]) -> float:
    accuracies = [trial.accuracy for trial in trials if trial.accuracy is not None]
    latencies_ns = [trial.latency.latency_ns for trial in trials if trial.latency is not None]
    return lab.hypervolume(accuracies, latencies_ns)


if __name__ == "__main__":
    main()
