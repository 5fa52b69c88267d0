"""What was measured: visits with their samples, their kernels' traces and the conditions."""

from __future__ import annotations

from dataclasses import dataclass

from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.failure import Failure


@dataclass(frozen=True, slots=True)
class Conditions:
    """The state of the machine at one instant; None where it cannot be read."""

    unix_ns: int
    temperature_c: float | None = None
    clock_khz: int | None = None
    governor: str | None = None
    battery_level: float | None = None
    load_1min: float | None = None
    steal_ns: int | None = None
    arithmetic_probe_ns: int | None = None
    memory_probe_ns: int | None = None
    throttled: bool | None = None


@dataclass(frozen=True, slots=True)
class KernelTrace:
    """instruction: which instruction of the program ran it, from 0; the kernels of one
    delegate call share theirs. None where an older runner did not say."""

    name: str
    durations_ns: tuple[int, ...]
    instruction: int | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """The three sample series are parallel, one entry for each timed run.

    load_ns: to read the program and make it ready to run. first_run_ns: of the first run
    after that, which is no sample. planned_bytes: what the program's memory plan asks for.
    peak_rss_bytes: the most memory that the process held while it loaded and ran, its own
    code and the program's bytes included. None: not known.
    """

    run_id: str
    traced: bool
    wall_ns: tuple[int, ...]
    cpu_ns: tuple[int, ...]
    involuntary_switches: tuple[int, ...]
    warmup_runs: int
    load_ns: int
    peak_rss_bytes: int | None
    before: Conditions
    after: Conditions
    kernel_traces: tuple[KernelTrace, ...] = ()
    first_run_ns: int | None = None
    planned_bytes: int | None = None


@dataclass(frozen=True)
class Measurement:
    """Immutable: its visits. `host.measuring.statistics` says what latency they amount to.
    `suspect` when the sentinel had drifted by the time it was taken: kept, and learned from by
    none."""

    id: str
    target_id: str
    program_sha256: str
    spec: BenchmarkSpec
    unix_ns: int
    visits: tuple[Visit, ...]
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """What a measurement's visits amount to: see `host.measuring.statistics`.

    `latency_ns` is the lower quartile of the clean visits' lower deciles; the bounds are
    those order statistics of them that enclose it with 90 % confidence (with fewer than 11
    visits the lower bound is the fastest visit and holds somewhat less). The probes are what a
    sweep over memory took beside the untraced and the traced visits, None without one.
    `clean_visits` of the `visits`, which are the untraced ones.
    """

    latency_ns: float
    lower_ns: float
    upper_ns: float
    clean_visits: int
    visits: int
    memory_probe_ns: float | None = None
    traced_memory_probe_ns: float | None = None

    @property
    def half_width(self) -> float:
        """Of the interval, as a share of the latency."""
        return (self.upper_ns - self.lower_ns) / (2 * self.latency_ns)


@dataclass(frozen=True, slots=True)
class Unusable:
    """A stored measurement that is set aside: damaged, written by a newer version, or of
    numbers that no network can have taken. `why` is for people."""

    measurement_id: str
    target_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Exclusion:
    unix_ns: int
    why: str


@dataclass(frozen=True, slots=True)
class StoredMeasurement:
    """What is shown of one in a list.

    target: its name. latency_ns with its 90 % interval, as measured, None where that cannot be
    said. clean_visits, visits: the untraced ones that brought samples; failed_visits brought
    none. unusable: why it is of no use, "" where it can be used.
    """

    id: str
    unix_ns: int
    target: str
    target_id: str
    program_sha256: str
    latency_ns: int | None
    lower_ns: int | None
    upper_ns: int | None
    clean_visits: int
    visits: int
    suspect: bool
    is_sentinel: bool
    exclusion: Exclusion | None
    unusable: str
    failed_visits: tuple[Failure, ...] = ()
