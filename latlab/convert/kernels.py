"""Convert shapes, inputs and kernels to and from protobuf messages."""

from __future__ import annotations

from collections.abc import Iterable

from latlab.domain.kernel import Kernel, Shape
from latlab.domain.program import TensorSpec
from latlab.v1 import common_pb2


def shape_to_message(shape: Shape) -> common_pb2.Shape:
    """Return the protobuf message for a shape."""
    return common_pb2.Shape(dims=shape)


def shapes_from_messages(messages: Iterable[common_pb2.Shape]) -> tuple[Shape, ...]:
    """Return the shapes that protobuf messages hold."""
    return tuple(tuple(message.dims) for message in messages)


def tensor_spec_to_message(spec: TensorSpec) -> common_pb2.TensorSpec:
    """Return the protobuf message for a tensor spec."""
    return common_pb2.TensorSpec(
        shape=shape_to_message(spec.shape), dtype=spec.dtype, low=spec.low, high=spec.high
    )


def tensor_specs_from_messages(
    specs: Iterable[common_pb2.TensorSpec], shapes: Iterable[common_pb2.Shape]
) -> tuple[TensorSpec, ...]:
    """Return the inputs of a program that protobuf messages hold.

    Args:
        specs: The inputs' messages.
        shapes: The inputs' shapes. Without `specs`, as version 0.1 sends them, all are float32.

    Raises:
        ValueError: An input contradicts itself.
    """
    return tuple(
        TensorSpec(
            shape=tuple(spec.shape.dims),
            dtype=spec.dtype,
            low=spec.low if spec.HasField("low") else None,
            high=spec.high if spec.HasField("high") else None,
        )
        for spec in specs
    ) or tuple(map(TensorSpec, shapes_from_messages(shapes)))


def kernel_to_message(kernel: Kernel) -> common_pb2.Kernel:
    """Return the protobuf message for a kernel."""
    return common_pb2.Kernel(
        kind=kernel.kind,
        inputs=map(shape_to_message, kernel.inputs),
        output=shape_to_message(kernel.output),
        kernel_height=kernel.kernel_size[0],
        kernel_width=kernel.kernel_size[1],
        stride_height=kernel.stride[0],
        stride_width=kernel.stride[1],
        dilation=kernel.dilation,
        groups=kernel.groups,
        activation=kernel.activation,
        dtype=kernel.dtype,
    )


def kernel_from_message(message: common_pb2.Kernel) -> Kernel:
    """Return the kernel that a protobuf message holds."""
    return Kernel(
        kind=message.kind,
        inputs=shapes_from_messages(message.inputs),
        output=tuple(message.output.dims),
        kernel_size=(message.kernel_height, message.kernel_width),
        stride=(message.stride_height, message.stride_width),
        dilation=message.dilation,
        groups=message.groups,
        activation=message.activation,
        dtype=message.dtype,
    )
