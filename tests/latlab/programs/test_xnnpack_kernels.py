from __future__ import annotations

from dataclasses import replace

import pytest

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel
from latlab.programs.xnnpack_kernels import with_look_up_tables

SHAPE = (1, 4, 4, 8)
FROM_INT8 = Kernel(k.CONVERT, (SHAPE,), SHAPE)
SIGMOID = Kernel(k.SIGMOID, (SHAPE,), SHAPE)
TO_INT8 = replace(FROM_INT8, dtype="qint8")
ADD = Kernel(k.ADD, (SHAPE, SHAPE), SHAPE, dtype="qint8")


def test_an_operator_between_conversions_is_one_look_up_table() -> None:
    table = replace(SIGMOID, dtype="qint8")
    kernels = [TO_INT8, FROM_INT8, SIGMOID, TO_INT8, ADD, FROM_INT8, SIGMOID, TO_INT8, FROM_INT8]
    assert with_look_up_tables(kernels) == [TO_INT8, table, ADD, table, FROM_INT8]


@pytest.mark.parametrize(
    "kernels",
    [
        [FROM_INT8, SIGMOID],
        [SIGMOID, TO_INT8],
        [FROM_INT8, replace(SIGMOID, kind=k.AVG_POOL2D), TO_INT8],  # it sees its neighbours
        [FROM_INT8, replace(SIGMOID, inputs=((1, 2, 2, 8),)), TO_INT8],  # it takes something else
        [FROM_INT8, SIGMOID, FROM_INT8],
        [TO_INT8, SIGMOID, TO_INT8],
    ],
)
def test_what_stays_in_float32_stays_as_it_is(kernels: list[Kernel]) -> None:
    assert with_look_up_tables(kernels) == kernels
