"""The values that the runner fills inputs with, computed a second time."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

_MASK = (1 << 64) - 1
_INDEX_RANGE = (0, 1)  # of int64 and int32 without a range


class Input(NamedTuple):
    shape: tuple[int, ...]
    dtype: str
    low: int | None
    high: int | None


def parse(text: str) -> Input:
    """text: as the runner's --input takes it."""
    found = re.fullmatch(r"([0-9x]*)(?::(\w+)(?::(-?\d+)\.\.(-?\d+))?)?", text)
    assert found, text
    shape, dtype, low, high = found.groups()
    dims = tuple(map(int, shape.split("x"))) if shape else ()
    return Input(
        dims, dtype or "float32", *(None if end is None else int(end) for end in (low, high))
    )


def make_inputs(texts: tuple[str, ...], seed: int) -> list[npt.NDArray[Any]]:
    arrays = []
    for given in map(parse, texts):
        array, seed = _make(given, seed)
        arrays.append(array)
    return arrays


def _make(given: Input, seed: int) -> tuple[npt.NDArray[Any], int]:
    count = int(np.prod(given.shape, dtype=np.int64))
    dtype = np.dtype(given.dtype)
    if dtype.kind == "f":
        uniform = ((_random(seed, 2 * count) >> np.uint64(11)).astype(np.float64) + 1) / 2.0**53
        radius, angle = np.sqrt(-2 * np.log(uniform[0::2])), 2 * np.pi * uniform[1::2]
        values = (radius * np.cos(angle)).astype(np.float32).astype(dtype)
        return values.reshape(given.shape), _advance(seed, 2 * count)
    random = _random(seed, count)
    if dtype.kind == "b":
        values = random >> np.uint64(63) == 1
    else:
        info = np.iinfo(dtype)
        low, high = _INDEX_RANGE if dtype.itemsize >= 4 else (info.min, info.max)
        if given.low is not None and given.high is not None:
            low, high = given.low, given.high
        span = high - low + 1
        drawn = (low + int(value) % span if span <= _MASK else low + int(value) for value in random)
        wrapped = [_wrap(value) for value in drawn]
        values = np.array(wrapped, dtype=np.int64).astype(dtype)
    return values.reshape(given.shape), _advance(seed, count)


def _wrap(value: int) -> int:
    return (value + (1 << 63) & _MASK) - (1 << 63)


def _advance(seed: int, count: int) -> int:
    return (seed + count * 0x9E3779B97F4A7C15) & _MASK


def _random(seed: int, count: int) -> npt.NDArray[np.uint64]:
    """splitmix64, all of a stretch at once."""
    steps = np.arange(1, count + 1, dtype=np.uint64)
    z = np.uint64(seed) + steps * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
