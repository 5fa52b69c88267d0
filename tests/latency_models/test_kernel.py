from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from latency_models.kernel import ADD, Kernel, Shape

shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@given(st.lists(st.lists(shapes, max_size=3).map(tuple), min_size=2, max_size=2))
def test_only_equal_kernels_read_the_same(inputs: list[tuple[Shape, ...]]) -> None:
    for one, other in pairwise(inputs):
        kernels = Kernel(ADD, one, ()), Kernel(ADD, other, ())
        assert (str(kernels[0]) == str(kernels[1])) == (one == other)


def test_no_input_is_not_a_scalar() -> None:
    assert str(Kernel(ADD, (), ())) != str(Kernel(ADD, ((),), ()))
