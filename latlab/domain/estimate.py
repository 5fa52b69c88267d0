"""Latency estimates: latencies with intervals, what they rest on, and how good they have been."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

MIN_COVERAGE = 0.5
MAX_LATENCY_NS = 2**62  # centuries; twice as much still fits into an int64
HEAT_UNKNOWN = "heat unknown: the device does not report whether heat slows it down"


class Source(str, Enum):
    """The origin of a latency estimate: measured, looked up, regressed, transferred or guessed."""

    MEASURED = "measured"
    LOOKUP = "lookup"  # every kernel was timed inside some measured network
    REGRESSION = "regression"  # at least one kernel's time is predicted from its shape
    TRANSFER = "transfer"  # mostly from other targets, while little was measured on this one
    BOUND = "bound"  # at least one kernel is of a kind that was never measured


@dataclass(frozen=True, slots=True)
class RawSamples:
    """The latencies of all timed runs of a measurement, disturbed or not.

    The quiet latency says what a network takes when nothing else uses the machine. These
    quantiles say what its runs took while they were measured.

    Attributes:
        median_ns: The median over the runs of all untraced visits.
        p90_ns: The 90th percentile.
        p99_ns: The 99th percentile.
        runs: The number of runs.
        clean_visits: How many untraced visits count for the quiet latency.
        disturbed_visits: How many untraced visits were disturbed by other work.
    """

    median_ns: int
    p90_ns: int
    p99_ns: int
    runs: int
    clean_visits: int
    disturbed_visits: int

    @property
    def quantiles_text(self) -> str:
        """The median, p90 and p99 for people, as in "12.1, 12.4, 13.0 ms"."""
        quantiles_ns = (self.median_ns, self.p90_ns, self.p99_ns)
        return f"{', '.join(map(milliseconds_text, quantiles_ns))} ms"

    @property
    def visits_text(self) -> str:
        """How many of the untraced visits were clean, for people, as in "6 of 7"."""
        return f"{self.clean_visits} of {self.clean_visits + self.disturbed_visits}"


@dataclass(frozen=True, slots=True)
class Correction:
    """How a latency was corrected for other work on the machine's memory.

    Attributes:
        revision: Names what was learned. Latencies of one target that have the same revision are
            corrected alike.
        quiet_probe_ns: The state that they are corrected to: how long a sweep over memory takes
            while the machine is left to itself.
    """

    revision: str
    quiet_probe_ns: int


@dataclass(frozen=True, slots=True)
class LatencyEstimate:
    """The estimated latency of a network on a target.

    Attributes:
        latency_ns: The latency of one run.
        lower_ns: The lower bound of the 90 % interval.
        upper_ns: The upper bound of the 90 % interval.
        source: How the estimate was obtained.
        coverage: The share of the latency, from 0 to 1, that rests on kernels similar to
            measured ones.
        samples: The number of measured networks that it rests on.
        age_s: The age of the newest of these measurements, in s.
        steadied: Whether the time that other users of the machine's memory add was removed.
        unknown_kinds: The kinds of kernels that were never measured on the target, sorted. Their
            times were guessed from what work usually takes there.
        parts: The estimates on each target where this one combines those on several.
        raw: The quantiles of all timed runs; None unless the latency was measured, on one target.
        correction: How a measured latency was steadied; None unless it was, on one target.
    """

    latency_ns: int
    lower_ns: int
    upper_ns: int
    source: Source
    coverage: float
    samples: int
    age_s: float
    steadied: bool = False
    unknown_kinds: tuple[str, ...] = ()
    parts: tuple[LatencyEstimate, ...] = ()
    raw: RawSamples | None = None
    correction: Correction | None = None

    @property
    def extrapolates(self) -> bool:
        """True if unfamiliar kernels take most of the latency: its interval may be too narrow."""
        return self.coverage < MIN_COVERAGE


@dataclass(frozen=True, slots=True)
class Footprint:
    """A program's costs beside its latency. One that is not known is None.

    Attributes:
        size_bytes: The size of the program; 0 where it is not known.
        load_ns: How long it takes to load, the median over visits.
        first_run_ns: How long the first run after loading takes, the median over visits.
        peak_rss_bytes: The most memory that a runner held, its own code and the program's bytes
            included.
        planned_bytes: The memory that the program's own plan asks for.
    """

    size_bytes: int
    load_ns: float | None = None
    first_run_ns: float | None = None
    peak_rss_bytes: int | None = None
    planned_bytes: int | None = None


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
        heat_unknown: Whether the device could not report its heat, so that nobody knows whether
            heat slowed it down. False where the lab is of a version that does not say.
        untraced: Whether it has no kernel times although they were asked for, because the trace
            does not match the program's kernels. The latency is as good as any other.
        footprint: What the program costs beside its latency; None where the lab is of a version
            that does not say.
    """

    measurement_id: str
    program_sha256: str
    estimate: LatencyEstimate
    clean_visits: int
    disturbed_visits: int
    device_s: float
    heat_unknown: bool = False
    untraced: bool = False
    footprint: Footprint | None = None


@dataclass(frozen=True, slots=True)
class PredictionScore:
    """How well a predictor has predicted networks that were measured afterwards.

    Attributes:
        networks: The number of networks, at least 1. Each counts once.
        guessed: How many of them have kernels of kinds that the predictor did not know, so that
            it could only guess.
        mean_error: The mean of the errors, as shares of the measured latencies.
        within_5pct: The share of the networks whose error is at most 5 %.
        inside_interval: The share of the measured latencies inside their 90 % intervals.
    """

    networks: int
    guessed: int
    mean_error: float
    within_5pct: float
    inside_interval: float


@dataclass(frozen=True, slots=True)
class Refit:
    """A fit of a target's predictor, as the lab's history keeps it.

    Attributes:
        unix_ns: When it ended, in ns since 1970.
        measurements: How many measurements the predictor has learned from.
        fit_s: How long the fit took, in seconds.
        predictor: The kind of the predictor, such as "KernelPredictor".
        fingerprint: The SHA-256 of the sorted ids of these measurements, one in each line. Fits
            with the same fingerprint learned from the same measurements.
        versions: The versions of the libraries that fits depend on, by name.
        score: How well the predictor before it had predicted the networks that were first measured
            between the two fits; None if there was none, if nothing was measured, or if it could
            not predict them.
    """

    unix_ns: int
    measurements: int
    fit_s: float
    predictor: str
    fingerprint: str
    versions: Mapping[str, str]
    score: PredictionScore | None = None


def whole_ns(latency_ns: float) -> int:
    """Round a latency to whole ns, at least 1 and at most MAX_LATENCY_NS.

    Every network takes some time, and every estimate must fit into its protobuf message.
    """
    return round(min(max(latency_ns, 1.0), float(MAX_LATENCY_NS)))


def milliseconds_text(ns: float) -> str:
    """Return a time in ms, without the unit, with at least three significant digits.

    It may be below zero, as differences of times are.
    """
    ms = ns / 1e6 + 0.0  # without the sign of -0.0
    rounded_ms = abs(float(f"{ms:.3g}"))  # 0.9999 has as many decimals as 1.00
    whole_digits = math.floor(math.log10(rounded_ms)) + 1 if rounded_ms > 0 else 1
    return f"{ms:.{max(0, 3 - whole_digits)}f}"
