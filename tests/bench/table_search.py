"""Searches on Accel-NASBench's table with simulated devices, scored at true latencies."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import bootstrap

from search.accuracy.table import FittedTable, read_table
from search.loop import run_search
from search.strategies.strategy import make_strategy
from search.study.front import front
from search.study.pareto import hypervolume, reference_point
from search.study.settings import (
    LoopSettings,
    StrategyName,
)
from search.study.study import open_study
from search.study.trial import Trial, is_measured
from tests.bench.learning_table_lab import LearningTableLab, TableLatencies
from tests.bench.table_lab import SPACE, table_settings

Points = tuple[list[float], list[int]]  # accuracies and latencies in ns


@dataclass(frozen=True)
class Table:
    """What the table says of any network of its space.

    Attributes:
        accuracy: Accuracies.
        latencies: Latencies, before a device's own part.
        target_ns: The target latency of searches: that of a usual network.
    """

    accuracy: FittedTable
    latencies: TableLatencies
    target_ns: int

    @classmethod
    def of(cls, path: Path) -> Table:
        """Fit the table's accuracies and latencies."""
        accuracy = FittedTable.fit(read_table(path, SPACE, "val_top1"), seed=0)
        latencies = TableLatencies.fit(path)
        rng = np.random.default_rng(0)
        networks = [SPACE.resolve(SPACE.sample(rng)) for _ in range(1_000)]
        return cls(accuracy, latencies, int(np.median(latencies.latencies_ns(networks))))


@dataclass(frozen=True)
class Searched:
    """What a search found, and the device that it was for.

    Attributes:
        lab: The device with its predictor.
        trials: The newest trial of each candidate.
    """

    lab: LearningTableLab
    trials: Sequence[Trial]

    @property
    def measured(self) -> list[Trial]:
        return list(filter(is_measured, self.trials))

    @property
    def measured_front(self) -> list[Trial]:
        return front(self.measured)

    def points(self, trials: Sequence[Trial]) -> Points:
        """Return the accuracies and the true latencies of networks that have an accuracy."""
        accuracies = [trial.accuracy for trial in trials if trial.accuracy is not None]
        return accuracies, self.lab.true_ns([trial.architecture for trial in trials])

    def hypervolume_share(self, named: Sequence[Trial]) -> float:
        """Return the hypervolume of some candidates as a share of that of all of them."""
        everything = self.points(self.trials)
        reference = reference_point(*everything)
        return hypervolume(*self.points(named), *reference) / hypervolume(*everything, *reference)


def search(
    table: Table,
    seed: int,
    loop: LoopSettings,
    *,
    round_size: int,
    strategy: StrategyName = StrategyName.PPO,
    learns: bool = True,
) -> Searched:
    """Calibrate a simulated device and search for it with the product's own loop.

    Args:
        table: The table.
        seed: Seed of the device and of the search.
        loop: How far to search and how much to measure.
        round_size: Number of candidates in a round.
        strategy: What proposes candidates.
        learns: Whether the predictor learns from more than the calibration.
    """
    settings = table_settings(strategy, table.target_ns, round_size=round_size, seed=seed)
    lab = LearningTableLab(table.latencies, seed, learns)
    lab.calibrate()
    with tempfile.TemporaryDirectory() as folder, open_study(Path(folder), settings) as study:
        run_search(
            study,
            make_strategy(strategy, SPACE, seed),
            table.accuracy,
            lab,
            loop,
            on_progress=lambda progress: None,
            on_note=lambda note: None,
        )
        return Searched(lab, list(study.latest().values()))


def mean_with_interval(values: Sequence[float]) -> tuple[float, list[float]]:
    """Return the mean over seeds, and its 95 % bootstrap interval."""
    mean = float(np.mean(values))
    if np.ptp(values) == 0:
        return mean, [mean, mean]
    interval = bootstrap((values,), np.mean, rng=np.random.default_rng(0)).confidence_interval
    return mean, [float(interval.low), float(interval.high)]
