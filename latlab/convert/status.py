"""How targets, devices and jobs stand: messages of latency.proto and lab.proto, read."""

from __future__ import annotations

from latlab.convert.devices import device_from_message
from latlab.convert.latency import target_from_message
from latlab.domain.device import DeviceStatus
from latlab.domain.job import OpenJob
from latlab.domain.target import TargetStatus
from latlab.v1 import lab_pb2, latency_pb2


def target_status_from_message(message: latency_pb2.TargetStatus) -> TargetStatus:
    return TargetStatus(
        target=target_from_message(message.target),
        devices=message.devices,
        measurements=message.measurements,
        fitted_measurements=message.fitted_measurements,
        shares_host=message.shares_host,
        sentinel_drift=message.sentinel_drift if message.HasField("sentinel_drift") else None,
        drifted=message.drifted,
    )


def device_status_from_message(message: lab_pb2.DeviceStatus) -> DeviceStatus:
    return DeviceStatus(
        device=device_from_message(message.description)
        if message.HasField("description")
        else None,
        transport=message.transport,
        state=message.state,
        targets=tuple(message.targets),
        queued_jobs=message.queued_jobs,
        note=message.note,
    )


def open_job_from_message(message: lab_pb2.OpenJob) -> OpenJob:
    return OpenJob(
        id=message.id,
        target=message.target,
        program_sha256=message.program_sha256,
        priority=message.priority,
        visits_done=message.visits_done,
        waits_for=message.waits_for,
    )
