from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from latlab.domain.kernel import ADD, Kernel, Shape

shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)


inputs = st.lists(shapes, max_size=3).map(tuple)


@given(inputs, inputs)
def test_only_equal_kernels_read_the_same(one: tuple[Shape, ...], other: tuple[Shape, ...]) -> None:
    assert (str(Kernel(ADD, one, ())) == str(Kernel(ADD, other, ()))) == (one == other)


def test_no_input_is_not_a_scalar() -> None:
    assert str(Kernel(ADD, (), ())) != str(Kernel(ADD, ((),), ()))
