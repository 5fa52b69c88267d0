"""What inputs are filled with: the same on every machine, and within the range named."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latlab.domain.program import TensorSpec
from tests.device_agent.runner_values import make_inputs
from tests.latlab.convert import strategies

small_specs = st.tuples(
    strategies.tensor_specs, st.lists(st.integers(1, 5), max_size=3).map(tuple)
).map(lambda drawn: TensorSpec(drawn[1], drawn[0].dtype, drawn[0].low, drawn[0].high))


def printed(trials: Path, seed: int, texts: tuple[str, ...]) -> list[bytes]:
    done = subprocess.run(
        [trials / "runner-values", str(seed), *texts], capture_output=True, check=True, timeout=60
    )
    return [bytes.fromhex(line) for line in done.stdout.decode().splitlines()]


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), specs=st.lists(small_specs, min_size=1, max_size=3))
def test_the_values_are_those_that_are_written_down(
    trials: Path, seed: int, specs: list[TensorSpec]
) -> None:
    texts = tuple(map(str, specs))
    expected = make_inputs(texts, seed)
    for spec, values, array in zip(specs, printed(trials, seed, texts), expected, strict=True):
        given_values = np.frombuffer(values, array.dtype).reshape(array.shape)
        if array.dtype.kind == "f":  # the two mathematical libraries may differ in the last bit
            np.testing.assert_allclose(
                given_values, array, rtol=2e-3 if array.itemsize == 2 else 1e-6
            )
        else:
            np.testing.assert_array_equal(given_values, array)
        if spec.low is not None and spec.high is not None:
            assert spec.low <= int(given_values.min()) <= int(given_values.max()) <= spec.high


def test_floats_are_standard_normal(trials: Path) -> None:
    for dtype in ("float32", "float16"):
        [data] = printed(trials, 7, (f"100x100:{dtype}",))
        values = np.frombuffer(data, dtype).astype(np.float64)
        assert abs(values.mean()) < 0.05
        assert abs(values.std() - 1) < 0.05


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("int64", {0, 1}),
        ("int32", {0, 1}),
        ("bool", {0, 1}),
        ("int8", set(range(-128, 128))),
        ("uint8", set(range(256))),
        ("int64:5..7", {5, 6, 7}),
        ("int8:-2..-1", {-2, -1}),
    ],
)
def test_every_value_of_the_range_is_drawn(trials: Path, dtype: str, expected: set[int]) -> None:
    [data] = printed(trials, 7, (f"100x100:{dtype}",))
    assert set(np.frombuffer(data, dtype.split(":")[0]).astype(int).tolist()) == expected
