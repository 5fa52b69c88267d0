"""Which architectures deserve a measurement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from latency_models.estimate import LatencyEstimate, Source
from search.pareto import pareto_front
from search.trial import Trial


def choose(
    trials: Sequence[Trial],
    known: Sequence[Trial],
    *,
    top_k: int,
    uncertain_k: int,
    random_k: int,
    rng: np.random.Generator,
) -> list[Trial]:
    """The `top_k` best of a round's trials by reward, the `uncertain_k` least certain of those
    that may be on the front, and `random_k` at random, which keep the predictor honest where
    nobody looks.

    known: the other trials of the study, against which the front is drawn. Each architecture
    is chosen at most once, never one that was measured or failed, and fewer than asked for
    only where there are no more.
    """
    distinct = {trial.architecture: trial for trial in trials if is_unmeasured(trial)}
    rest = sorted(_points(distinct.values()), key=lambda point: -point.reward)
    chosen, rest = rest[:top_k], rest[top_k:]

    contenders = {trial.architecture for trial in may_be_on_front([*known, *distinct.values()])}
    rest.sort(key=lambda p: (p.trial.architecture not in contenders, -p.relative_width))
    chosen, rest = chosen + rest[:uncertain_k], rest[uncertain_k:]

    chosen += [rest[i] for i in rng.permutation(len(rest))[:random_k]]
    return [point.trial for point in chosen]


def is_unmeasured(trial: Trial) -> bool:
    """Whether its reward rests on a prediction, and no measurement of it has failed."""
    return (
        trial.reward is not None
        and trial.failure is None
        and trial.latency is not None
        and trial.latency.source is not Source.MEASURED
    )


def front(trials: Iterable[Trial]) -> list[Trial]:
    """Those that no other dominates, measured and predicted alike, fastest first. Trials
    without a reward have no place in it."""
    points = _points(trials)
    on_front = pareto_front([p.accuracy for p in points], [p.latency.latency_ns for p in points])
    return [points[i].trial for i in on_front]


def may_be_on_front(trials: Iterable[Trial]) -> list[Trial]:
    """Those that no other is sure to dominate, in the order given: none as accurate has its
    upper bound below their lower bound."""
    points = _points(trials)
    at_worst = pareto_front([p.accuracy for p in points], [p.latency.upper_ns for p in points])
    rivals = [points[i] for i in at_worst]
    return [
        point.trial
        for point in points
        if not any(
            rival.accuracy >= point.accuracy and rival.latency.upper_ns < point.latency.lower_ns
            for rival in rivals
        )
    ]


class _Point(NamedTuple):
    """A trial that has everything."""

    trial: Trial
    accuracy: float
    latency: LatencyEstimate
    reward: float

    @property
    def relative_width(self) -> float:
        return (self.latency.upper_ns - self.latency.lower_ns) / self.latency.latency_ns


def _points(trials: Iterable[Trial]) -> list[_Point]:
    return [
        _Point(trial, trial.accuracy, trial.latency, trial.reward)
        for trial in trials
        if trial.accuracy is not None and trial.latency is not None and trial.reward is not None
    ]
