"""Convert stored measurements to and from protobuf messages."""

from __future__ import annotations

from dataclasses import asdict

from latlab.convert.fields import fields_of
from latlab.convert.visits import (
    conditions_from_message,
    conditions_to_message,
    failure_from_message,
    failure_to_message,
)
from latlab.domain.errors import InvalidRequest
from latlab.domain.estimate import RawSamples
from latlab.domain.measurement import Exclusion, StoredMeasurement
from latlab.domain.stored.summaries import MeasurementSummary, VisitSummary
from latlab.v1 import common_pb2, lab_pb2, latency_pb2


def raw_to_message(raw: RawSamples | None) -> common_pb2.RawSamples | None:
    """Return the protobuf message for the quantiles of all runs; None for None."""
    return None if raw is None else common_pb2.RawSamples(**asdict(raw))


def raw_from_message(
    message: latency_pb2.LatencyEstimate
    | lab_pb2.StoredMeasurement
    | latency_pb2.MeasurementSummary,
) -> RawSamples | None:
    """Return the quantiles of all runs that a message holds; None if it has none."""
    return RawSamples(**fields_of(message.raw)) if message.HasField("raw") else None


def stored_to_message(stored: StoredMeasurement) -> lab_pb2.StoredMeasurement:
    """Return the protobuf message for a stored measurement."""
    message = lab_pb2.StoredMeasurement(
        id=stored.id,
        unix_ns=stored.unix_ns,
        target=stored.target,
        target_id=stored.target_id,
        program_sha256=stored.program_sha256,
        latency_ns=stored.latency_ns,
        lower_ns=stored.lower_ns,
        upper_ns=stored.upper_ns,
        clean_visits=stored.clean_visits,
        visits=stored.visits,
        suspect=stored.suspect,
        is_sentinel=stored.is_sentinel,
        unusable=stored.unusable,
        failed_visits=map(failure_to_message, stored.failed_visits),
        untraced=stored.untraced,
        raw=raw_to_message(stored.raw),
        program_bytes=stored.program_bytes,
    )
    if stored.exclusion is not None:
        message.exclusion.unix_ns = stored.exclusion.unix_ns
        message.exclusion.why = stored.exclusion.why
    return message


def stored_from_message(message: lab_pb2.StoredMeasurement) -> StoredMeasurement:
    """Return the stored measurement that a protobuf message holds."""
    exclusion = None
    if message.HasField("exclusion"):
        exclusion = Exclusion(message.exclusion.unix_ns, message.exclusion.why)
    return StoredMeasurement(
        id=message.id,
        unix_ns=message.unix_ns,
        target=message.target,
        target_id=message.target_id,
        program_sha256=message.program_sha256,
        latency_ns=message.latency_ns if message.HasField("latency_ns") else None,
        lower_ns=message.lower_ns if message.HasField("lower_ns") else None,
        upper_ns=message.upper_ns if message.HasField("upper_ns") else None,
        clean_visits=message.clean_visits,
        visits=message.visits,
        suspect=message.suspect,
        is_sentinel=message.is_sentinel,
        exclusion=exclusion,
        unusable=message.unusable,
        failed_visits=tuple(map(failure_from_message, message.failed_visits)),
        untraced=message.untraced,
        raw=raw_from_message(message),
        program_bytes=message.program_bytes,
    )


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
    """Return the measurement that a protobuf message holds without its visits."""
    return MeasurementSummary(
        id=measurement_id_from_name(message.name),
        target_id=message.target,
        program_sha256=message.program_sha256,
        unix_ns=message.unix_ns,
        latency_ns=message.latency_ns if message.HasField("latency_ns") else None,
        lower_ns=message.lower_ns if message.HasField("lower_ns") else None,
        upper_ns=message.upper_ns if message.HasField("upper_ns") else None,
        raw=raw_from_message(message),
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
    """Return the visit that a protobuf message holds without its samples."""
    fields = fields_of(message)
    fields["before"] = conditions_from_message(message.before)
    fields["after"] = conditions_from_message(message.after)
    fields["kernel_names"] = tuple(message.kernel_names)
    return VisitSummary(**fields)
