"""Jobs, how far they have come, and leases of devices."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.estimate import LatencyEstimate, MeasuredLatency
from latlab.domain.failure import Failure


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


class JobPhase(Enum):
    """How far a job has come.

    Attributes:
        QUEUED: It waits for its first visit, or between two.
        RUNNING: A visit is under way.
        PAUSED: Nobody waits for it, and its last client wanted it to stop meanwhile.
        SUCCEEDED: It has ended with a measurement.
        FAILED: It has ended with a failure.
        CANCELLED: Somebody has cancelled it.
    """

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        """True if the job changes no more."""
        return self in (JobPhase.SUCCEEDED, JobPhase.FAILED, JobPhase.CANCELLED)


class WaitReason(Enum):
    """Why a job waits.

    Attributes:
        NEXT: Its turn comes next.
        BEHIND_OTHERS: Others come first.
        RESTS: It rests between two visits.
        NO_DEVICE: No connected device serves its target.
        DEVICE_NOT_READY: The devices of its target are too hot, drained, quarantined or held.
        ANSWER: The answer of a device that was asked before is to be fetched.
        PAUSED: It is paused.
    """

    NEXT = "next"
    BEHIND_OTHERS = "behind_others"
    RESTS = "rests"
    NO_DEVICE = "no_device"
    DEVICE_NOT_READY = "device_not_ready"
    ANSWER = "answer"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job and how far it has come, for one of its owners.

    Attributes:
        id: The job's id.
        target_id: The target to measure on.
        program_sha256: The program to measure.
        spec: How to measure.
        priority: Jobs of a higher priority come first.
        created_unix_ns: When it was asked for, in ns since 1970.
        phase: How far it has come.
        owner: Whom it belongs to. Several may wait for one job; this is the one who asks.
        ahead: How many jobs come before it on its target; None unless it is queued.
        wait_reason: Why it does not go on at once; None unless it is open and no visit is under
            way, or if the lab is newer and gives a reason that this version does not know.
        waits_for: The same for people; "" if it has ended.
        visits_done: The number of visits that brought samples.
        provisional: The latency as the visits so far give it; None while none of them is clean,
            and at the end.
        ended_unix_ns: When it ended, in ns since 1970; None while it is open.
        outcome: How it ended; None while it is open.
    """

    id: str
    target_id: str
    program_sha256: str
    spec: BenchmarkSpec
    priority: int
    created_unix_ns: int
    phase: JobPhase
    owner: str = ""
    ahead: int | None = None
    wait_reason: WaitReason | None = None
    waits_for: str = ""
    visits_done: int = 0
    provisional: LatencyEstimate | None = None
    ended_unix_ns: int | None = None
    outcome: MeasuredLatency | Failure | None = None
