"""What studies knew after each of their rounds, and how it spreads over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from search.report.drawing.arrays import FloatArray
from search.space.architecture import Architecture
from search.study.pareto import hypervolume
from search.study.study import Study
from search.study.trial import Trial, is_measured

WINDOW = 100  # samples that the recent reward is the mean of
QUANTILE = 0.1  # of accuracy, and of latency from above, at which hypervolume begins


class Point(NamedTuple):
    accuracy: float
    latency_ns: float


@dataclass(frozen=True)
class Box:
    """The rectangle that hypervolumes are a share of: from `reference` to what no study
    exceeds, the best accuracy and the best latency, in `ideal`.

    measured: whether measurements alone count. They do where every study has some.
    """

    reference: Point
    ideal: Point
    measured: bool

    @classmethod
    def around(cls, studies: Iterable[Study]) -> Box | None:
        """The reference is the 10th percentile of accuracy and the 90th of latency over all
        their trials; what is worse in either adds nothing. None where no trial has both."""
        trials = [[t for finished in study.rounds for t in finished.trials] for study in studies]
        measured = all(points_of(each, measured=True) for each in trials)
        points = [point for each in trials for point in points_of(each, measured=measured)]
        if not points:
            return None
        accuracy, latency_ns = np.array(points, np.float64).T
        reference = Point(
            float(np.quantile(accuracy, QUANTILE)), float(np.quantile(latency_ns, 1 - QUANTILE))
        )
        return cls(reference, Point(float(accuracy.max()), float(latency_ns.min())), measured)

    def share(self, trials: Iterable[Trial]) -> float:
        """The hypervolume of their front, 0 to 1."""
        points = points_of(trials, measured=self.measured)
        area = hypervolume([self.ideal.accuracy], [self.ideal.latency_ns], *self.reference)
        volume = hypervolume(
            [p.accuracy for p in points], [p.latency_ns for p in points], *self.reference
        )
        return volume / area if area else 0.0


@dataclass(frozen=True, eq=False)
class Curve:
    """At the start of a study and after each of its rounds, parallel arrays.

    samples: what the strategy was asked for, repeats included; measurements: of distinct
    networks; time_s: of searching, pauses between resumptions not counted. hypervolume: as
    `Box.share`. best_reward: of all samples; recent_reward: the mean over the last `WINDOW`.
    Both NaN before there is one.
    """

    samples: FloatArray
    measurements: FloatArray
    time_s: FloatArray
    hypervolume: FloatArray
    best_reward: FloatArray
    recent_reward: FloatArray


def curve(study: Study, box: Box) -> Curve:
    latest: dict[Architecture, Trial] = {}
    rewards: list[float] = []
    rows: list[tuple[float, ...]] = [(0, 0, 0, 0, np.nan, np.nan)]
    samples, time_s = 0, 0.0
    for finished in study.rounds:
        latest |= {trial.architecture: trial for trial in finished.trials}
        time_s += finished.duration_s
        if finished.asked:
            samples += len(finished.trials)
            rewards += [trial.reward for trial in finished.trials if trial.reward is not None]
        rows.append(
            (
                samples,
                sum(map(is_measured, latest.values())),
                time_s,
                box.share(latest.values()),
                max(rewards, default=np.nan),
                float(np.mean(rewards[-WINDOW:])) if rewards else np.nan,
            )
        )
    return Curve(*np.array(rows, np.float64).T)


@dataclass(frozen=True, eq=False)
class Band:
    """Over seeds, at each `x` that one of them has a value at and all reach: the median, the
    least and the greatest."""

    x: FloatArray
    median: FloatArray
    low: FloatArray
    high: FloatArray


def band(xs: Sequence[FloatArray], ys: Sequence[FloatArray]) -> Band | None:
    """Each seed's y stays what it is until its next x. NaN counts as no value. None where the
    seeds share no range."""
    started = [(x[np.isfinite(y)], y[np.isfinite(y)]) for x, y in zip(xs, ys, strict=True)]
    if not all(len(x) for x, _ in started):
        return None
    first, last = max(x[0] for x, _ in started), min(x[-1] for x, _ in started)
    grid = np.unique(np.concatenate([x for x, _ in started]))
    grid = grid[(first <= grid) & (grid <= last)]
    if not len(grid):
        return None
    values = np.array([y[np.searchsorted(x, grid, side="right") - 1] for x, y in started])
    return Band(grid, np.median(values, axis=0), values.min(axis=0), values.max(axis=0))


def points_of(trials: Iterable[Trial], *, measured: bool) -> list[Point]:
    """Of those that have both accuracy and latency; `measured`: a measured one."""
    return [
        Point(trial.accuracy, trial.latency.latency_ns)
        for trial in trials
        if trial.accuracy is not None
        and trial.latency is not None
        and (is_measured(trial) or not measured)
    ]
