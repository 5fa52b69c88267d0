from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from host.measuring.comparison import (
    CONFIDENCE,
    Comparison,
    compare,
    median_ranks,
    paired_spec,
)
from latlab.domain.benchmark_spec import MIN_PAIRS
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Conditions, Visit

NOW = Conditions(unix_ns=0)


def visit(ns: int, switches: int = 0) -> Visit:
    return Visit("v", False, (ns,) * 20, (ns,) * 20, (switches,) * 20, 10, 1, 1, NOW, NOW)


@given(st.lists(st.integers(10**6, 10**8), min_size=MIN_PAIRS, max_size=30), st.integers(2, 5))
def test_what_slows_both_of_a_pair_leaves_the_ratio_alone(moods: list[int], times: int) -> None:
    result = compare([visit(times * ns) for ns in moods], [visit(ns) for ns in moods])
    assert result == Comparison(times, times, times, len(moods), heat_unknown=True)


def test_a_pair_with_a_spoiled_visit_does_not_count() -> None:
    first = [visit(2_000_000)] * 6
    second = [*[visit(1_000_000)] * 5, visit(1, switches=1)]
    result = compare(first, second)
    assert isinstance(result, Comparison)
    assert (result.ratio, result.pairs) == (2.0, 5)
    assert result.heat_unknown
    warm = replace(NOW, temperature_c=40.0)
    both = [[replace(v, before=warm, after=warm) for v in visits] for visits in (first, second)]
    known = compare(*both)
    assert isinstance(known, Comparison)
    assert not known.heat_unknown
    spoiled = compare(first, [replace(v, involuntary_switches=(1,) * 20) for v in second])
    assert isinstance(spoiled, Failure)
    assert spoiled.kind is FailureKind.DISTURBED
    assert "0 of 6 pairs" in spoiled.message


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 5 pairs"):
        paired_spec(4)
    assert paired_spec(20).min_visits == paired_spec(20).max_visits == 20


@given(st.integers(1, 200))
def test_the_interval_holds_the_median_as_often_as_it_says(n: int) -> None:
    low, high = median_ranks(n)
    assert 0 <= low <= high < n
    assert low == n - 1 - high
    below = binom(n, 0.5)  # how many values lie below the median
    tail = (1 - CONFIDENCE) / 2
    assert low == 0 or below.cdf(low) <= tail * (1 + 1e-9)
    assert low >= (n - 1) // 2 or below.cdf(low + 1) > tail * (1 - 1e-9)
