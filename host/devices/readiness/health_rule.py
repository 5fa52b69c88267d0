"""Pure rules for when a device has failed too often to get jobs.

A program may crash on any device, and a spec may ask for what no device can do in time. So a
failure counts against the device only if the program has run on the target to the same spec: on
another of its devices, or on this one before. Failures of other programs are doubts. Many doubts
in a row prove nothing, but the device must be probed with its sentinel before it gets more jobs.

A program that fails again and again counts once in a row. A run that was lost together with the
device counts each time.
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
        failures: How many failures in a row there were of programs that have run before.
        doubts: How many there were of other programs.
        reason: The last failure, for people.
        program_sha256: The program that failed last.
        failed_probes: How many probes have failed in a row.
    """

    failures: int = 0
    doubts: int = 0
    reason: str = ""
    program_sha256: str = ""
    failed_probes: int = 0

    @property
    def is_quarantined(self) -> bool:
        """True if the device has failed too often to get jobs."""
        return self.failures >= MAX_FAILURES

    @property
    def is_doubtful(self) -> bool:
        """True if a probe must show whether the device or the programs are at fault."""
        return self.doubts >= MAX_FAILURES and not self.is_quarantined

    @property
    def pause_s(self) -> float:
        """How many seconds to wait before the next probe of the device."""
        return min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self.failed_probes, 10))


def after_visit(
    health: Health, program_sha256: str, outcome: Visit | Failure, has_run: bool
) -> Health:
    """Return the health of a device after a visit to it.

    Args:
        health: The health before.
        program_sha256: The visit's program.
        outcome: The visit's outcome.
        has_run: Whether the program has run on the target to the same spec.
    """
    if isinstance(outcome, Visit):
        return Health()
    again = program_sha256 == health.program_sha256 and outcome.kind != FailureKind.DEVICE_LOST
    if outcome.kind not in DEVICE_KINDS or again:
        return health
    return replace(
        health,
        failures=health.failures + has_run,
        doubts=health.doubts + (not has_run),
        reason=_reason(outcome),
        program_sha256=program_sha256,
    )


def after_probe(health: Health, failure: Failure | None) -> Health:
    """Return the health after a probe, which decides about doubts.

    The probe has succeeded if there is no failure, or one that the device cannot have caused.
    """
    if failure is None or failure.kind not in DEVICE_KINDS:
        return Health()
    return replace(
        health,
        failures=max(health.failures, MAX_FAILURES),
        reason=_reason(failure),
        failed_probes=health.failed_probes + 1,
    )


def _reason(failure: Failure) -> str:
    return f"{failure.kind.value}: {failure.message}"
