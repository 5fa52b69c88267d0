"""Kernels: operators as the backend runs them. They are timed, looked up and regressed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from math import prod

Shape = tuple[int, ...]

# Names of precisions, by the dtype that most kernels have in it.
_PRECISIONS = {"float16": "fp16", "qint8": "int8"}

# Others are quantized to 1.
_ELEMENT_BYTES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "int64": 8,
    "int32": 4,
    "int16": 2,
}


class _Hashed:
    """Room for a kernel's hash, which is no field: it holds in one process alone."""

    __slots__ = ("_hash",)
    _hash: int


@dataclass(frozen=True, slots=True, order=True)
class Kernel(_Hashed):
    """One operator as the backend runs it.

    A convolution includes its bias and fused activation. The transposes and reshapes at the
    backend's borders are kernels too. Shapes are those that the backend sees: NHWC inside it, and
    NCHW on the outer side of a border transpose.

    Attributes:
        kind: The kind of operator, such as CONV2D.
        inputs: The inputs' shapes, without weights.
        output: The output's shape.
        kernel_size: Height and width of the window of a convolution or pool; else 1.
        stride: Vertical and horizontal stride of a convolution or pool; else 1.
        dilation: The dilation of a convolution or pool; else 1.
        groups: The number of groups of a convolution; else 1.
        activation: The fused activation, such as "relu"; empty if there is none.
        dtype: The data type of the output.
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

    def __hash__(self) -> int:
        """Return the hash of all fields. It is kept, since tables of kernels ask for it often."""
        try:
            return self._hash
        except AttributeError:
            shapes = self.inputs, self.output
            window = self.kernel_size, self.stride, self.dilation, self.groups
            found = hash((self.kind, shapes, window, self.activation, self.dtype))
            object.__setattr__(self, "_hash", found)
            return found

    @property
    def typed_kind(self) -> str:
        """The kind, after the precision where that is not float32, as in "int8 conv2d".

        Kernels of one typed kind share a model: another dtype is computed by other code.
        """
        if self.dtype == "float32":
            return self.kind
        return f"{_PRECISIONS.get(self.dtype, self.dtype)} {self.kind}"

    @property
    def element_bytes(self) -> int:
        """The bytes of one element."""
        return _ELEMENT_BYTES.get(self.dtype, 1)

    @property
    def inputs_bytes(self) -> int:
        """The bytes that the kernel reads, without weights."""
        return self.element_bytes * sum(map(elements, self.inputs))

    @property
    def output_bytes(self) -> int:
        """The bytes that the kernel writes."""
        return self.element_bytes * elements(self.output)

    @property
    def moved_bytes(self) -> int:
        """The bytes that the kernel reads and writes, without weights."""
        return self.inputs_bytes + self.output_bytes

    @property
    def positions(self) -> int:
        """The pixels, or rows of a matrix, that share one set of weights."""
        swept = self.output
        if self.kind == CONV_TRANSPOSE2D:  # its weights spread each pixel of its input
            swept = self.inputs[0] if self.inputs else ()
        return elements(swept[:-1])

    @property
    def multiply_adds(self) -> int:
        """The multiply-adds of a convolution or a product of matrices; 0 for other kinds."""
        if self.kind not in MULTIPLYING_KINDS:
            return 0
        source, target = self.inputs[0] if self.inputs else (), self.output
        if self.kind == CONV_TRANSPOSE2D:  # it adds each input to the outputs under the window
            source, target = target, source
        depth = elements(source[-1:]) // max(1, self.groups)
        return elements(target) * elements(self.kernel_size) * depth

    @property
    def weights(self) -> int:
        """The weights of a convolution, or the elements of a product's second matrix; else 0."""
        return self.multiply_adds // self.positions

    @property
    def weights_bytes(self) -> int:
        """The bytes of its weights."""
        return self.weights * self.element_bytes

    def __str__(self) -> str:
        """Return the kernel in one line. Lines are equal for equal kernels only."""
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


def elements(shape: Shape) -> int:
    """Return the number of elements, at least 1: even an empty tensor costs a call."""
    return max(1, prod(shape))


# How the kind of an operator begins that runs outside the backend.
PORTABLE = "portable:"

# The exporter's names of the kinds, each after its XNNPACK node.
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
CONVERT = "convert"

# Operators of one input that compute element by element.
UNARY_KINDS = frozenset(
    {
        SIGMOID,
        HARDSWISH,
        CLAMP,
        "abs",
        "ceiling",
        "cos",
        "elu",
        "exp",
        "floor",
        "gelu",
        "leaky_re_lu",
        "log",
        "negate",
        "reciprocal_square_root",
        "sin",
        "square",
        "square_root",
        "tanh",
    }
)

# They occur in other networks than those of a search space.
CONV_TRANSPOSE2D = "conv_transpose2d"
BATCH_MATRIX_MULTIPLY = "batch_matrix_multiply"

CONVOLUTIONS = frozenset({CONV2D, DEPTHWISE_CONV2D, CONV_TRANSPOSE2D})
MULTIPLYING_KINDS = CONVOLUTIONS | {FULLY_CONNECTED, BATCH_MATRIX_MULTIPLY}

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


_NEW = -1  # no row of a table


def pack(networks: Iterable[Sequence[Kernel]]) -> tuple[list[Kernel], list[int], list[int]]:
    """Pack networks into one table of distinct kernels, and indices into it.

    Returns:
        The distinct kernels in order of first appearance, the number of kernels of each network,
        and the table's rows of all kernels, network after network.
    """
    rows: dict[Kernel, int] = {}
    lengths: list[int] = []
    indices: list[int] = []
    # Networks share objects, and hashing one takes longer than looking up its address. An object
    # is kept as long as its address counts.
    kept: list[Kernel] = []
    rows_by_address: dict[int, int] = {}
    for network in networks:
        lengths.append(len(network))
        found = list(map(rows_by_address.get, map(id, network), repeat(_NEW)))
        for place, kernel in enumerate(network) if _NEW in found else ():
            if found[place] == _NEW:
                found[place] = rows_by_address[id(kernel)] = rows.setdefault(kernel, len(rows))
                kept.append(kernel)
        indices += found
    return list(rows), lengths, indices
