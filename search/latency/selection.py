"""Choose the architectures that a search measures."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from heapq import heapify, heappop, heappush
from statistics import fmean

import numpy as np
from scipy.special import ndtri

from search.study.front import Point, may_be_on_front, points_of
from search.study.pareto import GrowingFront, reference_point
from search.study.trial import Trial, attempts, is_measured, is_open

# Latencies that a network may have, by the half-widths of its 90 % interval: where each ninth of a
# normal distribution has its middle, and the best that the interval promises.
EXPECTED = (ndtri((np.arange(9) + 0.5) / 9) / ndtri(0.95)).tolist()
AT_BEST = (-1.0,)


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
    """Divide `n` measurements into (top_k, uncertain_k, random_k), as 2 : 1 : 1.

    Of two, the random ones have none: an uncertain one brings more.
    """
    uncertain_k, random_k = (n + 2) // 4, (n + 1) // 4
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
        uncertain_k: How many to choose by the hypervolume that their measurement is expected to
            add to the front of the measured ones. This takes those that may be on the front, and
            of them the less certain ones, which may lie far beyond it.
        random_k: How many to choose at random, which shows how the predictor does elsewhere.
        rng: Draws the random ones.
    """
    remaining = sorted(points_of(filter(is_open, trials)), key=lambda point: -point.reward)
    chosen, remaining = remaining[:top_k], remaining[top_k:]

    if uncertain_k:
        grown = _measured_front(points_of([*known, *trials]))
        for point in chosen:
            grown.add(point.accuracy, point.latency.latency_ns)
        remaining = _by_gain(grown, remaining, EXPECTED)
    chosen, remaining = chosen + remaining[:uncertain_k], remaining[uncertain_k:]

    chosen += [remaining[i] for i in rng.permutation(len(remaining))[:random_k]]
    return [point.trial for point in chosen]


def contenders(trials: Collection[Trial], *, separate_targets: bool = False) -> list[Trial]:
    """Return the unmeasured trials that may be on the front, the most promising first.

    Each next trial is the one that adds most to the hypervolume of the measured trials and those
    before it, if its latency is the lower bound of its interval. Trials that add nothing follow
    by reward. The hypervolume's reference is the 10th percentile of accuracy and the 90th of
    latency. On several targets it is the hypervolume of the combined latency.

    Args:
        trials: The study's trials, one for each architecture.
        separate_targets: Whether the front is that of the latencies on each target.
    """
    points = points_of(trial for trial in trials if trial.failure is None)
    possible = may_be_on_front((point.trial for point in points), separate_targets=separate_targets)
    remaining = points_of(filter(is_open, possible))
    remaining.sort(key=lambda point: -point.reward)
    return [point.trial for point in _by_gain(_measured_front(points), remaining, AT_BEST)]


def _measured_front(points: Sequence[Point]) -> GrowingFront:
    """Return the front of those points that were measured.

    Its reference is the 10th percentile of accuracy and the 90th of latency of all points.
    """
    if not points:
        return GrowingFront(0.0, 0.0)
    grown = GrowingFront(
        *reference_point(
            [point.accuracy for point in points], [point.latency.latency_ns for point in points]
        )
    )
    for point in points:
        if is_measured(point.trial):
            grown.add(point.accuracy, point.latency.latency_ns)
    return grown


def _by_gain(
    grown: GrowingFront, points: Sequence[Point], half_widths: Sequence[float]
) -> list[Point]:
    """Return points in the order in which each next one adds most, the useless ones last.

    What a point adds never grows as others are added. So what it added at some time before bounds
    what it adds now, and only the points with the largest bounds are looked up again.

    Args:
        grown: The front, to which the points are added.
        points: The points, in the order that decides between equals.
        half_widths: The latencies that each point may have, equally likely, by the half-widths of
            its interval. What it adds is the mean over them, and it is added at their mean.
    """

    def gain(index: int) -> float:
        point = points[index]
        return fmean(grown.gain(point.accuracy, point.latency_ns(z)) for z in half_widths)

    bounds = [(-gain(index), index) for index in range(len(points))]
    heapify(bounds)
    ordered: list[int] = []
    while bounds and bounds[0][0] < 0:
        bound, index = heappop(bounds)
        if (now := gain(index)) < -bound:
            heappush(bounds, (-now, index))
        else:
            ordered.append(index)
            grown.add(points[index].accuracy, points[index].latency_ns(fmean(half_widths)))
    useless = sorted(index for _, index in bounds)
    return [points[index] for index in [*ordered, *useless]]
