"""What a client asked for, and who holds a device."""

from __future__ import annotations

from dataclasses import dataclass

from latlab.domain.benchmark_spec import BenchmarkSpec


@dataclass(frozen=True, slots=True)
class Job:
    """A request to measure one Program on one Target; ends as a Measurement or a Failure.
    A sentinel's is the lab's own: nobody asked for it, and no predictor learns from it.
    A higher `priority` comes first."""

    id: str
    target_id: str
    program_sha256: str
    spec: BenchmarkSpec
    created_unix_ns: int
    is_sentinel: bool = False
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    device_serial: str
    holder: str
    token: int
    expires_unix_ns: int


@dataclass(frozen=True, slots=True)
class OpenJob:
    """target: its name; waits_for: in words for a person."""

    id: str
    target: str
    program_sha256: str
    priority: int
    visits_done: int
    waits_for: str
