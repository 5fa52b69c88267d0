"""What a kernel costs, in physical terms: work, bytes moved, padding to tiles."""

from __future__ import annotations

from math import ceil, prod

import numpy as np
from numpy.typing import NDArray

from latency_models import kernel as k
from latency_models.kernel import Kernel

FloatArray = NDArray[np.float64]


def multiply_adds(kernel: Kernel) -> int:
    """As papers count them: of convolutions and fully connected layers alone."""
    if kernel.kind in (k.CONV2D, k.DEPTHWISE_CONV2D):
        in_channels = kernel.inputs[0][-1]
        return prod(kernel.output) * prod(kernel.kernel_size) * in_channels // kernel.groups
    if kernel.kind == k.FULLY_CONNECTED:
        return prod(kernel.output) * kernel.inputs[0][-1]
    return 0


def cost_terms(kernel: Kernel) -> tuple[float, ...]:
    """Quantities that each cost time in proportion, of the same meaning for all kernels of
    one kind; the first is 1, for the cost of any call. Work is in multiply-adds, traffic in
    elements.
    """
    inputs = float(sum(prod(shape) for shape in kernel.inputs))
    output = float(prod(kernel.output))
    if kernel.kind not in (k.CONV2D, k.DEPTHWISE_CONV2D, k.FULLY_CONNECTED):
        return (1.0, inputs, output, output * prod(kernel.kernel_size))
    channels = kernel.output[-1]
    pixels = output / channels
    work = float(multiply_adds(kernel))
    padded_channels = _TILE_CHANNELS * ceil(channels / _TILE_CHANNELS)
    return (
        1.0,
        work,
        work * padded_channels / channels,
        inputs,
        output,
        work / pixels,  # the weights
        pixels * prod(kernel.kernel_size),
    )


def coordinates(kernel: Kernel) -> tuple[float, ...]:
    """Where a kernel lies among those of its kind: logarithms of its shape, for smooth
    models of what the cost terms leave unexplained.
    """
    in_channels, channels = kernel.inputs[0][-1], kernel.output[-1]
    pixels = prod(kernel.output) / channels
    return tuple(
        np.log2([in_channels, channels, pixels, kernel.kernel_size[0], kernel.stride[0]]).tolist()
    )


_TILE_CHANNELS = 16
