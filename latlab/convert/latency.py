"""Convert programs, targets, measurements and estimates to and from protobuf messages."""

from __future__ import annotations

from dataclasses import asdict

from latlab.convert.fields import enum_number, fields_of
from latlab.convert.kernels import (
    kernel_from_message,
    kernel_to_message,
    shape_to_message,
    tensor_spec_to_message,
    tensor_specs_from_messages,
)
from latlab.convert.measurements import raw_from_message, raw_to_message
from latlab.convert.visits import (
    visit_from_message,
    visit_spec_from_message,
    visit_spec_to_message,
    visit_to_message,
)
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.estimate import (
    Correction,
    Footprint,
    LatencyEstimate,
    MeasuredLatency,
    Source,
)
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.measurement import Measurement
from latlab.domain.program import Program
from latlab.domain.target import Target, TargetStatus
from latlab.v1 import latency_pb2

# Thousands of estimates are converted at once.
_SOURCE_NUMBERS = {source: enum_number(latency_pb2.EstimateSource, source) for source in Source}
_SOURCES = {number: source for source, number in _SOURCE_NUMBERS.items()}


def program_to_message(program: Program) -> latency_pb2.Program:
    """Return the protobuf message for a program."""
    return latency_pb2.Program(
        sha256=program.sha256,
        size_bytes=program.size_bytes,
        backend=program.backend,
        input_shapes=map(shape_to_message, program.input_shapes),  # for older versions
        inputs=map(tensor_spec_to_message, program.inputs),
        kernels=map(kernel_to_message, program.kernels),
        undelegated=program.undelegated,
        exporter=program.exporter,
    )


def program_from_message(message: latency_pb2.Program) -> Program:
    """Return the program that a protobuf message holds.

    Raises ValueError if an input contradicts itself.
    """
    return Program(
        sha256=message.sha256,
        size_bytes=message.size_bytes,
        backend=message.backend,
        inputs=tensor_specs_from_messages(message.inputs, message.input_shapes),
        kernels=tuple(map(kernel_from_message, message.kernels)),
        undelegated=tuple(message.undelegated),
        exporter=message.exporter,
    )


def spec_to_message(spec: BenchmarkSpec) -> latency_pb2.BenchmarkSpec:
    """Return the protobuf message for a benchmark spec."""
    return latency_pb2.BenchmarkSpec(
        visit=visit_spec_to_message(spec.visit),
        min_visits=spec.min_visits,
        max_visits=spec.max_visits,
        tolerance=spec.tolerance,
        traced_visits=spec.traced_visits,
        spacing_ns=spec.spacing_ns,
        half_width=spec.half_width,
    )


def spec_from_message(message: latency_pb2.BenchmarkSpec) -> BenchmarkSpec:
    """Return the benchmark spec that a protobuf message holds."""
    return BenchmarkSpec(
        visit=visit_spec_from_message(message.visit),
        min_visits=message.min_visits,
        max_visits=message.max_visits,
        tolerance=message.tolerance,
        traced_visits=message.traced_visits,
        spacing_ns=message.spacing_ns,
        half_width=message.half_width,
    )


def target_to_message(target: Target) -> latency_pb2.Target:
    """Return the protobuf message for a target."""
    return latency_pb2.Target(id=target.id, name=target.name, **asdict(target))


def target_from_message(message: latency_pb2.Target) -> Target:
    """Return the target that a protobuf message holds."""
    fields = fields_of(message)
    return Target(**{name: fields[name] for name in fields if name not in ("id", "name")})


def target_status_to_message(status: TargetStatus) -> latency_pb2.TargetStatus:
    """Return the protobuf message for a target's status."""
    return latency_pb2.TargetStatus(
        target=target_to_message(status.target),
        devices=status.devices,
        measurements=status.measurements,
        fitted_measurements=status.fitted_measurements,
        shares_host=status.shares_host,
        sentinel_drift=status.sentinel_drift,
        drifted=status.drifted,
    )


def measurement_to_message(measurement: Measurement) -> latency_pb2.Measurement:
    """Return the protobuf message for a measurement."""
    return latency_pb2.Measurement(
        id=measurement.id,
        target_id=measurement.target_id,
        program_sha256=measurement.program_sha256,
        spec=spec_to_message(measurement.spec),
        unix_ns=measurement.unix_ns,
        visits=map(visit_to_message, measurement.visits),
        suspect=measurement.suspect,
        traces_removed_unix_ns=measurement.traces_removed_unix_ns,
        samples_removed_unix_ns=measurement.samples_removed_unix_ns,
    )


def measurement_from_message(message: latency_pb2.Measurement) -> Measurement:
    """Return the measurement that a protobuf message holds."""
    return Measurement(
        id=message.id,
        target_id=message.target_id,
        program_sha256=message.program_sha256,
        spec=spec_from_message(message.spec),
        unix_ns=message.unix_ns,
        visits=tuple(map(visit_from_message, message.visits)),
        suspect=message.suspect,
        traces_removed_unix_ns=(
            message.traces_removed_unix_ns if message.HasField("traces_removed_unix_ns") else None
        ),
        samples_removed_unix_ns=(
            message.samples_removed_unix_ns if message.HasField("samples_removed_unix_ns") else None
        ),
    )


def correction_to_message(correction: Correction | None) -> latency_pb2.Correction | None:
    """Return the protobuf message for a correction; None for None."""
    return None if correction is None else latency_pb2.Correction(**asdict(correction))


def correction_from_message(message: latency_pb2.LatencyEstimate) -> Correction | None:
    """Return the correction that the message of an estimate holds; None if it has none."""
    if not message.HasField("correction"):
        return None
    return Correction(**fields_of(message.correction))


def estimate_to_message(estimate: LatencyEstimate) -> latency_pb2.LatencyEstimate:
    """Return the protobuf message for an estimate."""
    return latency_pb2.LatencyEstimate(
        latency_ns=estimate.latency_ns,
        lower_ns=estimate.lower_ns,
        upper_ns=estimate.upper_ns,
        source=_SOURCE_NUMBERS[estimate.source],
        coverage=estimate.coverage,
        samples=estimate.samples,
        age_s=estimate.age_s,
        steadied=estimate.steadied,
        unknown_kinds=estimate.unknown_kinds,
        raw=raw_to_message(estimate.raw),
        correction=correction_to_message(estimate.correction),
    )


def estimate_from_message(message: latency_pb2.LatencyEstimate) -> LatencyEstimate:
    """Return the estimate that a protobuf message holds."""
    return LatencyEstimate(
        latency_ns=message.latency_ns,
        lower_ns=message.lower_ns,
        upper_ns=message.upper_ns,
        # A newer lab may name a source that this version does not know.
        source=_SOURCES.get(message.source, Source.BOUND),
        coverage=message.coverage,
        samples=message.samples,
        age_s=message.age_s,
        steadied=message.steadied,
        unknown_kinds=tuple(message.unknown_kinds),
        raw=raw_from_message(message),
        correction=correction_from_message(message),
    )


def measured_to_message(measured: MeasuredLatency) -> latency_pb2.MeasureEvent:
    """Return the protobuf event that carries a measured latency and its program's name."""
    return latency_pb2.MeasureEvent(
        program_sha256=measured.program_sha256,
        measured=latency_pb2.MeasuredLatency(
            measurement_id=measured.measurement_id,
            estimate=estimate_to_message(measured.estimate),
            clean_visits=measured.clean_visits,
            disturbed_visits=measured.disturbed_visits,
            device_s=measured.device_s,
            heat_unknown=measured.heat_unknown,
            untraced=measured.untraced,
            footprint=footprint_to_message(measured.footprint),
        ),
    )


def measured_from_message(event: latency_pb2.MeasureEvent) -> MeasuredLatency:
    """Return the measured latency that a protobuf event carries."""
    message = event.measured
    return MeasuredLatency(
        measurement_id=message.measurement_id,
        program_sha256=event.program_sha256,
        estimate=estimate_from_message(message.estimate),
        clean_visits=message.clean_visits,
        disturbed_visits=message.disturbed_visits,
        device_s=message.device_s,
        heat_unknown=message.heat_unknown,
        untraced=message.untraced,
        footprint=footprint_from_message(message),
    )


def footprint_to_message(footprint: Footprint | None) -> latency_pb2.Footprint | None:
    """Return the protobuf message for a footprint; None for None."""
    return None if footprint is None else latency_pb2.Footprint(**asdict(footprint))


def footprint_from_message(message: latency_pb2.MeasuredLatency) -> Footprint | None:
    """Return the footprint that the message of a measured latency holds; None if it has none."""
    return Footprint(**fields_of(message.footprint)) if message.HasField("footprint") else None


def network_to_message(
    program_sha256: str, measurement_id: str, network: MeasuredNetwork
) -> latency_pb2.MeasuredNetwork:
    """Return the protobuf message for a measured network."""
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
    """Return the measured network that a protobuf message holds."""
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
