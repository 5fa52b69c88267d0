"""Choose the architectures that a search measures."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from heapq import heapify, heappop, heappush
from statistics import fmean

import numpy as np

from search.study.front import Point, may_be_on_front, points_of
from search.study.pareto import GrowingFront, reference_point
from search.study.trial import Trial, attempts, is_measured, is_open


def allowance(trials: Collection[Trial], share: float, budget: float = math.inf) -> int:
    """Return how many more networks may be measured within a share and a budget.

    A measurement that failed or was disturbed counts too.

    Args:
        trials: The study's trials, one for each architecture.
        share: The largest share of the trials to measure, from 0 to 1.
        budget: The largest number of measurements.
    """
    allowed = math.floor(min(share * len(trials), budget))
    return max(0, allowed - sum(map(attempts, trials)))


def affordable(trials: Iterable[Trial], budget_s: float) -> int:
    """Return how many more measurements fit into `budget_s` seconds of device time.

    Each is expected to take the mean of those so far. Before the first, one measurement fits: it
    shows how long they take.
    """
    spent_s = [trial.device_s for trial in trials if is_measured(trial)]
    remaining_s = budget_s - sum(spent_s)
    if remaining_s <= 0:
        return 0
    return math.floor(remaining_s / fmean(spent_s)) if any(spent_s) else 1


def split(n: int) -> tuple[int, int, int]:
    """Divide `n` measurements into (top_k, uncertain_k, random_k), as 2 : 1 : 1."""
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
    """Choose trials of a round to measure.

    No trial is chosen twice, and none that was measured or failed. Fewer are chosen only if there
    are no more.

    Args:
        trials: The round's trials, of distinct architectures.
        known: All other trials of the study; the front is drawn from both.
        top_k: How many to choose by the highest reward.
        uncertain_k: How many to choose by the widest interval, those first that may be on the
            front.
        random_k: How many to choose at random, which shows how the predictor does elsewhere.
        rng: Draws the random ones.
    """
    remaining = sorted(points_of(filter(is_open, trials)), key=lambda point: -point.reward)
    chosen, remaining = remaining[:top_k], remaining[top_k:]

    near = {trial.architecture for trial in may_be_on_front([*known, *trials])}
    remaining.sort(key=lambda point: (point.trial.architecture not in near, -point.relative_width))
    chosen, remaining = chosen + remaining[:uncertain_k], remaining[uncertain_k:]

    chosen += [remaining[i] for i in rng.permutation(len(remaining))[:random_k]]
    return [point.trial for point in chosen]


def contenders(trials: Collection[Trial]) -> list[Trial]:
    """Return the unmeasured trials that may be on the front, the most promising first.

    Each next trial is the one that adds most to the hypervolume of the measured trials and those
    before it, if its latency is the lower bound of its interval. Trials that add nothing follow
    by reward. The hypervolume's reference is the 10th percentile of accuracy and the 90th of
    latency.
    """
    points = points_of(trial for trial in trials if trial.failure is None)
    if not points:
        return []
    reference = reference_point(
        [point.accuracy for point in points], [point.latency.latency_ns for point in points]
    )
    grown = GrowingFront(*reference)
    for point in points:
        if is_measured(point.trial):
            grown.add(point.accuracy, point.latency.latency_ns)
    remaining = points_of(filter(is_open, may_be_on_front(point.trial for point in points)))
    remaining.sort(key=lambda point: -point.reward)
    return [point.trial for point in _by_gain(grown, remaining)]


def _by_gain(grown: GrowingFront, points: Sequence[Point]) -> list[Point]:
    """Return points in the order in which each next one adds most, the useless ones last.

    What a point adds never grows as others are added. So what it added at some time before bounds
    what it adds now, and only the points with the largest bounds are looked up again.
    """

    def gain(index: int) -> float:
        return grown.gain(points[index].accuracy, points[index].latency.lower_ns)

    bounds = [(-gain(index), index) for index in range(len(points))]
    heapify(bounds)
    ordered: list[int] = []
    while bounds and bounds[0][0] < 0:
        bound, index = heappop(bounds)
        if (now := gain(index)) < -bound:
            heappush(bounds, (-now, index))
        else:
            ordered.append(index)
            grown.add(points[index].accuracy, points[index].latency.lower_ns)
    useless = sorted(index for _, index in bounds)
    return [points[index] for index in [*ordered, *useless]]
