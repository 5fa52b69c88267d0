"""What the lab answers: a latency with its interval, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

MIN_COVERAGE = 0.5
MAX_LATENCY_NS = 2**62  # centuries; twice as much still fits into an int64


class Source(str, Enum):
    MEASURED = "measured"
    LOOKUP = "lookup"  # every kernel was timed inside some measured network
    REGRESSION = "regression"  # at least one kernel's time is predicted from its shape


@dataclass(frozen=True, slots=True)
class LatencyEstimate:
    """`coverage` is the share (0 to 1) of the latency that rests on kernels near such as
    were measured; `samples` the number of measured networks behind it; `age_s` that of the
    newest one. `steadied` says that what neighbours on the machine's memory add was taken
    out (see `Steadying`).
    """

    latency_ns: int
    lower_ns: int
    upper_ns: int
    source: Source
    coverage: float
    samples: int
    age_s: float
    steadied: bool = False

    @property
    def extrapolates(self) -> bool:
        """Whether most of it rests on kernels unlike any seen: its interval may be too narrow."""
        return self.coverage < MIN_COVERAGE


@dataclass(frozen=True, slots=True)
class MeasuredLatency:
    """The outcome of a finished measurement, without its raw visits.

    Attributes:
        measurement_id: The measurement's id, by which it and its visits can be asked for.
        program_sha256: SHA-256 of the program that was measured.
        estimate: The latency, whose source is MEASURED.
        clean_visits: How many untraced visits count for the latency.
        disturbed_visits: How many untraced visits were disturbed by other work.
        device_s: How long the visits kept the device, in seconds.
    """

    measurement_id: str
    program_sha256: str
    estimate: LatencyEstimate
    clean_visits: int
    disturbed_visits: int
    device_s: float


def whole_ns(latency_ns: float) -> int:
    """Round to whole ns, at least 1 and at most MAX_LATENCY_NS: no network takes no time, and
    no estimate outgrows the messages that carry it."""
    return round(min(max(latency_ns, 1.0), float(MAX_LATENCY_NS)))
