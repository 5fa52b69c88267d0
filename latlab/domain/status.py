"""How the lab's targets, devices and jobs stand, as it tells its clients."""

from __future__ import annotations

from dataclasses import dataclass

from latlab.domain.domain import Device, Target


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """devices: how many can serve it now; fitted_measurements: 0 without a predictor;
    shares_host: whether other work on the lab's machine disturbs it; sentinel_drift: of the
    last sentinel from its baseline, as a share, None before one; drifted: its jobs wait."""

    target: Target
    devices: int
    measurements: int
    fitted_measurements: int
    shares_host: bool
    sentinel_drift: float | None = None
    drifted: bool = False


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """device is None while its agent has not answered yet."""

    device: Device | None
    transport: str
    state: str
    targets: tuple[str, ...]
    queued_jobs: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class OpenJob:
    """target: its name; waits_for: in words for a person."""

    id: str
    target: str
    program_sha256: str
    priority: int
    visits_done: int
    waits_for: str
