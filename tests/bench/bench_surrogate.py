"""search.surrogate_*: the gain by a surrogate of accuracy at equal numbers of trainings.

The networks are from Accel-NASBench's space, with accuracies and latencies fitted on its table.
Each training has noise, as that of a proxy task has. A search draws its final front by the
accuracies that it knows. What counts is the hypervolume of that front by the true accuracies.

python -m tests.bench.bench_surrogate
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.stats import bootstrap, kendalltau

from search.loop import run_search
from search.space.architecture import Architecture
from search.strategies.strategy import make_strategy
from search.study.front import front
from search.study.settings import (
    LoopSettings,
    StrategyName,
    SurrogateSettings,
)
from search.study.settings.strategy_choice import StrategyChoice, choose_strategy
from search.study.study import open_study
from search.surrogate.screening import screened
from search.surrogate.smoothing import smoothed
from tests.bench.figures import at_least, quick, report
from tests.bench.noisy_table import NoisyTable
from tests.bench.public_data import public_data
from tests.bench.table_lab import SPACE, TableLab, table_settings

FloatArray = NDArray[np.float64]

ROUND_SIZE = 16
SEEDS = range(2_000, 2_000 + quick(20, least=4))  # the surrogate was tuned on seeds from 1,000
# Numbers of samples, and strategies; None stands for the default.
SEARCHES = (
    (64, None),
    (128, None),
    (304, None),
    (304, StrategyName.EVOLUTION),
    (304, StrategyName.PPO),
)
# Standard deviation of the noise, as a share of that of the table's accuracies. A training then
# ranks random networks with a Kendall's τ of about 0.81.
NOISE_SHARE = 0.28


def main() -> None:
    path = public_data("anb_dev.csv")
    if path is None:
        return
    lab = TableLab.of(path)
    for samples, strategy in SEARCHES:
        rounds = samples // ROUND_SIZE
        choice = choose_strategy(strategy, ROUND_SIZE, rounds=rounds, targets=1)
        found = Parallel(n_jobs=os.cpu_count())(
            delayed(volume_and_trainings)(lab, choice, samples, seed, uses_surrogate)
            for uses_surrogate in (False, True)
            for seed in SEEDS
        )
        before, after = np.split(np.array(found), 2)
        report_gain(choice.strategy, samples, before, after, noise_kendall(lab))


def report_gain(
    strategy: StrategyName,
    samples: int,
    before: FloatArray,
    after: FloatArray,
    kendall: float,
) -> None:
    """Report the mean gain in hypervolume over the seeds, and the lower end of its interval.

    Args:
        strategy: The strategy.
        samples: Number of samples of each search.
        before: Hypervolume and number of trainings of each seed's search without a surrogate.
        after: The same with one.
        kendall: Kendall's τ of one training with the truth.
    """
    gains = after[:, 0] / before[:, 0] - 1
    interval = bootstrap((gains,), np.mean, rng=np.random.default_rng(0)).confidence_interval
    conditions = {
        "strategy": strategy.value,
        "samples": samples,
        "seeds": len(gains),
        "wins": int(np.sum(gains > 0)),
        "hypervolume": [round(float(each[:, 0].mean()), 4) for each in (before, after)],
        "trainings": [round(float(each[:, 1].mean()), 1) for each in (before, after)],
        "noise_kendall": round(kendall, 3),
    }
    report("search.surrogate_gain", round(float(gains.mean()), 4), "share", None, **conditions)
    lower = round(float(interval.low), 4)
    report("search.surrogate_gain_lower95", lower, "share", at_least(0), **conditions)


def volume_and_trainings(
    lab: TableLab, choice: StrategyChoice, samples: int, seed: int, uses_surrogate: bool
) -> tuple[float, int]:
    """Return the hypervolume, by true accuracies, of a search's front, and its trainings.

    A strategy may propose a network twice, which is trained only once.
    """
    torch.set_num_threads(1)  # in each of the processes
    settings = table_settings(
        choice.strategy,
        lab.target_ns,
        round_size=choice.round_size,
        seed=seed,
        surrogate=SurrogateSettings() if uses_surrogate else None,
    )
    strategy = make_strategy(choice.strategy, SPACE, seed)
    with tempfile.TemporaryDirectory() as directory, open_study(Path(directory), settings) as study:
        run_search(
            study,
            screened(strategy, study, SPACE, lab.predict),
            NoisyTable(lab, seed, NOISE_SHARE),
            lab,
            LoopSettings(rounds=samples // choice.round_size, max_measured_share=0),
            on_progress=lambda progress: None,
            on_note=lambda note: None,
        )
        latest = study.latest()
        chosen = front((latest | smoothed(latest, {}, settings)).values())
    latencies_ns = [trial.latency.latency_ns for trial in chosen if trial.latency is not None]
    true = true_accuracies(lab, [trial.architecture for trial in chosen])
    return lab.hypervolume(true.tolist(), latencies_ns), len(latest)


def true_accuracies(lab: TableLab, architectures: Sequence[Architecture]) -> FloatArray:
    return np.array(lab.accuracy.evaluate(architectures, lambda done: None), dtype=np.float64)


def noise_kendall(lab: TableLab) -> float:
    """Return Kendall's τ between one noisy training of each of the table's networks and truth."""
    true = np.array(lab.accuracies)
    noise = np.random.default_rng(0).normal(scale=NOISE_SHARE * true.std(), size=len(true))
    return float(kendalltau(true, true + noise).statistic)


if __name__ == "__main__":
    main()
