"""The front of a study: the trials that no other beats in both accuracy and latency.

On several targets the latency is the combined one, or the latency on each target counts for
itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from latlab.domain.estimate import LatencyEstimate
from search.study.combined_latency import on_each_target
from search.study.pareto import nondominated, pareto_front
from search.study.trial import Trial


def front(trials: Iterable[Trial], *, separate_targets: bool = False) -> list[Trial]:
    """Return the trials that no other dominates, fastest first.

    Measured and predicted latencies count alike. Trials without a reward are left out.

    Args:
        trials: The trials.
        separate_targets: Whether the latency on each target counts, in place of the combined
            one. A trial then dominates another one if it is no worse on any target. The order is
            still that of the combined latency.
    """
    points = points_of(trials)
    if separate_targets:
        points.sort(key=lambda point: (point.latency.latency_ns, -point.accuracy))
        values = [
            [-p.accuracy, *(part.latency_ns for part in on_each_target(p.latency))] for p in points
        ]
        return [points[i].trial for i in nondominated(values)]
    on_front = pareto_front([p.accuracy for p in points], [p.latency.latency_ns for p in points])
    return [points[i].trial for i in on_front]


def may_be_on_front(
    trials: Iterable[Trial], widening: float = 1.0, *, separate_targets: bool = False
) -> list[Trial]:
    """Return the trials that no other is sure to dominate, in the order given.

    A trial is sure to dominate another one if it is as accurate and the upper bound of its
    latency lies below the lower bound of the other.

    Args:
        trials: The trials.
        widening: Factor of the intervals' half-widths, at least 1. Above 1 more trials may be on
            the front, which allows for predictions that will change.
        separate_targets: Whether the latency on each target counts, as for `front`.
    """
    points = points_of(trials)
    if separate_targets:
        return _may_be_on_front_of_all(points, widening)
    uppers = [point.latency_ns(widening) for point in points]
    at_worst = pareto_front([point.accuracy for point in points], uppers)
    uppers_ns = [uppers[i] for i in at_worst]  # rising, as accuracy does

    def is_dominated(point: Point) -> bool:
        faster = bisect_left(uppers_ns, point.latency_ns(-widening))
        return faster > 0 and points[at_worst[faster - 1]].accuracy >= point.accuracy

    return [point.trial for point in points if not is_dominated(point)]


def _may_be_on_front_of_all(points: Sequence[Point], widening: float) -> list[Trial]:
    """Return the trials that no other is sure to dominate in accuracy and on every target."""
    if not points:
        return []
    losses = np.array([-point.accuracy for point in points])
    lowers_ns, uppers_ns = (
        np.array([[moved_ns(each, by) for each in on_each_target(p.latency)] for p in points])
        for by in (-widening, widening)
    )
    at_worst = nondominated(np.column_stack((losses, uppers_ns)).tolist())

    def is_dominated(index: int) -> bool:
        as_accurate = losses[at_worst] <= losses[index]
        faster = (uppers_ns[at_worst] < lowers_ns[index]).all(axis=1)
        return bool((as_accurate & faster).any())

    return [point.trial for index, point in enumerate(points) if not is_dominated(index)]


def moved_ns(estimate: LatencyEstimate, half_widths: float) -> float:
    """Return a latency moved by a number of its interval's half-widths.

    -1 stands for the lower bound, 1 for the upper one.
    """
    bound_ns = estimate.lower_ns if half_widths < 0 else estimate.upper_ns
    return estimate.latency_ns + abs(half_widths) * (bound_ns - estimate.latency_ns)


class Point(NamedTuple):
    """A trial that has an accuracy, a latency and a reward."""

    trial: Trial
    accuracy: float
    latency: LatencyEstimate
    reward: float

    def latency_ns(self, half_widths: float) -> float:
        """Return the latency moved by a number of its interval's half-widths, as `moved_ns`."""
        return moved_ns(self.latency, half_widths)


def points_of(trials: Iterable[Trial]) -> list[Point]:
    """Return the trials that have an accuracy, a latency and a reward, in the order given."""
    return [
        Point(trial, trial.accuracy, trial.latency, trial.reward)
        for trial in trials
        if trial.accuracy is not None and trial.latency is not None and trial.reward is not None
    ]
