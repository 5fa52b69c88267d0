"""Convert breakdowns to and from protobuf messages."""

from __future__ import annotations

from dataclasses import asdict

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
    paired = message.paired_visits
    return Breakdown(
        paired_visits=(
            PairedVisits(_share(paired.rest), _share(paired.tracing), paired.pairs)
            if message.HasField("paired_visits")
            else None
        ),
        kernels=tuple(
            TimedKernel(
                kernel.time_ns,
                kernel.lower_ns,
                kernel.upper_ns,
                kernel.name,
                kernel.instruction if kernel.HasField("instruction") else None,
            )
            for kernel in message.kernels
        ),
        untimed_because=message.untimed_because,
        traces_removed_unix_ns=(
            message.traces_removed_unix_ns if message.HasField("traces_removed_unix_ns") else None
        ),
    )


def _share(message: latency_pb2.Share) -> Share:
    return Share(message.value, message.lower, message.upper)
