"""Precisions: what a program computes with."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from latlab.domain.kernel import Kernel


class Precision(Enum):
    """The type of a program's weights and activations.

    Attributes:
        FP32: float32, as networks are trained.
        FP16: float16.
        INT8: int8 where XNNPACK has such operators, quantized after training, by channel.
    """

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


def precision_of(kernels: Iterable[Kernel]) -> Precision:
    """Return the precision of a network: int8 if any of its kernels is quantized to int8."""
    dtypes = {kernel.dtype for kernel in kernels}
    if "qint8" in dtypes:
        return Precision.INT8
    return Precision.FP16 if "float16" in dtypes else Precision.FP32


def left_in_float(kernels: Iterable[Kernel]) -> tuple[str, ...]:
    """Return the kinds of the kernels of an int8 program that compute in floating point.

    What only converts between int8 and floating point is not among them.

    Args:
        kernels: The program's kernels.

    Returns:
        Each kind once, in order of appearance.
    """
    kinds = [
        kernel.kind
        for kernel in kernels
        if kernel.dtype.startswith(("float", "bfloat")) and kernel.kind != "convert"
    ]
    return tuple(kind for kind in dict.fromkeys(kinds) if "quantize" not in kind)
