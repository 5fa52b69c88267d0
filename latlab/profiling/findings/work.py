"""How much a kernel computes and moves, by its shapes."""

from __future__ import annotations

import math

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel

CONVOLUTIONS = frozenset({k.CONV2D, k.DEPTHWISE_CONV2D, k.CONV_TRANSPOSE2D})

_NARROW = 16  # channels of the narrower kernels for AVX-512
_DTYPE_BYTES = {"qint8": 1, "quint8": 1, "qdint8": 1, "int8": 1, "uint8": 1, "bool": 1}
_DTYPE_BYTES |= {"float16": 2, "bfloat16": 2, "int16": 2, "int64": 8, "float64": 8}


def has_shapes(kernel: Kernel) -> bool:
    """Return whether a kernel's shapes are such as its kind has."""
    if kernel.kind in CONVOLUTIONS:
        return weights(kernel) > 0 and kernel.groups <= kernel.output[-1]
    return bool(kernel.inputs) or kernel.kind.startswith(k.PORTABLE)


def value_bytes(dtype: str) -> int:
    """Return how many bytes one value of a dtype has."""
    return _DTYPE_BYTES.get(dtype, 4)


def moved_bytes(kernel: Kernel) -> int:
    """Return how many bytes a kernel reads and writes, without weights."""
    values = sum(map(math.prod, kernel.inputs)) + math.prod(kernel.output)
    return values * value_bytes(kernel.dtype)


def output_positions(kernel: Kernel) -> int:
    """Return for how many positions a kernel with weights uses each of them, as in H times W."""
    positions = math.prod(kernel.output[:-1])
    if kernel.kind == k.CONV_TRANSPOSE2D:  # its weights spread each position of its input
        positions = math.prod(kernel.inputs[0][:-1])
    return positions


def weights(kernel: Kernel) -> int:
    """Return how many weights a convolution or fully connected layer has; 0 for all others."""
    if not kernel.inputs or not kernel.inputs[0] or not kernel.output:
        return 0
    if kernel.kind == k.FULLY_CONNECTED and len(kernel.inputs) == 1:
        return kernel.inputs[0][-1] * kernel.output[-1]
    if kernel.kind in CONVOLUTIONS:
        seen = kernel.inputs[0][-1] // max(1, kernel.groups)
        return seen * kernel.output[-1] * math.prod(kernel.kernel_size)
    return 0


def multiply_adds(kernel: Kernel) -> int:
    """Return how many multiply-adds a convolution or fully connected layer computes; else 0."""
    return weights(kernel) * output_positions(kernel)


def computed_channels(kernel: Kernel, vector_floats: int, channels: int | None = None) -> int:
    """Return for how many output channels XNNPACK's float32 kernels compute.

    They compute whole vector registers: a depthwise convolution one at a time, one with a window
    two, and all others as many as hold 16 values, or 8 with NEON.

    Args:
        kernel: A convolution or fully connected layer.
        vector_floats: How many float32 values a vector register holds.
        channels: The number of output channels; None for the kernel's own.
    """
    channels = kernel.output[-1] if channels is None else channels
    two_registers = 2 * vector_floats
    if kernel.kind == k.DEPTHWISE_CONV2D:
        step = vector_floats
    elif kernel.kernel_size == (1, 1) or channels <= _NARROW:
        step = min(two_registers, _NARROW)
    else:
        step = two_registers
    return -(-channels // step) * step
