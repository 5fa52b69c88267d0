"""States of devices. Only `drained` outlives the daemon: the database keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


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
        """Return the state that follows at `unix_ns`. The same phase goes on since it began."""
        since_unix_ns = self.since_unix_ns if phase is self.phase else unix_ns
        return DeviceState(phase, detail, since_unix_ns)
