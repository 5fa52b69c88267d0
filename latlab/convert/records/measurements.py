"""Convert measurements that are listed by page to and from protobuf messages."""

from __future__ import annotations

from latlab.convert.fields import fields_of
from latlab.convert.measurements import raw_to_message
from latlab.convert.visits import conditions_from_message, conditions_to_message
from latlab.domain.errors import InvalidRequest
from latlab.domain.estimate import RawSamples
from latlab.domain.measurement import KernelTrace
from latlab.domain.records.measurements import MeasurementSummary, Samples, VisitSummary
from latlab.v1 import latency_pb2

_PREFIX = "measurements/"


def measurement_name(measurement_id: str) -> str:
    """Return the resource name of a measurement."""
    return f"{_PREFIX}{measurement_id}"


def measurement_id_from_name(name: str) -> str:
    """Return the id of the measurement with this resource name. Raises InvalidRequest."""
    measurement_id = name.removeprefix(_PREFIX)
    is_name = name.startswith(_PREFIX) and measurement_id.isascii() and measurement_id.isalnum()
    if not is_name or len(measurement_id) > 64:
        raise InvalidRequest(
            f"{name[:80]!r} is not the name of a measurement: give it as measurements/ID"
        )
    return measurement_id


def summary_to_message(summary: MeasurementSummary) -> latency_pb2.MeasurementSummary:
    """Return the protobuf message for a measurement without its visits."""
    return latency_pb2.MeasurementSummary(
        name=measurement_name(summary.id),
        target=summary.target_id,
        program_sha256=summary.program_sha256,
        unix_ns=summary.unix_ns,
        latency_ns=summary.latency_ns,
        lower_ns=summary.lower_ns,
        upper_ns=summary.upper_ns,
        raw=raw_to_message(summary.raw),
        suspect=summary.suspect,
        is_sentinel=summary.is_sentinel,
        is_excluded=summary.is_excluded,
    )


def summary_from_message(message: latency_pb2.MeasurementSummary) -> MeasurementSummary:
    """Return the measurement that a protobuf message holds.

    Raises InvalidRequest if it has no proper name.
    """
    return MeasurementSummary(
        id=measurement_id_from_name(message.name),
        target_id=message.target,
        program_sha256=message.program_sha256,
        unix_ns=message.unix_ns,
        latency_ns=message.latency_ns if message.HasField("latency_ns") else None,
        lower_ns=message.lower_ns if message.HasField("lower_ns") else None,
        upper_ns=message.upper_ns if message.HasField("upper_ns") else None,
        raw=RawSamples(**fields_of(message.raw)) if message.HasField("raw") else None,
        suspect=message.suspect,
        is_sentinel=message.is_sentinel,
        is_excluded=message.is_excluded,
    )


def visit_summary_to_message(visit: VisitSummary) -> latency_pb2.VisitSummary:
    """Return the protobuf message for a visit without its samples."""
    return latency_pb2.VisitSummary(
        run_id=visit.run_id,
        traced=visit.traced,
        runs=visit.runs,
        warmup_runs=visit.warmup_runs,
        load_ns=visit.load_ns,
        first_run_ns=visit.first_run_ns,
        peak_rss_bytes=visit.peak_rss_bytes,
        planned_bytes=visit.planned_bytes,
        before=conditions_to_message(visit.before),
        after=conditions_to_message(visit.after),
        kernel_names=visit.kernel_names,
    )


def visit_summary_from_message(message: latency_pb2.VisitSummary) -> VisitSummary:
    """Return the visit that a protobuf message holds."""
    return VisitSummary(
        run_id=message.run_id,
        traced=message.traced,
        runs=message.runs,
        warmup_runs=message.warmup_runs,
        load_ns=message.load_ns,
        before=conditions_from_message(message.before),
        after=conditions_from_message(message.after),
        kernel_names=tuple(message.kernel_names),
        first_run_ns=message.first_run_ns if message.HasField("first_run_ns") else None,
        peak_rss_bytes=message.peak_rss_bytes if message.HasField("peak_rss_bytes") else None,
        planned_bytes=message.planned_bytes if message.HasField("planned_bytes") else None,
    )


def samples_from_message(message: latency_pb2.ListSamplesResponse) -> Samples:
    """Return the runs that a page holds."""
    return Samples(
        wall_ns=tuple(message.wall_ns),
        cpu_ns=tuple(message.cpu_ns),
        involuntary_switches=tuple(message.involuntary_switches),
        kernel_traces=tuple(
            KernelTrace(
                trace.name,
                tuple(trace.durations_ns),
                trace.instruction if trace.HasField("instruction") else None,
            )
            for trace in message.kernel_traces
        ),
    )
