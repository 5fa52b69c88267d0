"""The Kernel: one operator as the backend runs it. What is timed, looked up and regressed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Kernel:
    """A convolution carries its bias and fused activation; border transposes and
    reshapes are kernels too. Shapes are as the backend sees them: NHWC inside it,
    NCHW on the outer side of a border transpose.

    Weights are no inputs. `kernel_size`, `stride`, `dilation` and `groups` are those of
    convolutions and pools and stay at 1 for the others.
    """

    kind: str
    inputs: tuple[Shape, ...]
    output: Shape
    kernel_size: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: int = 1
    groups: int = 1
    activation: str = ""
    dtype: str = "float32"

    def __str__(self) -> str:
        """The kernel in one line, equal for equal kernels only."""
        inputs = "+".join("x".join(map(str, shape)) or "scalar" for shape in self.inputs)
        parts = [
            f"{self.kind} {inputs}->{'x'.join(map(str, self.output))}",
            f"k{self.kernel_size[0]}x{self.kernel_size[1]}",
            f"s{self.stride[0]}x{self.stride[1]}",
            f"d{self.dilation}",
            f"g{self.groups}",
            self.activation or "linear",
            self.dtype,
        ]
        return " ".join(parts)


# Kinds as the exporter names them, after the XNNPACK node that each one is.
CONV2D = "conv2d"
DEPTHWISE_CONV2D = "depthwise_conv2d"
FULLY_CONNECTED = "fully_connected"
ADD = "add"
MULTIPLY = "multiply"
SIGMOID = "sigmoid"
HARDSWISH = "hardswish"
CLAMP = "clamp"
GLOBAL_AVG_POOL2D = "global_avg_pool2d"
AVG_POOL2D = "avg_pool2d"
MAX_POOL2D = "max_pool2d"
CONCATENATE = "concatenate"
TRANSPOSE = "transpose"
RESHAPE = "reshape"
CONSTANT_PAD = "constant_pad"

DELEGATED_KINDS = frozenset(
    {
        CONV2D,
        DEPTHWISE_CONV2D,
        FULLY_CONNECTED,
        ADD,
        MULTIPLY,
        SIGMOID,
        HARDSWISH,
        CLAMP,
        GLOBAL_AVG_POOL2D,
        AVG_POOL2D,
        MAX_POOL2D,
        CONCATENATE,
        TRANSPOSE,
        RESHAPE,
        CONSTANT_PAD,
    }
)


def pack(networks: Iterable[Sequence[Kernel]]) -> tuple[list[Kernel], list[int], list[int]]:
    """Many networks as one table of distinct kernels, and indices into it.

    Returns `(table, lengths, indices)`: the distinct kernels in order of first appearance, how
    many kernels each network has, and all their rows in the table, network after network.
    """
    rows: dict[Kernel, int] = {}
    lengths: list[int] = []
    indices: list[int] = []
    for kernels in networks:
        lengths.append(len(kernels))
        indices.extend(rows.setdefault(kernel, len(rows)) for kernel in kernels)
    return list(rows), lengths, indices
