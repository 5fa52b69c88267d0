"""Convert stored measurements to and from protobuf messages."""

from __future__ import annotations

from dataclasses import asdict

from latlab.convert.fields import fields_of
from latlab.convert.visits import failure_from_message, failure_to_message
from latlab.domain.estimate import RawSamples
from latlab.domain.measurement import Exclusion, StoredMeasurement
from latlab.v1 import common_pb2, lab_pb2, latency_pb2


def raw_to_message(raw: RawSamples | None) -> common_pb2.RawSamples | None:
    """Return the protobuf message for the quantiles of all runs; None for None."""
    return None if raw is None else common_pb2.RawSamples(**asdict(raw))


def raw_from_message(
    message: latency_pb2.LatencyEstimate | lab_pb2.StoredMeasurement,
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
