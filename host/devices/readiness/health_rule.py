"""Pure rules for when a device has failed too often to get jobs.

A program may crash on any device, so a program that fails again and again counts once in a row.
A run that was lost together with the device counts each time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Visit

MAX_FAILURES = 3
FIRST_PAUSE_S = 30.0
MAX_PAUSE_S = 1800.0

# Failures that the device may have caused. The program causes those of the other kinds.
DEVICE_KINDS = frozenset(
    {
        FailureKind.CRASHED,
        FailureKind.TIMED_OUT,
        FailureKind.DEVICE_LOST,
        FailureKind.AGENT_ERROR,
    }
)


@dataclass(frozen=True, slots=True)
class Health:
    """The health of one device.

    Attributes:
        failures: How many failures in a row there were.
        reason: The last failure, for people.
        program_sha256: The program that failed last.
        failed_probes: How many probes have failed since the device was quarantined.
    """

    failures: int = 0
    reason: str = ""
    program_sha256: str = ""
    failed_probes: int = 0

    @property
    def is_quarantined(self) -> bool:
        """True if the device has failed too often to get jobs."""
        return self.failures >= MAX_FAILURES

    @property
    def pause_s(self) -> float:
        """How many seconds to wait before the next probe of the device."""
        return min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self.failed_probes, 10))


def after_visit(health: Health, program_sha256: str, outcome: Visit | Failure) -> Health:
    """Return the health of a device after a visit to it."""
    if isinstance(outcome, Visit):
        return Health()
    if outcome.kind not in DEVICE_KINDS:
        return health
    reason = f"{outcome.kind.value}: {outcome.message}"
    again = program_sha256 == health.program_sha256 and outcome.kind != FailureKind.DEVICE_LOST
    return Health(health.failures + (not again), reason, program_sha256)


def after_probe(health: Health, failure: Failure | None) -> Health:
    """Return a quarantined device's health after a probe. `failure` is None if it succeeded."""
    if failure is None:
        return Health()
    reason = f"{failure.kind.value}: {failure.message}"
    return replace(health, reason=reason, failed_probes=health.failed_probes + 1)
