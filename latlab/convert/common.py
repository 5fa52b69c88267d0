"""What programs and runs are made of: common.proto's messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from google.protobuf.message import Message

from latlab.domain.domain import (
    Conditions,
    Failure,
    FailureKind,
    KernelTrace,
    TensorSpec,
    Visit,
    VisitSpec,
)
from latlab.domain.kernel import Kernel, Shape
from latlab.v1 import common_pb2


def shape_to_message(shape: Shape) -> common_pb2.Shape:
    return common_pb2.Shape(dims=shape)


def shapes_from_messages(messages: Iterable[common_pb2.Shape]) -> tuple[Shape, ...]:
    return tuple(tuple(message.dims) for message in messages)


def tensor_spec_to_message(spec: TensorSpec) -> common_pb2.TensorSpec:
    return common_pb2.TensorSpec(
        shape=shape_to_message(spec.shape), dtype=spec.dtype, low=spec.low, high=spec.high
    )


def tensor_specs_from_messages(
    specs: Iterable[common_pb2.TensorSpec], shapes: Iterable[common_pb2.Shape]
) -> tuple[TensorSpec, ...]:
    """Read `specs`; where there are none, `shapes` of float32, as older versions send.
    Raises ValueError."""
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


def visit_spec_to_message(spec: VisitSpec) -> common_pb2.VisitSpec:
    return common_pb2.VisitSpec(**asdict(spec))


def visit_spec_from_message(message: common_pb2.VisitSpec) -> VisitSpec:
    return VisitSpec(**fields_of(message))


def conditions_to_message(conditions: Conditions) -> common_pb2.Conditions:
    present = {name: value for name, value in asdict(conditions).items() if value is not None}
    return common_pb2.Conditions(**present)


def conditions_from_message(message: common_pb2.Conditions) -> Conditions:
    return Conditions(**fields_of(message))


def visit_to_message(visit: Visit) -> common_pb2.Visit:
    return common_pb2.Visit(
        run_id=visit.run_id,
        traced=visit.traced,
        wall_ns=visit.wall_ns,
        cpu_ns=visit.cpu_ns,
        involuntary_switches=visit.involuntary_switches,
        warmup_runs=visit.warmup_runs,
        load_ns=visit.load_ns,
        peak_rss_bytes=visit.peak_rss_bytes,
        before=conditions_to_message(visit.before),
        after=conditions_to_message(visit.after),
        kernel_traces=[
            common_pb2.KernelTrace(
                name=trace.name, durations_ns=trace.durations_ns, instruction=trace.instruction
            )
            for trace in visit.kernel_traces
        ],
        first_run_ns=visit.first_run_ns,
        planned_bytes=visit.planned_bytes,
    )


def visit_from_message(message: common_pb2.Visit) -> Visit:
    return Visit(
        run_id=message.run_id,
        traced=message.traced,
        wall_ns=tuple(message.wall_ns),
        cpu_ns=tuple(message.cpu_ns),
        involuntary_switches=tuple(message.involuntary_switches),
        warmup_runs=message.warmup_runs,
        load_ns=message.load_ns,
        peak_rss_bytes=message.peak_rss_bytes if message.HasField("peak_rss_bytes") else None,
        before=conditions_from_message(message.before),
        after=conditions_from_message(message.after),
        kernel_traces=tuple(
            KernelTrace(
                trace.name,
                tuple(trace.durations_ns),
                trace.instruction if trace.HasField("instruction") else None,
            )
            for trace in message.kernel_traces
        ),
        first_run_ns=message.first_run_ns if message.HasField("first_run_ns") else None,
        planned_bytes=message.planned_bytes if message.HasField("planned_bytes") else None,
    )


def failure_to_message(failure: Failure) -> common_pb2.Failure:
    number = common_pb2.FailureKind.Value(f"FAILURE_KIND_{failure.kind.name}")
    return common_pb2.Failure(kind=number, message=failure.message)


def failure_from_message(message: common_pb2.Failure) -> Failure:
    name = common_pb2.FailureKind.Name(message.kind).removeprefix("FAILURE_KIND_")
    kind = FailureKind[name] if name in FailureKind.__members__ else FailureKind.AGENT_ERROR
    return Failure(kind, message.message)


def fields_of(message: Message) -> dict[str, Any]:
    """A flat message's fields by name; None for an optional one that is absent."""
    fields = message.DESCRIPTOR.fields
    return {
        field.name: getattr(message, field.name)
        if not field.has_presence or message.HasField(field.name)
        else None
        for field in fields
    }
