"""The Pareto front of accuracy, which should be high, and latency, which should be low."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def pareto_front(accuracies: Sequence[float], latencies: Sequence[float]) -> list[int]:
    """Return the indices of the points that no other point dominates, fastest first.

    A point dominates another one if it is no worse in both values and better in one. So of
    equal points either all are on the front or none. It takes O(n log n) time.

    Raises:
        ValueError: A value is NaN, or the sequences differ in length.
    """
    accuracy, latency = _points(accuracies, latencies)
    if not len(accuracy):
        return []
    order = np.lexsort((-accuracy, latency))
    accuracy, latency = accuracy[order], latency[order]
    best_before = np.concatenate(([-np.inf], np.maximum.accumulate(accuracy)[:-1]))
    improves = accuracy > best_before
    improves[0] = True  # even at an accuracy of minus infinity
    # The latest improvement at or before each point: a point equal to it is its twin.
    twin = np.maximum.accumulate(np.where(improves, np.arange(len(order)), 0))
    on_front = (accuracy == accuracy[twin]) & (latency == latency[twin])
    return [int(index) for index in order[on_front]]


def nondominated(points: Sequence[Sequence[float]]) -> list[int]:
    """Return the indices of the points that no other point dominates, in input order.

    A point dominates another one if it is no larger in all values and smaller in one. So of equal
    points either all are returned or none. The time grows with the number of points times that
    of those returned.

    Args:
        points: Points with as many values each, all of which should be low.

    Raises:
        ValueError: A value is NaN.
    """
    if not len(points):
        return []
    values = np.asarray(points, dtype=np.float64)
    if np.isnan(values).any():
        raise ValueError("a front cannot be drawn: an accuracy or a latency is NaN")
    distinct, of_point = np.unique(values, axis=0, return_inverse=True)
    # The distinct points rise by their first value, then by the next. So one that dominates
    # another comes before it.
    kept = np.empty_like(distinct)
    is_kept = np.zeros(len(distinct), dtype=bool)
    count = 0
    for index, point in enumerate(distinct):
        if not (kept[:count] <= point).all(axis=1).any():
            kept[count], is_kept[index] = point, True
            count += 1
    return [int(index) for index in np.flatnonzero(is_kept[of_point.reshape(-1)])]


def hypervolume(
    accuracies: Sequence[float],
    latencies: Sequence[float],
    reference_accuracy: float,
    reference_latency: float,
) -> float:
    """Return the area between the front and a reference point, in the unit of latency.

    The reference point is worse than all points of interest. Points that do not dominate it add
    nothing.

    Raises:
        ValueError: A value is NaN, or the sequences differ in length.
    """
    accuracy, latency = _points(accuracies, latencies)
    counts = (accuracy > reference_accuracy) & (latency < reference_latency)
    accuracy, latency = accuracy[counts], latency[counts]
    front = pareto_front(accuracy.tolist(), latency.tolist())
    heights = np.diff(accuracy[front], prepend=reference_accuracy)
    return float(np.sum(heights * (reference_latency - latency[front])))


class GrowingFront:
    """A front to which points are added one by one, and which knows what one more would add.

    A point is looked up in O(log n) time, beside that for the points that it dominates.
    """

    def __init__(self, reference_accuracy: float, reference_latency: float) -> None:
        """Begin without points.

        Args:
            reference_accuracy: Accuracy of the reference point of `hypervolume`.
            reference_latency: Its latency.
        """
        self._reference_accuracy = reference_accuracy
        self._reference_latency = reference_latency
        self._latencies: list[float] = []  # rising, and the accuracies with them
        self._accuracies: list[float] = []

    def gain(self, accuracy: float, latency: float) -> float:
        """Return by how much a point would enlarge the hypervolume, in the unit of latency."""
        index = bisect_right(self._latencies, latency)
        height = self._accuracies[index - 1] if index else self._reference_accuracy
        gain = 0.0
        while latency < self._reference_latency and height < accuracy:
            is_last = index == len(self._latencies)
            until = self._reference_latency if is_last else self._latencies[index]
            gain += (accuracy - height) * (until - latency)
            if is_last:
                break
            height, latency = self._accuracies[index], until
            index += 1
        return gain

    def add(self, accuracy: float, latency: float) -> None:
        """Add a point. It takes the place of those that it dominates."""
        if self.gain(accuracy, latency) <= 0:
            return
        first = last = bisect_left(self._latencies, latency)
        while last < len(self._accuracies) and self._accuracies[last] <= accuracy:
            last += 1
        self._latencies[first:last] = [latency]
        self._accuracies[first:last] = [accuracy]


def reference_point(accuracies: Sequence[float], latencies: Sequence[float]) -> tuple[float, float]:
    """Return the reference point for the hypervolume of these points.

    It is their 10th percentile of accuracy and their 90th percentile of latency.
    """
    return float(np.percentile(accuracies, 10)), float(np.percentile(latencies, 90))


def _points(
    accuracies: Sequence[float], latencies: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    accuracy = np.asarray(accuracies, dtype=np.float64)
    latency = np.asarray(latencies, dtype=np.float64)
    if accuracy.shape != latency.shape:
        raise ValueError(f"there are {len(accuracy)} accuracies, but {len(latency)} latencies")
    if np.isnan(accuracy).any() or np.isnan(latency).any():
        raise ValueError("a front cannot be drawn: an accuracy or a latency is NaN")
    return accuracy, latency
