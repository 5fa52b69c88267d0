"""Precisions: what a program computes with."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from latlab.domain.kernel import Kernel


class Precision(Enum):
    """What the weights and activations of a program are.

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
