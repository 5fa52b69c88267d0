"""List the kernels of a program without reading its bytes: from the graphs that ExecuTorch
serializes into it, and from the program as ExecuTorch itself reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as xnn
from executorch.exir import schema
from executorch.exir._serialize._program import deserialize_pte_binary
from executorch.exir.scalar_type import ScalarType

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel, Shape
from latlab.programs.xnnpack_kernels import with_look_up_tables

Graphs = dict[bytes, xnn.XNNGraph]

_KINDS: dict[type, str] = {
    xnn.XNNConv2d: k.CONV2D,
    xnn.XNNDepthwiseConv2d: k.DEPTHWISE_CONV2D,
    xnn.XNNFullyConnected: k.FULLY_CONNECTED,
    xnn.XNNAdd: k.ADD,
    xnn.XNNMultiply: k.MULTIPLY,
    xnn.XNNSigmoid: k.SIGMOID,
    xnn.XNNHardswish: k.HARDSWISH,
    xnn.XNNClamp: k.CLAMP,
    xnn.XNNGlobalAvgPooling2d: k.GLOBAL_AVG_POOL2D,
    xnn.XNNAvgPooling2d: k.AVG_POOL2D,
    xnn.XNNMaxPooling2d: k.MAX_POOL2D,
    xnn.XNNConcatenate2: k.CONCATENATE,
    xnn.XNNConcatenate3: k.CONCATENATE,
    xnn.XNNConcatenate4: k.CONCATENATE,
    xnn.XNNConcatenate5: k.CONCATENATE,
    xnn.XNNStaticTranspose: k.TRANSPOSE,
    xnn.XNNStaticReshape: k.RESHAPE,
    xnn.XNNStaticConstantPad: k.CONSTANT_PAD,
}

_TORCH_NAMES = {
    ScalarType.FLOAT: "float32",
    ScalarType.HALF: "float16",
    ScalarType.BYTE: "uint8",
    ScalarType.CHAR: "int8",
    ScalarType.SHORT: "int16",
    ScalarType.INT: "int32",
    ScalarType.LONG: "int64",
    ScalarType.BOOL: "bool",
}
_ACTIVATIONS = {(0.0, float("inf")): "relu", (0.0, 6.0): "relu6"}


def listed(
    data: bytes, graphs: Mapping[bytes, xnn.XNNGraph]
) -> tuple[tuple[Kernel, ...], tuple[str, ...]]:
    """Return a program's kernels and the operators outside its delegates."""
    program = deserialize_pte_binary(data).program
    (plan,) = program.execution_plan
    kernels: list[Kernel] = []
    undelegated: dict[str, None] = {}
    for instruction in (i for chain in plan.chains for i in chain.instructions):
        call = instruction.instr_args
        if isinstance(call, schema.DelegateCall):
            payload = plan.delegates[call.delegate_index].processed.index
            kernels += graph_kernels(graphs[bytes(program.backend_delegate_data[payload].data)])
        elif isinstance(call, schema.KernelCall):
            name = plan.operators[call.op_index].name.removeprefix("aten::")
            kernels.append(_portable_kernel(name, call, plan))
            undelegated[name] = None
    return tuple(kernels), tuple(undelegated)


def graph_kernels(graph: xnn.XNNGraph) -> list[Kernel]:
    """Return the kernels of an XNNPACK graph, in the graph's order."""
    # A quantized value holds a plain one and its scale.
    values = [
        getattr(value.xvalue_union, "tensor_value", value.xvalue_union) for value in graph.xvalues
    ]
    return with_look_up_tables(_kernel(node, values) for node in graph.xnodes)


def _kernel(node: xnn.XNode, values: list[Any]) -> Kernel:
    op = node.xnode_union
    output_id = op.output_id if hasattr(op, "output_id") else op.output_value_id
    output = values[output_id]
    inputs = [
        values[getattr(op, name)]
        for name in vars(op)
        if re.fullmatch(r"input\d?_id", name) and getattr(op, name) < len(values)
    ]
    common: dict[str, Any] = {
        "kind": _KINDS.get(type(op)) or _snake_case(type(op).__name__.removeprefix("XNN")),
        "inputs": tuple(tuple(value.dims) for value in inputs),
        "output": tuple(output.dims),
        "activation": _activation(node.output_min_max),
        "dtype": _dtype(output.datatype),
    }
    if isinstance(op, xnn.XNNNodeConv):
        return Kernel(
            kernel_size=(op.kernel_height, op.kernel_width),
            stride=(op.subsampling_height, op.subsampling_width),
            dilation=op.dilation_height,
            groups=op.groups,
            **common,
        )
    if isinstance(op, xnn.XNNPooling2D):
        return Kernel(
            kernel_size=(op.pooling_height, op.pooling_width),
            stride=(op.stride_height, op.stride_width),
            dilation=max(1, op.dilation_height),  # average pools write 0
            **common,
        )
    return Kernel(**common)


def _activation(limits: xnn.OutputMinMax | None) -> str:
    if limits is None:
        return ""
    return _ACTIVATIONS.get((float(limits.output_min), float(limits.output_max)), "clamp")


def _dtype(datatype: xnn.XNNDatatype) -> str:
    name: str = datatype.name.removeprefix("xnn_datatype_")
    return {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}.get(name, name)


def _portable_kernel(name: str, call: schema.KernelCall, plan: schema.ExecutionPlan) -> Kernel:
    """Return the kernel of an operator outside the delegates. Its last argument is its output."""
    *before, last = (list(_tensors(plan.values[index].val, plan)) for index in call.args)
    inputs = [
        tensor
        for tensors in before
        for tensor in tensors
        if tensor.data_buffer_idx == 0 and not any(tensor is output for output in last)
    ]
    return Kernel(
        kind=f"portable:{name}",
        inputs=tuple(_shape(tensor) for tensor in inputs),
        output=_shape(last[0]),
        dtype=_TORCH_NAMES[last[0].scalar_type],
    )


def _tensors(value: object, plan: schema.ExecutionPlan) -> Iterator[schema.Tensor]:
    if isinstance(value, schema.Tensor):
        yield value
    elif isinstance(value, schema.TensorList):
        for index in value.items:
            yield from _tensors(plan.values[index].val, plan)


def _shape(tensor: schema.Tensor) -> Shape:
    return tuple(tensor.sizes)


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
