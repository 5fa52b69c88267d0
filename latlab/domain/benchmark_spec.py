"""Specifications of how a program is measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MAX_VISITS = 100
MAX_SPACING_NS = 600 * 10**9
# Tens of runs load code, weights and caches. A warm-up of a second or more is meant to heat.
SUSTAINED_NS = 1_000_000_000
MAX_SUSTAINED_S = 500  # so that a visit with its load ends within an agent's longest deadline
MAX_RUNS = 1_000_000  # no agent runs more; at half a millisecond a run this is 500 s of load
MAX_DEADLINE_NS = 600 * 10**9
MAX_NAME_CHARS = 64

# With fewer pairs of visits, even the interval from the lowest to the highest ratio hardly holds
# 90 %.
MIN_PAIRS = 5
# A profile takes so many pairs of an untraced and a traced visit.
PROFILE_PAIRS = 8

# A quick measurement ends when the half width of its interval is at most this share.
QUICK_HALF_WIDTH = 0.05
# It takes at least so many visits, because those that stop early are those that happen to agree. In
# a recording of ten networks, its interval held the truth in 88 % of the cases, and in 85 % of
# those that could stop after three.
QUICK_VISITS = 4

# A search compares many networks. Where six visits did not agree, five more changed the latency by
# 1.3 % (median of 54 networks on a virtual machine) and did not narrow its interval.
SEARCH_VISITS = 6

# Lowest and highest allowed value of each number in a VisitSpec.
VISIT_BOUNDS = {
    "warmup_runs": (0, MAX_RUNS),
    "warmup_ns": (0, MAX_DEADLINE_NS),
    "timed_runs": (1, MAX_RUNS),
    "timed_ns": (0, MAX_DEADLINE_NS),
    "max_timed_runs": (1, MAX_RUNS),
    "deadline_ns": (1_000_000, MAX_DEADLINE_NS),
    "threads": (0, 65_536),  # the number of the target replaces it
    "seed": (0, 2**64 - 1),
}


def visit_spec_fault(spec: Any) -> str:  # noqa: ANN401 -- a VisitSpec, or the message of one
    """Return which limit a visit spec exceeds; empty if it exceeds none."""
    for name, (lowest, highest) in VISIT_BOUNDS.items():
        if not lowest <= (value := getattr(spec, name)) <= highest:
            return f"{name}: {lowest} to {highest}, not {value}"
    if spec.timed_runs > spec.max_timed_runs:
        return f"timed_runs: at most max_timed_runs, {spec.max_timed_runs}, not {spec.timed_runs}"
    if len(spec.core_class) > MAX_NAME_CHARS:
        return f"core_class: up to {MAX_NAME_CHARS} characters, not {len(spec.core_class)}"
    return ""


@dataclass(frozen=True, slots=True)
class VisitSpec:
    """The settings of one visit.

    Warm-up and timing each end when both their number of runs and their duration are reached.

    Attributes:
        warmup_runs: The least number of runs before timing.
        warmup_ns: The least duration of the warm-up.
        timed_runs: The least number of timed runs.
        timed_ns: The least duration of the timed runs together.
        max_timed_runs: The most timed runs, and also the most runs of the warm-up.
        deadline_ns: The visit fails if it takes longer, from when the agent lets it in.
        threads: The number of the runner's threads.
        core_class: The name of the cores that the runner is pinned to.
        traced: Whether the runner records how long each kernel takes.
        seed: The seed of the input values.
    """

    warmup_runs: int = 10
    warmup_ns: int = 100_000_000
    timed_runs: int = 10
    timed_ns: int = 200_000_000
    max_timed_runs: int = 2_000
    deadline_ns: int = 60_000_000_000
    threads: int = 1
    core_class: str = "all"
    traced: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers. Raises ValueError, in a sentence for a person."""
        if fault := visit_spec_fault(self):
            raise ValueError(fault)

    @property
    def is_sustained(self) -> bool:
        """True if the warm-up heats the device. Such visits are not pooled with ordinary ones."""
        return self.warmup_ns >= SUSTAINED_NS


@dataclass(frozen=True, slots=True)
class BenchmarkSpec:
    """The settings of a measurement: of its visits, and of how many there are.

    Attributes:
        visit: What each visit does.
        min_visits: The least number of untraced visits.
        max_visits: The most untraced visits.
        tolerance: The visits agree, and no more are made, when the faster half of the clean
            ones lies within this share of the latency around its middle.
        traced_visits: How many traced visits there are, each right after an untraced one. They
            yield the kernel timings and never the latency. If they are as many as `max_visits`,
            visits come in pairs: see `is_paired`.
        spacing_ns: The least time from one untraced visit to the next. A machine has moods of
            seconds, in which visits agree and are wrong together.
        half_width: No more visits are made, whatever the tolerance, once half of the width of the
            90 % interval is at most this share of the latency. 0: the tolerance decides.
    """

    visit: VisitSpec = field(default_factory=VisitSpec)
    min_visits: int = 6
    max_visits: int = 11
    tolerance: float = 0.01
    traced_visits: int = 2
    spacing_ns: int = 5_000_000_000
    half_width: float = 0.0

    @classmethod
    def quick(cls) -> BenchmarkSpec:
        """Return a spec of untraced visits, as many as make the interval ±5 % and no more.

        It makes at most as many visits as an ordinary measurement.
        """
        return cls(min_visits=QUICK_VISITS, traced_visits=0, half_width=QUICK_HALF_WIDTH)

    @classmethod
    def for_search(cls) -> BenchmarkSpec:
        """Return a spec that makes no more visits where the first ones disagree.

        Their interval is wider then. The time goes into more networks.
        """
        return cls(min_visits=SEARCH_VISITS, max_visits=SEARCH_VISITS)

    @classmethod
    def sustained(cls, load_s: float) -> BenchmarkSpec:
        """Return a spec whose visits first heat the device by running the program for a while.

        Its visits are untraced, so no predictor learns from them.

        Args:
            load_s: How long each visit runs the program without a pause before timing.

        Raises:
            ValueError: The load is too short or too long.
        """
        if not SUSTAINED_NS <= load_s * 1e9 <= MAX_SUSTAINED_S * 1e9:
            raise ValueError(f"load must be sustained for 1 to {MAX_SUSTAINED_S} s: got {load_s}")
        load_ns = round(load_s * 1e9)
        visit = VisitSpec(
            warmup_ns=load_ns,
            max_timed_runs=MAX_RUNS,
            deadline_ns=VisitSpec().deadline_ns + load_ns,
        )
        return cls(visit, traced_visits=0, spacing_ns=0)

    @classmethod
    def paired(cls, pairs: int) -> BenchmarkSpec:
        """Return a spec of untraced visits, each with a traced one beside it, as a profile needs.

        Raises:
            ValueError: There are too few pairs or too many.
        """
        return cls(min_visits=pairs, max_visits=pairs, traced_visits=pairs)

    @property
    def is_paired(self) -> bool:
        """True if each untraced visit has a traced one right before or after it.

        What the two differ in is then due to tracing, and not to a mood of the machine.
        """
        return self.traced_visits >= self.max_visits

    def __post_init__(self) -> None:
        """Check the numbers. Raises ValueError, in a sentence for a person."""
        if not 1 <= self.min_visits <= self.max_visits <= MAX_VISITS:
            raise ValueError(
                f"visits must be at least 1 and at most {MAX_VISITS}, the minimum not above the"
                f" maximum: got {self.min_visits} to {self.max_visits}"
            )
        if not 0 <= self.traced_visits <= MAX_VISITS:
            raise ValueError(f"traced visits must be 0 to {MAX_VISITS}: got {self.traced_visits}")
        if not 0 < self.tolerance < 1:
            raise ValueError(f"tolerance must be a share between 0 and 1: got {self.tolerance}")
        if not 0 <= self.half_width < 1:
            raise ValueError(f"the half width must be a share from 0 to 1: got {self.half_width}")
        if not 0 <= self.spacing_ns <= MAX_SPACING_NS:
            raise ValueError(
                f"visits must be at most {MAX_SPACING_NS / 1e9:g} s apart: got"
                f" {self.spacing_ns / 1e9:g} s"
            )
