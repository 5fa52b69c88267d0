"""Devices, their states and their event histories. The database keeps the state `drained` only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from latlab.domain.failure import FailureKind


class DevicePhase(str, Enum):
    """The kind of a device's state. Code branches on it, and never on a text."""

    CONNECTING = "connecting"  # the lab looks for it
    IDLE = "idle"  # it waits for a job
    MEASURING = "measuring"  # a job's visit is under way
    CHECKING = "checking"  # its sentinel is measured
    COOLING = "cooling"  # it is too hot for a visit
    QUARANTINED = "quarantined"  # it has failed too often, and is probed now and then
    DRAINED = "drained"  # a person has stopped its jobs
    HELD = "held"  # another lab on the same database has it
    LOST = "lost"  # it does not answer; the lab tries again
    FAILED = "failed"  # the lab has a defect in serving it; the lab tries again
    SPARE = "spare"  # another route serves it; this one takes over when that one goes

    @property
    def is_away(self) -> bool:
        """True if the lab has no connection to the device."""
        return self in (DevicePhase.CONNECTING, DevicePhase.LOST)

    @property
    def is_at_work(self) -> bool:
        """True if the device makes visits, or would make one at once."""
        return self in (DevicePhase.IDLE, DevicePhase.MEASURING, DevicePhase.CHECKING)

    @property
    def is_trouble(self) -> bool:
        """True if the device serves no job although nobody wants that."""
        return self.is_away or self in (
            DevicePhase.QUARANTINED,
            DevicePhase.HELD,
            DevicePhase.FAILED,
        )


@dataclass(frozen=True, slots=True)
class DeviceState:
    """The present activity of a device.

    Attributes:
        phase: The kind of activity.
        detail: More about it, for people; empty if there is no more to say.
        since_unix_ns: When the phase began, in ns since 1970.
    """

    phase: DevicePhase
    detail: str = ""
    since_unix_ns: int = 0

    def __str__(self) -> str:
        """Phase and detail in one line, for people."""
        return f"{self.phase.value}: {self.detail}" if self.detail else self.phase.value

    def then(self, phase: DevicePhase, detail: str, unix_ns: int) -> DeviceState:
        """Return the next state. It began at `unix_ns`, or earlier if its phase is the same."""
        since_unix_ns = self.since_unix_ns if phase is self.phase else unix_ns
        return DeviceState(phase, detail, since_unix_ns)


@dataclass(frozen=True, slots=True)
class CoreClass:
    """Cores of one kind.

    Attributes:
        name: "big" or "little", say; "all" where there is one kind only.
        cpus: The numbers that the OS kernel gives these cores.
        max_clock_khz: The highest clock in kHz; None where it cannot be read.
    """

    name: str
    cpus: tuple[int, ...]
    max_clock_khz: int | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """One physical unit, as its agent describes it.

    Attributes:
        serial: The unit's own name, which no other unit has.
        model: Manufacturer and model.
        soc: The processor.
        os_build: The build of the operating system.
        abi: The machine's instruction set, as `uname -m` names it.
        runtime_version: Name and version of the runtime that runs programs.
        runner_build: Hash of the runner and the libraries that come with it.
        backends: Names of the backends that the runner can use.
        core_classes: The cores, by kind.
        memory_bytes: Size of the main memory.
        max_program_bytes: Size of the largest program that its agent takes.
        confinement: What the kernel confines the runner with while it reads a program,
            "seccomp" and "landlock"; empty where it has neither, or the agent does not say.
        agent_id: A random id that its agent made when it started; empty if the agent is older
            than such ids. Machines that wrongly share a serial have agents of different ids.
        fast_fp16: Whether the processor has instructions for float16; None where it is not known
            or the agent is too old to say.
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
    agent_id: str = ""
    fast_fp16: bool | None = None


class EventKind(str, Enum):
    """The kinds of events in a device's history."""

    CONNECTED = "connected"
    LOST = "lost"
    STOPPED = "stopped"  # the lab was stopped
    QUARANTINED = "quarantined"
    RECOVERED = "recovered"
    DRAINED = "drained"
    UNDRAINED = "undrained"
    NOTED = "noted"


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """Something that happened to a device.

    Attributes:
        unix_ns: When it happened, in ns since 1970.
        kind: What happened.
        detail: More about it, for people; may be empty.
    """

    unix_ns: int
    kind: EventKind
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SentinelReading:
    """A measurement of a target's sentinel.

    Attributes:
        unix_ns: When it was taken, in ns since 1970.
        target_id: The target that it was taken on.
        latency_ns: The sentinel's latency.
        suspect: Whether the target had drifted by then.
    """

    unix_ns: int
    target_id: str
    latency_ns: int
    suspect: bool


@dataclass(frozen=True, slots=True)
class DeviceHistory:
    """The history of a device since it was first seen.

    Attributes:
        serial: The device's serial.
        note: People's note on the device; empty if there is none.
        first_seen_unix_ns: When it first connected, in ns since 1970.
        connected_ns: How long it was connected, over the stretches whose beginning and end
            are known.
        visits: How many visits brought samples.
        failures: How many visits brought none, by kind of failure.
        events: The newest events, the last one first.
        sentinels: The newest readings of sentinels, the last one first.
    """

    serial: str
    note: str
    first_seen_unix_ns: int
    connected_ns: int
    visits: int
    failures: dict[FailureKind, int]
    events: tuple[DeviceEvent, ...]
    sentinels: tuple[SentinelReading, ...]


class TransportKind(str, Enum):
    """The ways in which the lab can reach a device's agent."""

    LOCAL = "local"  # the agent runs on the lab's own machine
    ADB = "adb"  # a phone, through adb
    TCP = "tcp"  # an enrolled board, over TLS


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """A device as the running lab knows it.

    Attributes:
        device: The device's description; None until its agent has answered.
        transport: The name of the way to the device, unique in the lab.
        state: What the device is doing now.
        targets: Names of the targets that it serves.
        queued_jobs: How many open jobs it can serve.
        note: People's note on the device; empty if there is none.
        transport_kind: How the lab reaches it; None where the lab is of a version that does
            not say.
        address: adb's serial of a phone, "host:port" of a board, empty for the local device.
        heat_unknown: Whether it reports neither its temperature nor whether it is throttled. Then
            the lab cannot let it cool.
    """

    device: Device | None
    transport: str
    state: DeviceState
    targets: tuple[str, ...]
    queued_jobs: int
    note: str = ""
    transport_kind: TransportKind | None = None
    address: str = ""
    heat_unknown: bool = False
