"""Curves of what a study knows after each round, and their spread over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from search.report.drawing.arrays import FloatArray
from search.space.architecture import Architecture
from search.study.pareto import hypervolume, reference_point
from search.study.study import Study
from search.study.trial import Trial, has_failed, is_measured, without_undue_reward

WINDOW = 100  # a sample's recent reward is the mean over so many samples up to it


class Point(NamedTuple):
    """A network's accuracy and latency."""

    accuracy: float
    latency_ns: float


@dataclass(frozen=True)
class Box:
    """The rectangle that hypervolumes are a share of.

    Attributes:
        reference: The corner from which hypervolumes are counted; see `reference_point`.
        ideal: The best accuracy and the best latency of any study.
        measured: Whether only measured networks count. They do if every study has some.
    """

    reference: Point
    ideal: Point
    measured: bool

    @classmethod
    def around(cls, studies: Iterable[Study]) -> Box | None:
        """Return the studies' common box; None if no trial has an accuracy and a latency."""
        trials = [[t for finished in study.rounds for t in finished.trials] for study in studies]
        measured = all(points_of(each, measured=True) for each in trials)
        points = [point for each in trials for point in points_of(each, measured=measured)]
        if not points:
            return None
        accuracy, latency_ns = np.array(points, np.float64).T
        reference = Point(*reference_point(accuracy, latency_ns))
        return cls(reference, Point(float(accuracy.max()), float(latency_ns.min())), measured)

    def share(self, trials: Iterable[Trial]) -> float:
        """Return the hypervolume of the trials' front as a share of the box, 0 to 1."""
        points = points_of(trials, measured=self.measured)
        area = hypervolume([self.ideal.accuracy], [self.ideal.latency_ns], *self.reference)
        volume = hypervolume(
            [p.accuracy for p in points], [p.latency_ns for p in points], *self.reference
        )
        return volume / area if area else 0.0


@dataclass(frozen=True, eq=False)
class Curve:
    """Parallel arrays with one entry for a study's start and one for each of its rounds.

    Attributes:
        samples: Number of networks that the strategy was asked for, repeats included.
        measurements: Number of distinct networks that were measured.
        time_s: Time spent searching, without the pauses before resumptions.
        hypervolume: The front's hypervolume, as `Box.share` returns it.
        best_reward: The best reward of all samples; NaN before the first.
        recent_reward: The mean reward of the last `WINDOW` samples; NaN before the first.
    """

    samples: FloatArray
    measurements: FloatArray
    time_s: FloatArray
    hypervolume: FloatArray
    best_reward: FloatArray
    recent_reward: FloatArray


def curve(study: Study, box: Box) -> Curve:
    """Return a study's curve over its rounds, with hypervolumes as shares of the box."""
    latest: dict[Architecture, Trial] = {}
    rewards: list[float] = []
    rows: list[tuple[float, ...]] = [(0, 0, 0, 0, np.nan, np.nan)]
    samples, time_s = 0, 0.0
    for finished in study.rounds:
        trials = list(map(without_undue_reward, finished.trials))
        latest |= {trial.architecture: trial for trial in trials}
        time_s += finished.duration_s
        if finished.asked:
            samples += len(finished.trials)
            rewards += [trial.reward for trial in trials if trial.reward is not None]
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
    """The median, the lowest and the highest value, over seeds, of a curve at each x.

    Attributes:
        x: Each value of x that a seed has, within the range that all seeds cover.
    """

    x: FloatArray
    median: FloatArray
    low: FloatArray
    high: FloatArray


def band(xs: Sequence[FloatArray], ys: Sequence[FloatArray]) -> Band | None:
    """Return the band of the curves of several seeds; None if these share no range of x.

    A seed's y holds until its next x. NaN counts as no value.
    """
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
    """Return accuracy and latency of the trials that have both and did not fail.

    Args:
        measured: Whether the latency must be measured.
    """
    return [
        Point(trial.accuracy, trial.latency.latency_ns)
        for trial in trials
        if trial.accuracy is not None
        and trial.latency is not None
        and not has_failed(trial)
        and (is_measured(trial) or not measured)
    ]
