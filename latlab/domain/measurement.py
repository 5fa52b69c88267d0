"""Measurements: visits with their samples, kernel traces and conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.estimate import Footprint, RawSamples, whole_ns
from latlab.domain.failure import Failure


@dataclass(frozen=True, slots=True)
class Conditions:
    """The state of a machine at one instant. What it cannot report is None.

    Attributes:
        unix_ns: The machine's clock, in ns since 1970.
        temperature_c: The temperature of the hottest zone, in °C.
        clock_khz: The mean clock of the pinned cores.
        governor: The name of the governor of the cores' clocks.
        battery_level: The battery's charge, from 0 to 1.
        load_1min: The mean number of runnable processes over a minute.
        steal_ns: The time that a hypervisor has taken from the pinned cores since boot.
        arithmetic_probe_ns: How long a fixed piece of arithmetic took, in ns.
        memory_probe_ns: How long a fixed sweep over memory took, in ns.
        throttled: Whether the machine lowers its clocks because of heat.
    """

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

    @property
    def heat_is_known(self) -> bool:
        """True if the machine reports a temperature, or whether it is throttled."""
        return self.temperature_c is not None or self.throttled is not None


@dataclass(frozen=True, slots=True)
class KernelTrace:
    """One kernel over the traced runs of a visit.

    Attributes:
        name: The backend's name for the kernel.
        durations_ns: How long it took in each run.
        instruction: The number of the program's instruction that ran it, from 0. The kernels of
            one delegate call have the same. None where an older runner did not say.
    """

    name: str
    durations_ns: tuple[int, ...]
    instruction: int | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """One fresh runner's short timed stretch.

    The three series of samples are parallel, with one entry for each timed run.

    Attributes:
        run_id: The run's id, unique on its device.
        traced: Whether kernels were traced. Traced visits do not count for the latency.
        wall_ns: How long each run took.
        cpu_ns: The processor time of each run.
        involuntary_switches: How often the runner was interrupted in each run.
        warmup_runs: How many runs came before the timed ones.
        load_ns: How long it took to read the program and make it ready to run.
        peak_rss_bytes: The most memory that the runner held while it loaded and ran the program,
            its own code and the program's bytes included; None where it is not known.
        before: The conditions before the visit.
        after: The conditions after the visit.
        kernel_traces: The kernels' traces, in the order in which the kernels run.
        first_run_ns: How long the first run after loading took, which is no sample; None where
            it is not known.
        planned_bytes: The memory that the program's own plan asks for; None where it is not
            known.
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

    @property
    def heat_is_known(self) -> bool:
        """True if the heat is known both before and after the visit."""
        return self.before.heat_is_known and self.after.heat_is_known


@dataclass(frozen=True)
class Measurement:
    """The visits of one program to one target. It never changes.

    `host.measuring.statistics` computes the latency from the visits.

    Attributes:
        id: The measurement's id.
        target_id: The target.
        program_sha256: The program.
        spec: How it was measured.
        unix_ns: When it was finished, in ns since 1970.
        visits: Its visits.
        suspect: Whether the sentinel had drifted when it was taken. It is kept, but no predictor
            learns from it.
        traces_removed_unix_ns: When the lab removed the kernels' times of each traced run; None
            if it has them. The kernels' mean times stay.
        samples_removed_unix_ns: When the lab removed the series of all visits; None if it has
            them. The latency, its interval and the quantiles stay.
    """

    id: str
    target_id: str
    program_sha256: str
    spec: BenchmarkSpec
    unix_ns: int
    visits: tuple[Visit, ...]
    suspect: bool = False
    traces_removed_unix_ns: int | None = None
    samples_removed_unix_ns: int | None = None

    @property
    def heat_unknown(self) -> bool:
        """True if the heat of the device was not known before or after some visit."""
        return not all(visit.heat_is_known for visit in self.visits)


def footprint_of(visits: Sequence[Visit], size_bytes: int = 0) -> Footprint:
    """Return what a program costs beside its latency, as its visits say.

    Its size is 0 where it is not known. Traced visits count for the program's plan alone, because
    tracing takes time and memory.
    """
    untraced = [visit for visit in visits if not visit.traced]
    first_runs_ns = [ns for visit in untraced if (ns := visit.first_run_ns) is not None]
    peaks = [size for visit in untraced if (size := visit.peak_rss_bytes) is not None]
    plans = [size for visit in visits if (size := visit.planned_bytes) is not None]
    return Footprint(
        size_bytes=size_bytes,
        load_ns=median(visit.load_ns for visit in untraced) if untraced else None,
        first_run_ns=median(first_runs_ns) if first_runs_ns else None,
        peak_rss_bytes=max(peaks, default=None),
        planned_bytes=max(plans, default=None),
    )


@dataclass(frozen=True, slots=True)
class Summary:
    """The latency of a measurement, as `host.measuring.statistics` computes it.

    Attributes:
        latency_ns: The lower quartile of the clean visits' lower deciles.
        lower_ns: The lower bound of the latency's 90 % interval. It may lie below the fastest
            visit.
        upper_ns: The upper bound.
        clean_visits: How many untraced visits count for the latency.
        visits: How many untraced visits there are.
        median_ns: The median over all runs of the untraced visits, disturbed or not.
        p90_ns: The 90th percentile of these runs.
        p99_ns: The 99th percentile of these runs.
        runs: How many runs these are.
        memory_probe_ns: How long a sweep over memory took beside the untraced visits; None
            without a probe.
        traced_memory_probe_ns: The same beside the traced visits.
    """

    latency_ns: float
    lower_ns: float
    upper_ns: float
    clean_visits: int
    visits: int
    median_ns: float
    p90_ns: float
    p99_ns: float
    runs: int
    memory_probe_ns: float | None = None
    traced_memory_probe_ns: float | None = None

    @property
    def raw(self) -> RawSamples:
        """The quantiles of all timed runs, in whole ns, and the numbers of visits."""
        return RawSamples(
            median_ns=whole_ns(self.median_ns),
            p90_ns=whole_ns(self.p90_ns),
            p99_ns=whole_ns(self.p99_ns),
            runs=self.runs,
            clean_visits=self.clean_visits,
            disturbed_visits=self.visits - self.clean_visits,
        )


@dataclass(frozen=True, slots=True)
class Unusable:
    """A stored measurement that cannot be used.

    It is damaged, was written by a newer version, or holds impossible numbers.

    Attributes:
        measurement_id: The measurement's id.
        target_id: Its target.
        why: Why it cannot be used, for people.
    """

    measurement_id: str
    target_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A person's decision not to use a measurement.

    Attributes:
        unix_ns: When it was excluded, in ns since 1970.
        why: The reason.
    """

    unix_ns: int
    why: str


@dataclass(frozen=True, slots=True)
class StoredMeasurement:
    """A stored measurement, as a list shows it.

    Attributes:
        id: The measurement's id.
        unix_ns: When it was finished, in ns since 1970.
        target: The target's name.
        target_id: The target's id.
        program_sha256: The program.
        latency_ns: The latency as measured; None if it cannot be computed.
        lower_ns: The lower bound of the latency's 90 % interval.
        upper_ns: The upper bound of the latency's 90 % interval.
        clean_visits: How many untraced visits count for the latency.
        visits: How many untraced visits brought samples.
        suspect: Whether the sentinel had drifted when it was taken.
        is_sentinel: Whether the lab measured its own sentinel.
        exclusion: Why and when a person excluded it; None if nobody has.
        unusable: Why it cannot be used; empty if it can.
        failed_visits: The failures of the visits that brought no samples.
        untraced: Whether it has no kernel times although they were asked for, because the trace
            does not match the program's kernels.
        raw: The quantiles of all timed runs; None if the latency cannot be computed.
        program_bytes: The size of the program; 0 where an older lab does not say.
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
    untraced: bool = False
    raw: RawSamples | None = None
    program_bytes: int = 0
