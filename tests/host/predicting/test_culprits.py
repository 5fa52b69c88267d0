"""Fitting on networks some of which nothing can be fitted on."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.predicting.culprits import MAX_FITS, fit_without_culprits
from latlab.domain.errors import NotEnoughData

LEAST = 4


def fit(networks: Sequence[int]) -> list[int]:
    """Of numbers, the negative ones of which are culprits."""
    if len(networks) < LEAST:
        raise NotEnoughData("too few")
    if min(networks) < 0:
        raise ZeroDivisionError(f"of {min(networks)}")
    return list(networks)


@given(st.integers(2 * LEAST + 2, 60), st.sets(st.integers(0, 59), max_size=2))
def test_few_culprits_among_many_are_found(count: int, culprits: set[int]) -> None:
    networks = {str(n): -1 if n in culprits else n for n in range(count)}
    wanted = [n for n in networks.values() if n >= 0]
    fitted, left_out = fit_without_culprits(fit, networks)
    assert fitted == wanted
    assert left_out.keys() == {str(n) for n in culprits if n < count}
    assert all("ZeroDivisionError: of -1" in why for why in left_out.values())


@pytest.mark.parametrize("culprit", range(LEAST + 1))
def test_one_culprit_is_found_among_the_fewest_that_suffice(culprit: int) -> None:
    networks = {str(n): -1 if n == culprit else n for n in range(LEAST + 1)}
    fitted, left_out = fit_without_culprits(fit, networks)
    assert len(fitted) == LEAST
    assert list(left_out) == [str(culprit)]


def test_it_ends_where_all_are_culprits() -> None:
    fits = []

    def counted(networks: Sequence[int]) -> list[int]:
        fits.append(len(networks))
        return fit(networks)

    with pytest.raises(NotEnoughData, match="ZeroDivisionError"):
        fit_without_culprits(counted, {str(n): -1 for n in range(1_000)})
    assert len(fits) <= MAX_FITS + 2


def test_too_few_are_too_few() -> None:
    with pytest.raises(NotEnoughData, match="too few"):
        fit_without_culprits(fit, {"a": 1})
