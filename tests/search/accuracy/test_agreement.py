from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.accuracy.agreement import agreement

accuracies = st.floats(0, 1).map(lambda value: round(value, 2))
pairs = st.lists(st.tuples(accuracies, accuracies), min_size=5, max_size=24)


def test_one_order_and_its_reverse() -> None:
    rising = [n / 24 for n in range(24)]
    same, reverse = agreement(rising, rising), agreement(rising, rising[::-1])
    assert (same.kendall, same.lower, same.upper) == pytest.approx((1, 1, 1))
    assert (reverse.kendall, reverse.lower, reverse.upper) == pytest.approx((-1, -1, -1))
    assert same.networks == 24


def test_what_ranks_nothing_agrees_with_nothing() -> None:
    found = agreement([0.1] * 6, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert (found.kendall, found.lower, found.upper) == (0, 0, 0)


def test_a_few_networks_leave_it_open() -> None:
    found = agreement([0.1, 0.2, 0.3, 0.4, 0.5], [0.2, 0.1, 0.4, 0.5, 0.3])
    assert found.lower < 0 < found.kendall < found.upper
    assert "5 networks" in str(found)
    with pytest.raises(ValueError, match="5 networks or more, not 4"):
        agreement([0.1] * 4, [0.2] * 4)


@settings(max_examples=3, deadline=None)
@given(pairs)
def test_the_interval_is_one_of_rank_correlations_whichever_comes_first(
    drawn: list[tuple[float, float]],
) -> None:
    first, second = zip(*drawn, strict=True)
    found = agreement(first, second)
    assert -1 <= found.lower <= found.upper <= 1
    other = agreement(second, first)
    assert (other.lower, other.upper) == pytest.approx((found.lower, found.upper))
