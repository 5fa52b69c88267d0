"""Sample series as BLOBs: little-endian int64 (or float64), nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def pack_int64(values: Sequence[int] | Sequence[Sequence[int]]) -> bytes:
    return np.asarray(values, dtype="<i8").tobytes()


def unpack_int64(blob: bytes) -> npt.NDArray[np.int64]:
    return np.frombuffer(blob, dtype="<i8")


def pack_float64(values: Sequence[float]) -> bytes:
    return np.asarray(values, dtype="<f8").tobytes()


def unpack_float64(blob: bytes) -> npt.NDArray[np.float64]:
    return np.frombuffer(blob, dtype="<f8")
