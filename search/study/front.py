"""The front of a study: the trials that no other beats in both accuracy and latency."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import NamedTuple

from latlab.domain.estimate import LatencyEstimate
from search.study.pareto import pareto_front
from search.study.trial import Trial


def front(trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials that no other dominates, fastest first.

    Measured and predicted latencies count alike. Trials without a reward are left out.
    """
    points = points_of(trials)
    on_front = pareto_front([p.accuracy for p in points], [p.latency.latency_ns for p in points])
    return [points[i].trial for i in on_front]


def may_be_on_front(trials: Iterable[Trial], widening: float = 1.0) -> list[Trial]:
    """Return the trials that no other is sure to dominate, in the order given.

    A trial is sure to dominate another one if it is as accurate and the upper bound of its
    latency lies below the lower bound of the other.

    Args:
        trials: The trials.
        widening: Factor of the intervals' half-widths, at least 1. Above 1 more trials may be on
            the front, which allows for predictions that will change.
    """
    points = points_of(trials)
    uppers = [point.latency_ns(widening) for point in points]
    at_worst = pareto_front([point.accuracy for point in points], uppers)
    uppers_ns = [uppers[i] for i in at_worst]  # rising, as accuracy does

    def is_dominated(point: Point) -> bool:
        faster = bisect_left(uppers_ns, point.latency_ns(-widening))
        return faster > 0 and points[at_worst[faster - 1]].accuracy >= point.accuracy

    return [point.trial for point in points if not is_dominated(point)]


class Point(NamedTuple):
    """A trial that has an accuracy, a latency and a reward."""

    trial: Trial
    accuracy: float
    latency: LatencyEstimate
    reward: float

    def latency_ns(self, half_widths: float) -> float:
        """Return the latency moved by a number of its interval's half-widths.

        -1 stands for the lower bound, 1 for the upper one.
        """
        estimate = self.latency
        bound_ns = estimate.lower_ns if half_widths < 0 else estimate.upper_ns
        return estimate.latency_ns + abs(half_widths) * (bound_ns - estimate.latency_ns)


def points_of(trials: Iterable[Trial]) -> list[Point]:
    """Return the trials that have an accuracy, a latency and a reward, in the order given."""
    return [
        Point(trial, trial.accuracy, trial.latency, trial.reward)
        for trial in trials
        if trial.accuracy is not None and trial.latency is not None and trial.reward is not None
    ]
