"""Which architectures deserve a measurement."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from statistics import fmean

import numpy as np

from search.study.front import Point, may_be_on_front, points_of
from search.study.pareto import hypervolume, reference_point
from search.study.trial import Trial, attempts, is_measured, is_open


def allowance(trials: Collection[Trial], share: float, budget: float = math.inf) -> int:
    """How many more may be measured so that at most `share` (0 to 1) of these trials, each of
    another architecture, and no more than `budget` have been. A measurement that failed or
    was disturbed counts too."""
    allowed = math.floor(min(share * len(trials), budget))
    return max(0, allowed - sum(map(attempts, trials)))


def affordable(trials: Iterable[Trial], budget_s: float) -> int:
    """How many more measurements the rest of `budget_s` of device time should suffice for, each
    expected to take the mean of those so far; before there was any it is one, which tells."""
    spent_s = [trial.device_s for trial in trials if is_measured(trial)]
    left_s = budget_s - sum(spent_s)
    if left_s <= 0:
        return 0
    return math.floor(left_s / fmean(spent_s)) if any(spent_s) else 1


def split(n: int) -> tuple[int, int, int]:
    """`n` measurements as (top_k, uncertain_k, random_k): of four, two for the best, one for
    a doubt and one for chance."""
    uncertain_k, random_k = (n + 1) // 4, (n + 2) // 4
    return n - uncertain_k - random_k, uncertain_k, random_k


def choose(
    trials: Collection[Trial],
    known: Iterable[Trial],
    *,
    top_k: int,
    uncertain_k: int,
    random_k: int,
    rng: np.random.Generator,
) -> list[Trial]:
    """The `top_k` best of a round's trials by reward, the `uncertain_k` least certain of those
    that may be on the front, and `random_k` at random, which keep the predictor honest where
    nobody looks.

    trials: of distinct architectures; `known`: all others of the study, against which the
    front is drawn. None is chosen twice, none that was measured or failed, and fewer than
    asked for only where there are no more.
    """
    rest = sorted(points_of(filter(is_open, trials)), key=lambda point: -point.reward)
    chosen, rest = rest[:top_k], rest[top_k:]

    near = {trial.architecture for trial in may_be_on_front([*known, *trials])}
    rest.sort(key=lambda point: (point.trial.architecture not in near, -point.relative_width))
    chosen, rest = chosen + rest[:uncertain_k], rest[uncertain_k:]

    chosen += [rest[i] for i in rng.permutation(len(rest))[:random_k]]
    return [point.trial for point in chosen]


def contenders(trials: Collection[Trial]) -> list[Trial]:
    """Those that may be on the front and are not measured: each one next that, at the lower
    bound of its interval, adds most to the hypervolume of those measured and those before it;
    where none adds any, by reward.

    Hypervolume is that above the 10th percentile of accuracy and the 90th of latency."""
    points = points_of(trial for trial in trials if trial.failure is None)
    if not points:
        return []
    reference = reference_point(
        [point.accuracy for point in points], [point.latency.latency_ns for point in points]
    )
    measured = [point for point in points if is_measured(point.trial)]
    accuracies = [point.accuracy for point in measured]
    latencies_ns = [point.latency.latency_ns for point in measured]

    def with_it(point: Point) -> float:
        ns = [*latencies_ns, point.latency.lower_ns]
        return hypervolume([*accuracies, point.accuracy], ns, *reference)

    left = points_of(filter(is_open, may_be_on_front(point.trial for point in points)))
    left.sort(key=lambda point: -point.reward)
    wanted: list[Trial] = []
    volume = hypervolume(accuracies, latencies_ns, *reference)
    while left:
        best = max(left, key=with_it)
        if (enlarged := with_it(best)) <= volume:
            break
        volume = enlarged
        left.remove(best)
        wanted.append(best.trial)
        accuracies.append(best.accuracy)
        latencies_ns.append(best.latency.lower_ns)
    return wanted + [point.trial for point in left]
