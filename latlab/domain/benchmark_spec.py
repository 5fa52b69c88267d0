"""How a program is measured: what a visit asks for, and how many visits."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_VISITS = 100
MAX_SPACING_NS = 600 * 10**9
# Loading code, weights and caches takes tens of runs; from a second on, load is for heat.
SUSTAINED_NS = 1_000_000_000
MAX_SUSTAINED_S = 500  # a visit with its load must end within an agent's longest deadline
MAX_RUNS = 1_000_000  # of any agent; with it half a millisecond a run is 500 s of load


@dataclass(frozen=True, slots=True)
class VisitSpec:
    """What one visit does. Runs and durations are floors, whichever is later; the last
    two fields before `threads` are caps, `max_timed_runs` of the warm-up as well."""

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

    @property
    def is_sustained(self) -> bool:
        """Whether it warms the device as well as the program: a mode of its own, never
        pooled with ordinary measurements."""
        return self.warmup_ns >= SUSTAINED_NS


@dataclass(frozen=True, slots=True)
class BenchmarkSpec:
    """A measurement ends when its visits agree: at least `min_visits` of them, and the
    interval of their latency within ± `tolerance`; or at `max_visits`. Then come
    `traced_visits` more, which feed the kernel timings and never the latency. From one visit
    to the next it is at least `spacing_ns`: a machine has moods of seconds, in which visits
    agree and are wrong together."""

    visit: VisitSpec = field(default_factory=VisitSpec)
    min_visits: int = 6
    max_visits: int = 11
    tolerance: float = 0.01
    traced_visits: int = 2
    spacing_ns: int = 5_000_000_000

    @classmethod
    def sustained(cls, load_s: float) -> BenchmarkSpec:
        """Each visit after so many seconds of running the program without a pause, as on a
        device that it has warmed. Untraced: no predictor learns from it. Raises ValueError."""
        if not SUSTAINED_NS <= load_s * 1e9 <= MAX_SUSTAINED_S * 1e9:
            raise ValueError(f"load must be sustained for 1 to {MAX_SUSTAINED_S} s: got {load_s}")
        load_ns = round(load_s * 1e9)
        visit = VisitSpec(
            warmup_ns=load_ns,
            max_timed_runs=MAX_RUNS,
            deadline_ns=VisitSpec().deadline_ns + load_ns,
        )
        return cls(visit, traced_visits=0, spacing_ns=0)

    def __post_init__(self) -> None:
        """Raises ValueError, in a sentence for a person."""
        if not 1 <= self.min_visits <= self.max_visits <= MAX_VISITS:
            raise ValueError(
                f"visits must be at least 1 and at most {MAX_VISITS}, the minimum not above the"
                f" maximum: got {self.min_visits} to {self.max_visits}"
            )
        if not 0 <= self.traced_visits <= MAX_VISITS:
            raise ValueError(f"traced visits must be 0 to {MAX_VISITS}: got {self.traced_visits}")
        if not 0 < self.tolerance < 1:
            raise ValueError(f"tolerance must be a share between 0 and 1: got {self.tolerance}")
        if not 0 <= self.spacing_ns <= MAX_SPACING_NS:
            raise ValueError(
                f"visits must be at most {MAX_SPACING_NS / 1e9:g} s apart: got"
                f" {self.spacing_ns / 1e9:g} s"
            )
