"""Jobs, and leases of devices."""

from __future__ import annotations

from dataclasses import dataclass

from latlab.domain.benchmark_spec import BenchmarkSpec


@dataclass(frozen=True, slots=True)
class Job:
    """A request to measure one program on one target. It ends as a Measurement or a Failure.

    Attributes:
        id: The job's id.
        target_id: The target to measure on.
        program_sha256: The program to measure.
        spec: How to measure.
        created_unix_ns: When it was asked for, in ns since 1970.
        is_sentinel: Whether the lab itself measures its sentinel. No predictor learns from it.
        priority: Jobs of a higher priority come first.
    """

    id: str
    target_id: str
    program_sha256: str
    spec: BenchmarkSpec
    created_unix_ns: int
    is_sentinel: bool = False
    priority: int = 0

    @property
    def learned_target_id(self) -> str | None:
        """The target whose predictor may learn from the job's measurement; None without one."""
        return None if self.is_sentinel or self.spec.visit.is_sustained else self.target_id


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to use a device, for a time.

    Attributes:
        device_serial: The device.
        database_id: The database that the lease comes from.
        holder: The lab that has the lease.
        token: A number that only grows within one database; an agent refuses tokens lower than
            one it has seen of that database.
        expires_boot_ns: When the lease ends unless it is renewed, by this machine's
            CLOCK_BOOTTIME.
    """

    device_serial: str
    database_id: str
    holder: str
    token: int
    expires_boot_ns: int


@dataclass(frozen=True, slots=True)
class OpenJob:
    """An open job, as it is shown to people.

    Attributes:
        id: The job's id.
        target: The name of the target to measure on.
        program_sha256: The program to measure.
        priority: Jobs of a higher priority come first.
        visits_done: How many visits were made.
        waits_for: What it waits for.
        created_unix_ns: When it was asked for, in ns since 1970; 0 if an older lab does not say.
    """

    id: str
    target: str
    program_sha256: str
    priority: int
    visits_done: int
    waits_for: str
    created_unix_ns: int = 0
