"""Measurements without their visits, and visits without their samples."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from latlab.domain.estimate import RawSamples
from latlab.domain.measurement import Conditions


class MeasurementOrder(Enum):
    """The order of a list of measurements.

    Attributes:
        NEWEST: The newest comes first.
        OLDEST: The oldest comes first.
        FASTEST: The lowest latency comes first. Measurements without a latency are left out.
        SLOWEST: The highest latency comes first. Measurements without a latency are left out.
    """

    NEWEST = "newest"
    OLDEST = "oldest"
    FASTEST = "fastest"
    SLOWEST = "slowest"


@dataclass(frozen=True, slots=True)
class MeasurementSummary:
    """A stored measurement without its visits.

    Attributes:
        id: The measurement's id.
        target_id: Where it was measured.
        program_sha256: The program that was measured.
        unix_ns: When it was finished, in ns since 1970.
        latency_ns: The latency as measured; None if it cannot be computed.
        lower_ns: The lower bound of its 90 % interval; None likewise.
        upper_ns: The upper bound of its 90 % interval; None likewise.
        raw: The quantiles of all timed runs; None likewise.
        suspect: Whether the sentinel had drifted.
        is_sentinel: Whether the lab itself measured its sentinel.
        is_excluded: Whether somebody has excluded it.
    """

    id: str
    target_id: str
    program_sha256: str
    unix_ns: int
    latency_ns: int | None
    lower_ns: int | None
    upper_ns: int | None
    raw: RawSamples | None
    suspect: bool
    is_sentinel: bool
    is_excluded: bool


@dataclass(frozen=True, slots=True)
class VisitSummary:
    """A visit without its samples.

    Attributes:
        run_id: The run's id.
        traced: Whether the kernels were timed.
        runs: The number of timed runs.
        warmup_runs: The number of runs before timing.
        load_ns: How long the program took to load.
        first_run_ns: How long the first run after that took; None where it was not reported.
        peak_rss_bytes: The most memory that the runner held; None likewise.
        planned_bytes: The memory that the program's own plan asks for; None likewise.
        before: The conditions before it.
        after: The conditions after it.
        kernel_names: The names of the traced kernels, in the order in which they ran.
    """

    run_id: str
    traced: bool
    runs: int
    warmup_runs: int
    load_ns: int
    first_run_ns: int | None
    peak_rss_bytes: int | None
    planned_bytes: int | None
    before: Conditions
    after: Conditions
    kernel_names: tuple[str, ...] = ()
