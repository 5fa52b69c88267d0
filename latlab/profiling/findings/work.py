"""The work of a kernel, by its shapes."""

from __future__ import annotations

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel

_NARROW = 16  # channels of the narrower kernels for AVX-512


def has_shapes(kernel: Kernel) -> bool:
    """Return whether a kernel's shapes are such as its kind has."""
    if kernel.kind in k.CONVOLUTIONS:
        shapes = (*kernel.inputs[:1], kernel.output)
        return len(shapes) == 2 and all(s and s[-1] >= kernel.groups >= 1 for s in shapes)
    return bool(kernel.inputs) or kernel.kind.startswith(k.PORTABLE)


def layer_weights(kernel: Kernel) -> int:
    """Return how many constant weights a convolution or fully connected layer has; else 0."""
    is_layer = kernel.kind in k.CONVOLUTIONS or (
        kernel.kind == k.FULLY_CONNECTED and len(kernel.inputs) == 1
    )
    return kernel.weights if is_layer else 0


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
