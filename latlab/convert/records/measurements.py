"""Convert measurements that are listed by page from protobuf messages."""

from __future__ import annotations

from latlab.convert.fields import fields_of
from latlab.convert.visits import conditions_from_message
from latlab.domain.errors import InvalidRequest
from latlab.domain.estimate import RawSamples
from latlab.domain.measurement import KernelTrace
from latlab.domain.records.measurements import MeasurementSummary, Samples, VisitSummary
from latlab.v1 import latency_pb2

_PREFIX = "measurements/"


def measurement_name(measurement_id: str) -> str:
    """Return the resource name of a measurement."""
    return f"{_PREFIX}{measurement_id}"


def summary_from_message(message: latency_pb2.MeasurementSummary) -> MeasurementSummary:
    """Return the measurement that a protobuf message holds.

    Raises InvalidRequest if it has no proper name.
    """
    if not message.name.startswith(_PREFIX):
        raise InvalidRequest(f"{message.name[:80]!r} is not the name of a measurement")
    return MeasurementSummary(
        id=message.name.removeprefix(_PREFIX),
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
