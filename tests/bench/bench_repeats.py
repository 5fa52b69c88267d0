"""search.accuracy_noise, search.repeats_*: how noisy the proxy task is, and what repeats are worth.

python -m tests.bench.bench_repeats

The noise is that of real trainings. What repeats are worth is simulated on Accel-NASBench's table,
whose accuracies get noise. A search without repeats is compared with one that makes them beside as
many candidates, and with one that makes them in place of candidates.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import t as student_t

from search.accuracy.accuracy import Repeat
from search.accuracy.proxy import ProxyAccuracy
from search.accuracy.sources import open_source
from search.loop import run_search
from search.space.space import mnasnet_space
from search.strategies.strategy import make_strategy
from search.study.front import front
from search.study.noise import AccuracyNoise, accuracy_noise
from search.study.settings import (
    LoopSettings,
    StrategyName,
    TrainingSource,
)
from search.study.study import open_study
from search.study.trial import Trial
from tests.bench.figures import quick, report
from tests.bench.noisy_table import NoisyTable
from tests.bench.public_data import public_data
from tests.bench.table_lab import SPACE, TableLab, table_settings

NETWORKS = 12  # that are really trained
REPEATS = 4  # of each
# Standard deviation of the simulated noise, as a share of that of the table's accuracies. That of
# the proxy task on digits was about half the spread of random networks.
NOISE_SHARE = 0.5
SEEDS = 20
STRATEGY = StrategyName.NSGA2
ROUND_SIZE = 13
REPEAT_SHARE = LoopSettings().repeat_share
# Rounds without repeats; beside as many candidates; and in place of some, with as many trainings.
WITHOUT, BESIDE, IN_PLACE = (5, 0.0), (5, REPEAT_SHARE), (4, REPEAT_SHARE)


def main() -> None:
    real_noise()
    path = public_data("anb_dev.csv")
    if path is not None:
        simulated_gain(TableLab.of(path))


def real_noise() -> None:
    """Train random networks several times, as a search with its defaults would."""
    space, rng = mnasnet_space(), np.random.default_rng(0)
    networks = [space.resolve(space.sample(rng)) for _ in range(quick(NETWORKS, least=2))]
    with tempfile.TemporaryDirectory() as folder:
        source = open_source(TrainingSource("auto"), space, Path(folder))
        assert isinstance(source.accuracy, ProxyAccuracy)
        repeats = [Repeat(network, number) for network in networks for number in range(REPEATS)]
        outcomes = source.accuracy.evaluate_again(repeats)
    accuracies = [outcome for outcome in outcomes if isinstance(outcome, float)]
    assert len(accuracies) == len(repeats), "a training has failed"
    of_each = np.array(accuracies).reshape(len(networks), REPEATS)
    noise = float(np.sqrt(of_each.var(axis=1, ddof=1).mean()))
    # The means differ by their noise, too.
    spread = float(np.sqrt(max(0.0, of_each.mean(axis=1).var(ddof=1) - noise**2 / REPEATS)))
    slopes = (of_each * (1 - of_each)).mean(axis=1)
    report(
        "search.accuracy_noise",
        round(noise, 4),
        "standard deviation of one training",
        None,
        spread_of_networks=round(spread, 4),
        share_of_spread=round(noise / spread, 3) if spread else None,
        deviation_of_log_odds_of_each=(of_each.std(axis=1, ddof=1) / slopes).round(2).tolist(),
        each=[[round(a, 4) for a in row] for row in of_each.tolist()],
        dataset=source.settings.description,
    )


@dataclass(frozen=True)
class Outcome:
    """What a search's final front is really worth.

    Attributes:
        hypervolume: Hypervolume of the true accuracies on the front.
        excess: By how much its accuracies are too high in the mean.
        covered: Share of the true accuracies within their interval; None if it is not known.
    """

    hypervolume: float
    excess: float
    covered: float | None


def simulated_gain(lab: TableLab) -> None:
    without, beside, in_place = (
        [outcome(lab, seed, *rounds_and_share) for seed in range(quick(SEEDS, least=4))]
        for rounds_and_share in (WITHOUT, BESIDE, IN_PLACE)
    )
    conditions = {"strategy": STRATEGY.value, "seeds": len(without), "noise_share": NOISE_SHARE}
    for name, outcomes in (("beside", beside), ("in_place", in_place)):
        gains = [
            after.hypervolume / before.hypervolume - 1
            for before, after in zip(without, outcomes, strict=True)
        ]
        report(
            f"search.repeats_{name}_gain",
            round(statistics.fmean(gains), 4),
            "of the front's true hypervolume",
            None,
            interval_90=interval(gains),
            **conditions,
        )
    report(
        "search.repeats_excess",
        round(statistics.fmean(each.excess for each in beside), 4),
        "by which accuracies on the front are too high",
        None,
        without=round(statistics.fmean(each.excess for each in without), 4),
        **conditions,
    )
    report(
        "search.repeats_coverage",
        round(statistics.fmean(each.covered for each in beside if each.covered is not None), 3),
        "of the true accuracies on the front within their 90 % intervals",
        None,
        **conditions,
    )


def outcome(lab: TableLab, seed: int, rounds: int, share: float) -> Outcome:
    settings = table_settings(STRATEGY, lab.target_ns, round_size=ROUND_SIZE, seed=seed)
    with (
        tempfile.TemporaryDirectory() as directory,
        open_study(Path(directory), settings) as study,
    ):
        run_search(
            study,
            make_strategy(STRATEGY, SPACE, seed),
            NoisyTable(lab, seed, NOISE_SHARE),
            lab,
            LoopSettings(rounds, max_measured_share=0, repeat_share=share),
            on_progress=lambda progress: None,
            on_note=lambda note: None,
        )
        latest = list(study.latest().values())
    return judged(lab, front(latest), accuracy_noise(latest))


def judged(lab: TableLab, trials: Sequence[Trial], noise: AccuracyNoise | None) -> Outcome:
    true = lab.accuracy.evaluate([trial.architecture for trial in trials], lambda done: None)
    known = [each for each in true if isinstance(each, float)]
    latencies_ns = [trial.latency.latency_ns for trial in trials if trial.latency is not None]
    excess = [(trial.accuracy or 0.0) - each for trial, each in zip(trials, known, strict=True)]
    covered = None
    if noise is not None:
        covered = statistics.fmean(
            abs(difference) <= noise.half_width(trial)
            for trial, difference in zip(trials, excess, strict=True)
        )
    return Outcome(lab.hypervolume(known, latencies_ns), statistics.fmean(excess), covered)


def interval(values: Sequence[float]) -> list[float]:
    """Return the 90 % interval of the values' mean."""
    half = (
        float(student_t.ppf(0.95, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    )
    mean = statistics.fmean(values)
    return [round(mean - half, 4), round(mean + half, 4)]


if __name__ == "__main__":
    main()
