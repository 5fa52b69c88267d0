"""Between the lab's nouns and the wire's messages: the one place on the host that knows both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from google.protobuf.message import Message

from host.domain import (
    BenchmarkSpec,
    Conditions,
    CoreClass,
    Device,
    DeviceEvent,
    DeviceHistory,
    EventKind,
    Failure,
    FailureKind,
    KernelTrace,
    Measurement,
    Program,
    SentinelReading,
    Target,
    Visit,
    VisitSpec,
)
from latency_models.estimate import LatencyEstimate, Source
from latency_models.kernel import Kernel, Shape
from latency_models.observation import MeasuredNetwork
from protos import common_pb2, device_agent_pb2, lab_pb2, latency_pb2


def shape_to_message(shape: Shape) -> common_pb2.Shape:
    return common_pb2.Shape(dims=shape)


def shapes_from_messages(messages: Iterable[common_pb2.Shape]) -> tuple[Shape, ...]:
    return tuple(tuple(message.dims) for message in messages)


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


def program_to_message(program: Program) -> latency_pb2.Program:
    return latency_pb2.Program(
        sha256=program.sha256,
        size_bytes=program.size_bytes,
        backend=program.backend,
        input_shapes=map(shape_to_message, program.input_shapes),
        kernels=map(kernel_to_message, program.kernels),
        undelegated=program.undelegated,
        exporter=program.exporter,
    )


def program_from_message(message: latency_pb2.Program) -> Program:
    return Program(
        sha256=message.sha256,
        size_bytes=message.size_bytes,
        backend=message.backend,
        input_shapes=shapes_from_messages(message.input_shapes),
        kernels=tuple(map(kernel_from_message, message.kernels)),
        undelegated=tuple(message.undelegated),
        exporter=message.exporter,
    )


def visit_spec_to_message(spec: VisitSpec) -> common_pb2.VisitSpec:
    return common_pb2.VisitSpec(**asdict(spec))


def visit_spec_from_message(message: common_pb2.VisitSpec) -> VisitSpec:
    return VisitSpec(**_fields(message))


def spec_to_message(spec: BenchmarkSpec) -> latency_pb2.BenchmarkSpec:
    return latency_pb2.BenchmarkSpec(
        visit=visit_spec_to_message(spec.visit),
        min_visits=spec.min_visits,
        max_visits=spec.max_visits,
        tolerance=spec.tolerance,
        traced_visits=spec.traced_visits,
        spacing_ns=spec.spacing_ns,
    )


def spec_from_message(message: latency_pb2.BenchmarkSpec) -> BenchmarkSpec:
    return BenchmarkSpec(
        visit=visit_spec_from_message(message.visit),
        min_visits=message.min_visits,
        max_visits=message.max_visits,
        tolerance=message.tolerance,
        traced_visits=message.traced_visits,
        spacing_ns=message.spacing_ns,
    )


def conditions_to_message(conditions: Conditions) -> common_pb2.Conditions:
    present = {name: value for name, value in asdict(conditions).items() if value is not None}
    return common_pb2.Conditions(**present)


def conditions_from_message(message: common_pb2.Conditions) -> Conditions:
    return Conditions(**_fields(message))


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
            common_pb2.KernelTrace(name=trace.name, durations_ns=trace.durations_ns)
            for trace in visit.kernel_traces
        ],
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
        peak_rss_bytes=message.peak_rss_bytes,
        before=conditions_from_message(message.before),
        after=conditions_from_message(message.after),
        kernel_traces=tuple(
            KernelTrace(trace.name, tuple(trace.durations_ns)) for trace in message.kernel_traces
        ),
    )


def failure_to_message(failure: Failure) -> common_pb2.Failure:
    number = common_pb2.FailureKind.Value(f"FAILURE_KIND_{failure.kind.name}")
    return common_pb2.Failure(kind=number, message=failure.message)


def failure_from_message(message: common_pb2.Failure) -> Failure:
    name = common_pb2.FailureKind.Name(message.kind).removeprefix("FAILURE_KIND_")
    kind = FailureKind[name] if name in FailureKind.__members__ else FailureKind.AGENT_ERROR
    return Failure(kind, message.message)


def device_to_message(device: Device) -> device_agent_pb2.DeviceDescription:
    return device_agent_pb2.DeviceDescription(
        serial=device.serial,
        model=device.model,
        soc=device.soc,
        os_build=device.os_build,
        abi=device.abi,
        runtime_version=device.runtime_version,
        runner_build=device.runner_build,
        backends=device.backends,
        core_classes=[
            device_agent_pb2.CoreClass(
                name=core_class.name,
                cpus=core_class.cpus,
                max_clock_khz=core_class.max_clock_khz,
            )
            for core_class in device.core_classes
        ],
        memory_bytes=device.memory_bytes,
        max_program_bytes=device.max_program_bytes,
    )


def device_from_message(message: device_agent_pb2.DeviceDescription) -> Device:
    return Device(
        serial=message.serial,
        model=message.model,
        soc=message.soc,
        os_build=message.os_build,
        abi=message.abi,
        runtime_version=message.runtime_version,
        runner_build=message.runner_build,
        backends=tuple(message.backends),
        core_classes=tuple(
            CoreClass(
                core_class.name,
                tuple(core_class.cpus),
                core_class.max_clock_khz if core_class.HasField("max_clock_khz") else None,
            )
            for core_class in message.core_classes
        ),
        memory_bytes=message.memory_bytes,
        max_program_bytes=message.max_program_bytes,
    )


def target_to_message(target: Target) -> latency_pb2.Target:
    return latency_pb2.Target(id=target.id, name=target.name, **asdict(target))


def target_from_message(message: latency_pb2.Target) -> Target:
    fields = _fields(message)
    return Target(**{name: fields[name] for name in fields if name not in ("id", "name")})


def measurement_to_message(measurement: Measurement) -> latency_pb2.Measurement:
    return latency_pb2.Measurement(
        id=measurement.id,
        target_id=measurement.target_id,
        program_sha256=measurement.program_sha256,
        spec=spec_to_message(measurement.spec),
        unix_ns=measurement.unix_ns,
        visits=map(visit_to_message, measurement.visits),
        suspect=measurement.suspect,
    )


def measurement_from_message(message: latency_pb2.Measurement) -> Measurement:
    return Measurement(
        id=message.id,
        target_id=message.target_id,
        program_sha256=message.program_sha256,
        spec=spec_from_message(message.spec),
        unix_ns=message.unix_ns,
        visits=tuple(map(visit_from_message, message.visits)),
        suspect=message.suspect,
    )


def estimate_to_message(estimate: LatencyEstimate) -> latency_pb2.LatencyEstimate:
    number = latency_pb2.EstimateSource.Value(f"ESTIMATE_SOURCE_{estimate.source.name}")
    return latency_pb2.LatencyEstimate(
        latency_ns=estimate.latency_ns,
        lower_ns=estimate.lower_ns,
        upper_ns=estimate.upper_ns,
        source=number,
        coverage=estimate.coverage,
        samples=estimate.samples,
        age_s=estimate.age_s,
        steadied=estimate.steadied,
    )


def estimate_from_message(message: latency_pb2.LatencyEstimate) -> LatencyEstimate:
    name = latency_pb2.EstimateSource.Name(message.source).removeprefix("ESTIMATE_SOURCE_")
    return LatencyEstimate(
        latency_ns=message.latency_ns,
        lower_ns=message.lower_ns,
        upper_ns=message.upper_ns,
        source=Source[name],
        coverage=message.coverage,
        samples=message.samples,
        age_s=message.age_s,
        steadied=message.steadied,
    )


def network_to_message(
    program_sha256: str, measurement_id: str, network: MeasuredNetwork
) -> latency_pb2.MeasuredNetwork:
    return latency_pb2.MeasuredNetwork(
        program_sha256=program_sha256,
        measurement_id=measurement_id,
        unix_ns=network.unix_ns,
        kernels=map(kernel_to_message, network.kernels),
        kernel_ns=network.kernel_ns,
        latency_ns=network.latency_ns,
        lower_ns=network.lower_ns,
        upper_ns=network.upper_ns,
        memory_probe_ns=network.memory_probe_ns,
        traced_memory_probe_ns=network.traced_memory_probe_ns,
    )


def network_from_message(message: latency_pb2.MeasuredNetwork) -> MeasuredNetwork:
    traced = message.HasField("traced_memory_probe_ns")
    return MeasuredNetwork(
        kernels=tuple(map(kernel_from_message, message.kernels)),
        kernel_ns=tuple(message.kernel_ns) or None,
        latency_ns=message.latency_ns,
        lower_ns=message.lower_ns,
        upper_ns=message.upper_ns,
        unix_ns=message.unix_ns,
        memory_probe_ns=message.memory_probe_ns if message.HasField("memory_probe_ns") else None,
        traced_memory_probe_ns=message.traced_memory_probe_ns if traced else None,
    )


def history_to_message(history: DeviceHistory) -> lab_pb2.DeviceHistory:
    return lab_pb2.DeviceHistory(
        serial=history.serial,
        note=history.note,
        first_seen_unix_ns=history.first_seen_unix_ns,
        connected_ns=history.connected_ns,
        visits=history.visits,
        failures={kind.value: count for kind, count in history.failures.items()},
        events=[
            lab_pb2.DeviceEvent(unix_ns=event.unix_ns, kind=event.kind.value, detail=event.detail)
            for event in history.events
        ],
        sentinels=[lab_pb2.SentinelReading(**asdict(reading)) for reading in history.sentinels],
    )


def history_from_message(message: lab_pb2.DeviceHistory) -> DeviceHistory:
    return DeviceHistory(
        serial=message.serial,
        note=message.note,
        first_seen_unix_ns=message.first_seen_unix_ns,
        connected_ns=message.connected_ns,
        visits=message.visits,
        failures={FailureKind(kind): count for kind, count in message.failures.items()},
        events=tuple(
            DeviceEvent(event.unix_ns, EventKind(event.kind), event.detail)
            for event in message.events
        ),
        sentinels=tuple(SentinelReading(**_fields(reading)) for reading in message.sentinels),
    )


def _fields(message: Message) -> dict[str, Any]:
    """A flat message's fields by name; None for an optional one that is absent."""
    fields = message.DESCRIPTOR.fields
    return {
        field.name: getattr(message, field.name)
        if not field.has_presence or message.HasField(field.name)
        else None
        for field in fields
    }
