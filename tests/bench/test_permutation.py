from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test

from tests.bench.permutation import MOST, p_value


@given(st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=8))
def test_it_is_the_exact_test_of_signs(differences: list[float]) -> None:
    expected = permutation_test(
        (np.array(differences),),
        np.sum,
        permutation_type="samples",
        alternative="greater",
        n_resamples=2 ** len(differences),
    )
    assert p_value(differences) == pytest.approx(expected.pvalue)


def test_twenty_gains_alike_cannot_be_less_likely() -> None:
    assert p_value([0.1] * 20) == 2**-20
    assert p_value([-0.1] * 20) == 1
    assert p_value([0.0] * 20) == 1


@pytest.mark.parametrize("count", [0, MOST + 1])
def test_what_cannot_be_exact_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"not {count}"):
        p_value([0.1] * count)
