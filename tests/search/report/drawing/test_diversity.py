from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from search.report.drawing.diversity import ASPECTS, blocks_at_each_place, effective_number, shares
from search.space.zoo import ZOO

unhurried = hypothesis_settings(deadline=None)


@unhurried
@given(st.lists(st.integers(0, 5), min_size=1))
def test_the_effective_number_lies_between_one_and_all_kinds(things: list[int]) -> None:
    assert 1 - 1e-9 <= effective_number(things) <= len(set(things)) + 1e-9


def test_equally_frequent_kinds_count_in_full() -> None:
    assert effective_number("aabbcc") == pytest.approx(3)
    assert effective_number("aaaa") == pytest.approx(1)
    assert 1 < effective_number("aaab") < 2


@pytest.mark.parametrize("aspect", ASPECTS)
def test_shares_of_each_place_sum_to_one(aspect: str) -> None:
    places = blocks_at_each_place(list(ZOO.values()))
    assert len(places) == 7
    for blocks in places:
        assert sum(shares(blocks, ASPECTS[aspect]).values()) == pytest.approx(1)


def test_shares_count_choices() -> None:
    third = blocks_at_each_place(list(ZOO.values()))[2]
    assert shares(third, ASPECTS["kernel"]) == {"5×5": 0.5, "3×3": 0.5}
