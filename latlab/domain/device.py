"""Devices, and what befell them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from latlab.domain.failure import FailureKind


@dataclass(frozen=True, slots=True)
class CoreClass:
    name: str
    cpus: tuple[int, ...]
    max_clock_khz: int | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """One physical unit, as its agent describes it.

    confinement: what its kernel holds the runner back with while it reads a program,
    "seccomp" and "landlock"; empty where it has neither, or the agent does not say.
    """

    serial: str
    model: str
    soc: str
    os_build: str
    abi: str
    runtime_version: str
    runner_build: str
    backends: tuple[str, ...]
    core_classes: tuple[CoreClass, ...]
    memory_bytes: int
    max_program_bytes: int
    confinement: tuple[str, ...] = ()


class EventKind(str, Enum):
    CONNECTED = "connected"
    LOST = "lost"
    STOPPED = "stopped"  # with the lab
    QUARANTINED = "quarantined"
    RECOVERED = "recovered"
    DRAINED = "drained"
    UNDRAINED = "undrained"
    NOTED = "noted"


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    unix_ns: int
    kind: EventKind
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SentinelReading:
    unix_ns: int
    target_id: str
    latency_ns: int
    suspect: bool


@dataclass(frozen=True, slots=True)
class DeviceHistory:
    """visits: that brought samples; failures: visits that brought none, by kind. Events and
    sentinels are the newest, and these first."""

    serial: str
    note: str
    first_seen_unix_ns: int
    connected_ns: int
    visits: int
    failures: dict[FailureKind, int]
    events: tuple[DeviceEvent, ...]
    sentinels: tuple[SentinelReading, ...]


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """device is None while its agent has not answered yet."""

    device: Device | None
    transport: str
    state: str
    targets: tuple[str, ...]
    queued_jobs: int
    note: str = ""
