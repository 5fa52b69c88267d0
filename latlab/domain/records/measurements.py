"""Stored measurements as they are listed by page: without visits, visits without samples."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from latlab.domain.estimate import RawSamples
from latlab.domain.measurement import Conditions, KernelTrace


class MeasurementOrder(Enum):
    """The order of a list of measurements."""

    NEWEST = "newest"
    OLDEST = "oldest"
    FASTEST = "fastest"
    SLOWEST = "slowest"


@dataclass(frozen=True, slots=True)
class MeasurementSummary:
    """A stored measurement without its visits.

    Attributes:
        id: The measurement's id.
        target_id: The target's id.
        program_sha256: The program.
        unix_ns: When it was finished, in ns since 1970.
        latency_ns: The latency as measured; None if it cannot be computed.
        lower_ns: The lower bound of its 90 % interval; None as the latency is.
        upper_ns: The upper bound of its 90 % interval; None as the latency is.
        raw: The quantiles of all timed runs; None as the latency is.
        suspect: Whether the sentinel had drifted when it was taken.
        is_sentinel: Whether the lab measured its own sentinel.
        is_excluded: Whether a person decided not to use it.
    """

    id: str
    target_id: str
    program_sha256: str
    unix_ns: int
    latency_ns: int | None = None
    lower_ns: int | None = None
    upper_ns: int | None = None
    raw: RawSamples | None = None
    suspect: bool = False
    is_sentinel: bool = False
    is_excluded: bool = False


@dataclass(frozen=True, slots=True)
class VisitSummary:
    """A visit without its samples.

    Attributes:
        run_id: The run's id.
        traced: Whether kernels were traced. Traced visits do not count for the latency.
        runs: The number of timed runs.
        warmup_runs: How many runs came before the timed ones.
        load_ns: How long it took to read the program and make it ready to run.
        before: The conditions before the visit.
        after: The conditions after the visit.
        kernel_names: The names of the traced kernels, in the order in which the backend ran them.
        first_run_ns: How long the first run took; None where it is not known.
        peak_rss_bytes: The most memory that the runner held; None where it is not known.
        planned_bytes: The memory that the program's own plan asks for; None where it is not known.
    """

    run_id: str
    traced: bool
    runs: int
    warmup_runs: int
    load_ns: int
    before: Conditions
    after: Conditions
    kernel_names: tuple[str, ...] = ()
    first_run_ns: int | None = None
    peak_rss_bytes: int | None = None
    planned_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Samples:
    """The timed runs of a visit, or of a page of it. The three series are parallel.

    Attributes:
        wall_ns: How long each run took.
        cpu_ns: The processor time of each run.
        involuntary_switches: How often the runner was interrupted in each run.
        kernel_traces: The times of each traced kernel in these runs.
    """

    wall_ns: tuple[int, ...]
    cpu_ns: tuple[int, ...]
    involuntary_switches: tuple[int, ...]
    kernel_traces: tuple[KernelTrace, ...] = ()
