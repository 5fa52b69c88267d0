"""Convert devices and their histories to and from protobuf messages."""

from __future__ import annotations

from dataclasses import asdict

from latlab.convert.fields import fields_of
from latlab.domain.device import (
    CoreClass,
    Device,
    DeviceEvent,
    DeviceHistory,
    EventKind,
    SentinelReading,
)
from latlab.domain.failure import FailureKind
from latlab.v1 import device_agent_pb2, lab_pb2


def device_to_message(device: Device) -> device_agent_pb2.DeviceDescription:
    """Return the protobuf message for a device."""
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
        confinement=device.confinement,
        agent_id=device.agent_id,
        fast_fp16=device.fast_fp16,
    )


def device_from_message(message: device_agent_pb2.DeviceDescription) -> Device:
    """Return the device that a protobuf message holds."""
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
        confinement=tuple(message.confinement),
        agent_id=message.agent_id,
        fast_fp16=message.fast_fp16 if message.HasField("fast_fp16") else None,
    )


def history_to_message(history: DeviceHistory) -> lab_pb2.DeviceHistory:
    """Return the protobuf message for a device history."""
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
    """Return the device history that a protobuf message holds."""
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
        sentinels=tuple(SentinelReading(**fields_of(reading)) for reading in message.sentinels),
    )
