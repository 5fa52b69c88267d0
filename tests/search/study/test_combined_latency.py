from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latlab.domain.estimate import LatencyEstimate, Source
from search.study.combined_latency import FROM_SURE_TO_UNSURE, Combination
from search.study.settings import SearchTarget
from tests.search.fakes import estimate

NS = st.integers(10**4, 10**12)


@st.composite
def estimates(draw: st.DrawFn) -> LatencyEstimate:
    lower_ns, latency_ns, upper_ns = sorted(draw(st.tuples(NS, NS, NS)))
    return LatencyEstimate(
        latency_ns,
        lower_ns,
        upper_ns,
        draw(st.sampled_from(Source)),
        draw(st.floats(0, 1)),
        draw(st.integers(0, 99)),
        draw(st.floats(0, 1e6)),
        draw(st.booleans()),
    )


def combination_of(targets_ns: Sequence[int], weights: Sequence[float] = ()) -> Combination:
    given: Sequence[float | None] = weights or [None] * len(targets_ns)
    pairs = zip(targets_ns, given, strict=True)
    return Combination(tuple(SearchTarget(str(i), *pair) for i, pair in enumerate(pairs)))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Combination, list[LatencyEstimate]]:
    count = draw(st.integers(1, 4))

    def each(values: st.SearchStrategy[float]) -> tuple[float, ...]:
        return tuple(draw(st.lists(values, min_size=count, max_size=count)))

    weights = each(st.floats(0.1, 10)) if draw(st.booleans()) else ()
    targets_ns = tuple(draw(st.lists(NS, min_size=count, max_size=count)))
    parts = draw(st.lists(estimates(), min_size=count, max_size=count))
    return combination_of(targets_ns, weights), parts


@given(cases())
def test_the_bounds_hold_the_latency_and_nothing_is_surer_than_its_parts(
    case: tuple[Combination, list[LatencyEstimate]],
) -> None:
    combination, parts = case
    combined = combination.combine(parts)
    assert combined.lower_ns <= combined.latency_ns <= combined.upper_ns
    assert (combined.source is Source.MEASURED) == all(p.source is Source.MEASURED for p in parts)
    assert all(combined.coverage <= part.coverage for part in parts)
    assert all(combined.samples <= part.samples for part in parts)
    assert all(combined.age_s >= part.age_s for part in parts)
    if len(parts) > 1:
        assert combined.parts == tuple(parts)


@given(cases(), st.data())
def test_latencies_within_their_bounds_combine_within_the_combined_ones(
    case: tuple[Combination, list[LatencyEstimate]], data: st.DataObject
) -> None:
    combination, parts = case
    true_ns = [data.draw(st.integers(part.lower_ns, part.upper_ns)) for part in parts]
    combined = combination.combine(parts)
    assert combined.lower_ns <= combination.latency_ns(true_ns) <= combined.upper_ns


@given(cases())
def test_it_lies_between_the_best_and_the_worst_and_the_worst_is_the_worst(
    case: tuple[Combination, list[LatencyEstimate]],
) -> None:
    combination, parts = case
    first_ns = combination.targets[0].latency_ns
    scaled_ns = [
        part.latency_ns / target.latency_ns * first_ns
        for part, target in zip(parts, combination.targets, strict=True)
    ]
    latency_ns = combination.combine(parts).latency_ns
    slack_ns = 0.5 + 1e-9 * max(scaled_ns)  # it is a whole number
    assert min(scaled_ns) - slack_ns <= latency_ns <= max(scaled_ns) + slack_ns
    if combination.targets[0].weight is None:
        assert latency_ns == pytest.approx(max(scaled_ns), abs=slack_ns)


@given(NS, estimates(), st.sampled_from([(), (3.0,)]))
def test_of_one_target_it_is_the_latency_itself(
    target_ns: int, alone: LatencyEstimate, weights: tuple[float, ...]
) -> None:
    combination = combination_of((target_ns,), weights)
    assert combination.combine([alone]) == alone
    assert combination.latency_ns([alone.latency_ns]) == alone.latency_ns


def test_each_is_held_against_its_own_target() -> None:
    parts = [estimate(60_000_000), estimate(60_000_000)]
    targets_ns = (80_000_000, 40_000_000)
    assert combination_of(targets_ns).combine(parts).latency_ns == 120_000_000
    # 0.75 and 1.5 of their targets: by 2 to 1 that is 1.
    assert combination_of(targets_ns, (2, 1)).combine(parts).latency_ns == 80_000_000
    assert combination_of(targets_ns, (4, 2)).combine(parts).latency_ns == 80_000_000


def test_a_combination_is_as_sure_as_its_least_sure_part() -> None:
    assert set(FROM_SURE_TO_UNSURE) == set(Source)
    looked_up = estimate(10**6, Source.LOOKUP)
    for other in Source:
        part = replace(looked_up, source=other, unknown_kinds=("clamp",))
        combined = combination_of((1, 1)).combine([looked_up, part])
        less_sure = max(Source.LOOKUP, other, key=FROM_SURE_TO_UNSURE.index)
        assert combined.source is less_sure
        assert combined.unknown_kinds == ("clamp",)


@pytest.mark.parametrize(
    ("latency_ns", "weight", "message"),
    [
        (0, None, "target latency must be above zero"),
        (-1, 1.0, "target latency must be above zero"),
        (10, 0.0, "a weight must be above zero"),
        (10, float("nan"), "a weight must be above zero"),
    ],
)
def test_what_makes_no_sense_is_refused(
    latency_ns: int, weight: float | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SearchTarget("phone", latency_ns, weight)
