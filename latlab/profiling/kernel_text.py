"""Kernels as short texts for people."""

from __future__ import annotations

import math

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel, Shape

_WINDOWED = frozenset(
    {k.CONV2D, k.DEPTHWISE_CONV2D, k.CONV_TRANSPOSE2D, k.AVG_POOL2D, k.MAX_POOL2D}
)


def kernel_text(kernel: Kernel) -> str:
    """Return a kernel in a few words, as in "conv2d 3x3/2 3->32 at 112x112 relu".

    The text leaves out what is usual: a batch of one, a stride or dilation of one, and float32.
    Kernels that differ may have the same text.
    """
    kind = kernel.typed_kind.replace(k.PORTABLE, "").replace(k.DEPTHWISE_CONV2D, "depthwise")
    words = [kind]
    if kernel.kind in _WINDOWED and len(kernel.output) == 4:
        words += _window(kernel)
    elif kernel.kind == k.FULLY_CONNECTED and kernel.inputs and kernel.inputs[0]:
        rows = math.prod(kernel.output[:-1])
        words.append(f"{kernel.inputs[0][-1]}->{kernel.output[-1]}" if kernel.output else "")
        words.append(f"at {rows}" if rows > 1 else "")
    else:
        words.append(_sizes(kernel.output))
    words.append(kernel.activation)
    return " ".join(filter(None, words))


def _window(kernel: Kernel) -> list[str]:
    height, width = kernel.kernel_size
    stride = max(kernel.stride)
    window = f"{height}x{width}" + (f"/{stride}" if stride > 1 else "")
    channels = str(kernel.output[-1])
    if kernel.inputs and kernel.inputs[0] and kernel.inputs[0][-1] != kernel.output[-1]:
        channels = f"{kernel.inputs[0][-1]}->{channels}"
    groups = kernel.groups if kernel.kind != k.DEPTHWISE_CONV2D else 1
    return [
        window,
        f"dilated {kernel.dilation}" if kernel.dilation > 1 else "",
        channels,
        f"in {groups} groups" if groups > 1 else "",
        f"at {kernel.output[1]}x{kernel.output[2]}",
    ]


def _sizes(shape: Shape) -> str:
    """Return the sizes of a shape without a batch of one."""
    sizes = shape[1:] if len(shape) > 1 and shape[0] == 1 else shape
    return "x".join(map(str, sizes))
