from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.study.pareto import GrowingFront, hypervolume, nondominated, pareto_front

Points = list[tuple[float, float]]

# Few values, so that ties and twins abound; and any values at all.
points = st.lists(
    st.tuples(st.integers(0, 5).map(float), st.integers(1, 6).map(float))
    | st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)),
    max_size=30,
)
grid_points = st.lists(st.tuples(st.integers(-1, 8), st.integers(0, 9)), max_size=15)


def dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] >= other[0] and one[1] <= other[1] and one != other


@given(points)
def test_the_front_is_what_brute_force_finds_fastest_first(points: Points) -> None:
    front = pareto_front([p[0] for p in points], [p[1] for p in points])
    expected = [i for i, point in enumerate(points) if not any(dominates(q, point) for q in points)]
    assert sorted(front) == expected
    assert [points[i][1] for i in front] == sorted(points[i][1] for i in front)


@given(grid_points)
def test_the_hypervolume_is_the_number_of_dominated_cells(points: list[tuple[int, int]]) -> None:
    cells = sum(
        any(accuracy > row and latency <= column for accuracy, latency in points)
        for row in range(8)
        for column in range(9)
    )
    assert hypervolume([p[0] for p in points], [p[1] for p in points], 0, 9) == cells


@given(grid_points)
def test_a_growing_front_gains_what_the_hypervolume_does(points: list[tuple[int, int]]) -> None:
    front = GrowingFront(0, 9)
    for number, (accuracy, latency) in enumerate(points):
        before, after = points[:number], points[: number + 1]
        volumes = [hypervolume([p[0] for p in q], [p[1] for p in q], 0, 9) for q in (before, after)]
        assert front.gain(accuracy, latency) == volumes[1] - volumes[0]
        front.add(accuracy, latency)
        assert front.gain(accuracy, latency) == 0


several_values = st.integers(1, 4).flatmap(
    lambda size: st.lists(st.lists(st.integers(0, 3), min_size=size, max_size=size), max_size=25)
)


@given(several_values)
def test_of_several_values_the_front_is_what_brute_force_finds(points: list[list[int]]) -> None:
    expected = [
        index
        for index, point in enumerate(points)
        if not any(
            other != point and all(a <= b for a, b in zip(other, point, strict=True))
            for other in points
        )
    ]
    assert nondominated(points) == expected


@given(points)
def test_two_values_have_the_same_front_either_way(points: Points) -> None:
    front = pareto_front([p[0] for p in points], [p[1] for p in points])
    assert nondominated([(-p[0], p[1]) for p in points]) == sorted(front)


def test_a_point_that_is_not_a_number_has_no_front() -> None:
    with pytest.raises(ValueError, match="NaN"):
        nondominated([[1.0, 2.0], [float("nan"), 1.0]])


def test_nothing_has_no_front() -> None:
    assert pareto_front([], []) == nondominated([]) == []
    assert hypervolume([], [], 0, 1) == 0


@pytest.mark.parametrize(
    ("accuracies", "latencies"), [([0.5, float("nan")], [1, 2]), ([0.5], [1, 2])]
)
def test_what_is_no_set_of_points_is_refused(
    accuracies: list[float], latencies: list[float]
) -> None:
    with pytest.raises(ValueError, match=r"front|accuracies"):
        pareto_front(accuracies, latencies)
