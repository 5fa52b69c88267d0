"""Convert breakdowns to and from protobuf messages."""

from __future__ import annotations

from dataclasses import asdict

from latlab.convert.fields import fields_of
from latlab.domain.records.breakdown import Breakdown, PairedVisits, Share, TimedKernel
from latlab.v1 import latency_pb2


def breakdown_to_message(breakdown: Breakdown) -> latency_pb2.Breakdown:
    """Return the protobuf message for a breakdown."""
    paired = breakdown.paired_visits
    return latency_pb2.Breakdown(
        paired_visits=None if paired is None else latency_pb2.PairedVisits(**asdict(paired)),
        kernels=[latency_pb2.TimedKernel(**asdict(kernel)) for kernel in breakdown.kernels],
        untimed_because=breakdown.untimed_because,
        traces_removed_unix_ns=breakdown.traces_removed_unix_ns,
    )


def breakdown_from_message(message: latency_pb2.Breakdown) -> Breakdown:
    """Return the breakdown that a protobuf message holds."""
    removed_unix_ns = message.traces_removed_unix_ns
    return Breakdown(
        _paired_visits(message.paired_visits) if message.HasField("paired_visits") else None,
        tuple(TimedKernel(**fields_of(kernel)) for kernel in message.kernels),
        message.untimed_because,
        removed_unix_ns if message.HasField("traces_removed_unix_ns") else None,
    )


def _paired_visits(message: latency_pb2.PairedVisits) -> PairedVisits:
    rest, tracing = (Share(**fields_of(share)) for share in (message.rest, message.tracing))
    return PairedVisits(rest, tracing, message.pairs)
