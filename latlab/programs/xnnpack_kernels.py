"""The kernels of an XNNPACK graph."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel, Shape
from latlab.programs.schema import xnnpack_generated as xnn
from latlab.programs.tables import WEIGHTS_ELSEWHERE, UnreadableProgram, item, items, numbers

_KINDS = {
    "XNNConv2d": k.CONV2D,
    "XNNDepthwiseConv2d": k.DEPTHWISE_CONV2D,
    "XNNFullyConnected": k.FULLY_CONNECTED,
    "XNNAdd": k.ADD,
    "XNNMultiply": k.MULTIPLY,
    "XNNSigmoid": k.SIGMOID,
    "XNNHardswish": k.HARDSWISH,
    "XNNClamp": k.CLAMP,
    "XNNGlobalAvgPooling2d": k.GLOBAL_AVG_POOL2D,
    "XNNAvgPooling2d": k.AVG_POOL2D,
    "XNNMaxPooling2d": k.MAX_POOL2D,
    "XNNConcatenate2": k.CONCATENATE,
    "XNNConcatenate3": k.CONCATENATE,
    "XNNConcatenate4": k.CONCATENATE,
    "XNNConcatenate5": k.CONCATENATE,
    "XNNStaticTranspose": k.TRANSPOSE,
    "XNNStaticReshape": k.RESHAPE,
    "XNNStaticConstantPad": k.CONSTANT_PAD,
}
_ACTIVATIONS = {(0.0, float("inf")): "relu", (0.0, 6.0): "relu6"}
_FLOATS = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}

_NODE_NAMES = {number: name for name, number in vars(xnn.XNodeUnion).items() if name[:3] == "XNN"}
_DATATYPE_NAMES = {
    number: name.removeprefix("xnn_datatype_")
    for name, number in vars(xnn.XNNDatatype).items()
    if name.startswith("xnn_datatype_")
}
# Node types of the same fields share a table; all others have one input and one output.
_SHARED_TABLES = [
    (
        re.compile("XNN(Add|Div|M(in|ax)imum|Multiply|BatchMatrixMultiply|Subtract|PReLU)"),
        xnn._XNNNode2x1,
    ),
    (re.compile("XNN(DepthwiseConv2d|Conv(Transpose)?2d)"), xnn._XNNNodeConv),
    (re.compile("XNN(Avg|Max)Pooling2d"), xnn._XNNPooling2D),
    (re.compile(r"XNNConcatenate\d"), xnn._XNNCat),
]
_INPUT = re.compile(r"Input\d?Id")


def graph_kernels(graph: xnn.XNNGraph, weights: Collection[bytes]) -> list[Kernel]:
    """Return the kernels of the graph, in order: one for each node or look-up table.

    Args:
        graph: The graph.
        weights: The names of the weights that the program holds.

    Raises:
        UnreadableProgram: The program does not hold the graph's weights, or a node is unknown.
    """
    for constant in items(graph.ConstantData, graph.ConstantDataLength()):
        key = constant.NamedKey()
        if key and key not in weights:
            raise UnreadableProgram(WEIGHTS_ELSEWHERE)
    return with_look_up_tables(_node_kernels(graph))


def kernel_nodes(graph: xnn.XNNGraph) -> list[int]:
    """Return for each kernel that `graph_kernels` returns the number of its node in the graph.

    That of a look-up table is the operator between the conversions.
    """
    return [number for number, _ in _run(_node_kernels(graph))]


def with_look_up_tables(kernels: Iterable[Kernel]) -> list[Kernel]:
    """Return the kernels of a graph's nodes as XNNPACK runs them in int8.

    It makes one look-up table of a conversion from int8, an operator of one input that computes
    element by element, and the conversion back. The result is the operator's kernel in int8.
    """
    return [kernel for _, kernel in _run(kernels)]


def _run(kernels: Iterable[Kernel]) -> list[tuple[int, Kernel]]:
    """Return the kernels with look-up tables, each with the number of its node."""
    run: list[tuple[int, Kernel]] = []
    for number, kernel in enumerate(kernels):
        if _ends_look_up_table([before for _, before in run[-2:]], kernel):
            operator, computed = run[-1]
            run[-2:] = [(operator, replace(computed, dtype=kernel.dtype))]
        else:
            run.append((number, kernel))
    return run


def _node_kernels(graph: xnn.XNNGraph) -> Iterator[Kernel]:
    """Yield the kernel of each node of a graph."""
    count = graph.XvaluesLength()

    @cache
    def value(index: int) -> _Value:
        return _read_value(item(graph.Xvalues, index, count))

    for node in items(graph.Xnodes, graph.XnodesLength()):
        yield _kernel(node, value, count)


def _ends_look_up_table(before: Sequence[Kernel], kernel: Kernel) -> bool:
    """Return whether the last two kernels before a kernel become a look-up table with it."""
    return (
        len(before) == 2
        and before[0].kind == kernel.kind == k.CONVERT
        and kernel.dtype in ("qint8", "quint8")
        and before[1].kind in k.UNARY_KINDS
        and before[1].inputs == (before[0].output,)
        and {each.dtype for each in before} == {"float32"}
    )


@dataclass(frozen=True)
class _Value:
    shape: Shape
    dtype: str


def _kernel(node: xnn.XNode, value: Callable[[int], _Value], count: int) -> Kernel:
    name = _NODE_NAMES.get(node.XnodeUnionType())
    if name is None:
        raise UnreadableProgram(
            f"the program has an XNNPACK node of the unknown type {node.XnodeUnionType()}: it was"
            " made by another version of ExecuTorch"
        )
    table_type = _node_table(name)
    operator = table_type()
    table = node.XnodeUnion()
    operator.Init(table.Bytes, table.Pos)
    output = value(_output_index(operator))
    inputs = (getattr(operator, method)() for method in _input_methods(table_type))
    common: dict[str, Any] = {
        "kind": _KINDS.get(name) or _snake_case(name.removeprefix("XNN")),
        "inputs": tuple(value(index).shape for index in inputs if index < count),
        "output": output.shape,
        "activation": _activation(node.OutputMinMax()),
        "dtype": output.dtype,
    }
    if isinstance(operator, xnn._XNNNodeConv):
        return Kernel(
            kernel_size=(operator.KernelHeight(), operator.KernelWidth()),
            stride=(operator.SubsamplingHeight(), operator.SubsamplingWidth()),
            dilation=operator.DilationHeight(),
            groups=operator.Groups(),
            **common,
        )
    if isinstance(operator, xnn._XNNPooling2D):
        return Kernel(
            kernel_size=(operator.PoolingHeight(), operator.PoolingWidth()),
            stride=(operator.StrideHeight(), operator.StrideWidth()),
            dilation=max(1, operator.DilationHeight()),  # 0 where an average pool leaves it unused
            **common,
        )
    return Kernel(**common)


def _node_table(name: str) -> Any:  # noqa: ANN401 -- a class of the generated code
    """Return the table of a node type; types of the same fields share one."""
    if hasattr(xnn, name):
        return getattr(xnn, name)
    for pattern, table in _SHARED_TABLES:
        if pattern.fullmatch(name):
            return table
    return xnn._XNNNode1x1


def _output_index(operator: Any) -> int:  # noqa: ANN401
    get = getattr(operator, "OutputId", None) or operator.OutputValueId
    index: int = get()
    return index


@cache
def _input_methods(table: Any) -> list[str]:  # noqa: ANN401 -- a class of the generated code
    return [method for method in vars(table) if _INPUT.fullmatch(method)]


def _read_value(value: xnn.XValue) -> _Value:
    """Return a value's shape and dtype; a quantized value holds the tensor beside its scale."""
    table = value.XvalueUnion()
    tensor = xnn.XNNTensorValue()
    if value.XvalueUnionType() == xnn.XValueUnion.XNNQuantizedTensorValue:
        quantized = xnn.XNNQuantizedTensorValue()
        quantized.Init(table.Bytes, table.Pos)
        tensor = quantized.TensorValue()
    else:
        tensor.Init(table.Bytes, table.Pos)
    shape = numbers(tensor, 2, "I")
    return _Value(shape, _dtype(tensor.Datatype()))


def _activation(limits: xnn.OutputMinMax | None) -> str:
    if limits is None:
        return ""
    return _ACTIVATIONS.get((limits.OutputMin(), limits.OutputMax()), "clamp")


def _dtype(datatype: int) -> str:
    name = _DATATYPE_NAMES.get(datatype, f"datatype{datatype}")
    return _FLOATS.get(name, name)


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
