"""Convert visits, their settings, conditions and failures to and from protobuf messages."""

from __future__ import annotations

from dataclasses import asdict

from latlab.convert.fields import enum_member, enum_number, fields_of
from latlab.domain.benchmark_spec import VisitSpec
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Conditions, KernelTrace, Visit
from latlab.v1 import common_pb2


def visit_spec_to_message(spec: VisitSpec) -> common_pb2.VisitSpec:
    """Return the protobuf message for a visit spec."""
    return common_pb2.VisitSpec(**asdict(spec))


def visit_spec_from_message(message: common_pb2.VisitSpec) -> VisitSpec:
    """Return the visit spec that a protobuf message holds."""
    return VisitSpec(**fields_of(message))


def conditions_to_message(conditions: Conditions) -> common_pb2.Conditions:
    """Return the protobuf message for conditions."""
    present = {name: value for name, value in asdict(conditions).items() if value is not None}
    return common_pb2.Conditions(**present)


def conditions_from_message(message: common_pb2.Conditions) -> Conditions:
    """Return the conditions that a protobuf message holds."""
    return Conditions(**fields_of(message))


def visit_to_message(visit: Visit) -> common_pb2.Visit:
    """Return the protobuf message for a visit."""
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
    """Return the visit that a protobuf message holds."""
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
    """Return the protobuf message for a failure."""
    kind = enum_number(common_pb2.FailureKind, failure.kind)
    return common_pb2.Failure(kind=kind, message=failure.message)


def failure_from_message(message: common_pb2.Failure) -> Failure:
    """Return the failure that a protobuf message holds."""
    kind = enum_member(common_pb2.FailureKind, message.kind, FailureKind)
    return Failure(kind or FailureKind.AGENT_ERROR, message.message)
