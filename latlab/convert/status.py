"""Convert the statuses of targets, devices and jobs to and from protobuf messages."""

from __future__ import annotations

from latlab.convert.devices import device_from_message, device_to_message
from latlab.convert.fields import enum_member, enum_number
from latlab.convert.latency import target_from_message
from latlab.domain.device import DevicePhase, DeviceState, DeviceStatus, TransportKind
from latlab.domain.job import OpenJob
from latlab.domain.target import TargetStatus
from latlab.v1 import lab_pb2, latency_pb2


def target_status_from_message(message: latency_pb2.TargetStatus) -> TargetStatus:
    """Return the target status that a protobuf message holds."""
    return TargetStatus(
        target=target_from_message(message.target),
        devices=message.devices,
        measurements=message.measurements,
        fitted_measurements=message.fitted_measurements,
        shares_host=message.shares_host,
        sentinel_drift=message.sentinel_drift if message.HasField("sentinel_drift") else None,
        drifted=message.drifted,
    )


def device_status_to_message(status: DeviceStatus) -> lab_pb2.DeviceStatus:
    """Return the protobuf message for a device status."""
    kind = status.transport_kind
    unknown = lab_pb2.TRANSPORT_KIND_UNSPECIFIED
    return lab_pb2.DeviceStatus(
        description=None if status.device is None else device_to_message(status.device),
        transport=status.transport,
        state_text=str(status.state),  # for clients of version 0.1
        targets=status.targets,
        queued_jobs=status.queued_jobs,
        note=status.note,
        state=device_state_to_message(status.state),
        transport_kind=unknown if kind is None else enum_number(lab_pb2.TransportKind, kind),
        address=status.address,
        heat_unknown=status.heat_unknown,
    )


def device_status_from_message(message: lab_pb2.DeviceStatus) -> DeviceStatus:
    """Return the device status that a protobuf message holds."""
    described = message.HasField("description")
    return DeviceStatus(
        device=device_from_message(message.description) if described else None,
        transport=message.transport,
        state=_state_of(message),
        targets=tuple(message.targets),
        queued_jobs=message.queued_jobs,
        note=message.note,
        transport_kind=enum_member(lab_pb2.TransportKind, message.transport_kind, TransportKind),
        address=message.address,
        heat_unknown=message.heat_unknown,
    )


def device_state_to_message(state: DeviceState) -> lab_pb2.DeviceState:
    """Return the protobuf message for a device state."""
    return lab_pb2.DeviceState(
        phase=enum_number(lab_pb2.DevicePhase, state.phase),
        detail=state.detail,
        since_unix_ns=state.since_unix_ns,
    )


def _state_of(message: lab_pb2.DeviceStatus) -> DeviceState:
    """Return the device's state.

    A lab of version 0.1 sends a text alone, and a newer one may send a phase that this version
    does not know. Then the text is shown, and a device that has answered counts as idle.
    """
    known = enum_member(lab_pb2.DevicePhase, message.state.phase, DevicePhase)
    if known is not None:
        return DeviceState(known, message.state.detail, message.state.since_unix_ns)
    phase = DevicePhase.IDLE if message.HasField("description") else DevicePhase.CONNECTING
    return DeviceState(phase, "" if message.state_text == phase.value else message.state_text)


def open_job_from_message(message: lab_pb2.OpenJob) -> OpenJob:
    """Return the open job that a protobuf message holds."""
    return OpenJob(
        id=message.id,
        target=message.target,
        program_sha256=message.program_sha256,
        priority=message.priority,
        visits_done=message.visits_done,
        waits_for=message.waits_for,
        created_unix_ns=message.created_unix_ns,
    )
