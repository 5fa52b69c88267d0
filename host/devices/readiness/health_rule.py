"""When a device has failed too often to be trusted with jobs. Pure functions.

A program may crash on any device, so a program that fails again and again tells of itself:
it counts once in a row. A run that was lost with the device counts each time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Visit

MAX_FAILURES = 3
FIRST_PAUSE_S = 30.0
MAX_PAUSE_S = 1800.0

# The device's, as far as a single one can tell; of the other kinds the program is the cause.
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
    """Of one device. failures: in a row; reason: the last of them, in words; program_sha256:
    what failed last; failed_probes: since it was quarantined."""

    failures: int = 0
    reason: str = ""
    program_sha256: str = ""
    failed_probes: int = 0

    @property
    def is_quarantined(self) -> bool:
        return self.failures >= MAX_FAILURES

    @property
    def pause_s(self) -> float:
        """Before the next probe."""
        return min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self.failed_probes, 10))


def after_visit(health: Health, program_sha256: str, outcome: Visit | Failure) -> Health:
    if isinstance(outcome, Visit):
        return Health()
    if outcome.kind not in DEVICE_KINDS:
        return health
    reason = f"{outcome.kind.value}: {outcome.message}"
    again = program_sha256 == health.program_sha256 and outcome.kind != FailureKind.DEVICE_LOST
    return Health(health.failures + (not again), reason, program_sha256)


def after_probe(health: Health, failure: Failure | None) -> Health:
    if failure is None:
        return Health()
    reason = f"{failure.kind.value}: {failure.message}"
    return replace(health, reason=reason, failed_probes=health.failed_probes + 1)
