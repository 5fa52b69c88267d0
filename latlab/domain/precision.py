"""Precisions: what a program computes with."""

from __future__ import annotations

from enum import Enum


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
