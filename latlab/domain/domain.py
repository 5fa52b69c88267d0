"""The lab's nouns. Immutable, without messages, storage or network."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path

from latlab.domain.kernel import Kernel, Shape

BACKEND = "xnnpack"
MAX_VISITS = 100
MAX_SPACING_NS = 600 * 10**9
# Loading code, weights and caches takes tens of runs; from a second on, load is for heat.
SUSTAINED_NS = 1_000_000_000
MAX_SUSTAINED_S = 500  # a visit with its load must end within an agent's longest deadline
MAX_RUNS = 1_000_000  # of any agent; with it half a millisecond a run is 500 s of load
# What a runner can fill an input with. The agent holds the same list in device_agent.limits.
INTEGER_RANGES = {
    "int64": (-(2**63), 2**63 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int8": (-128, 127),
    "uint8": (0, 255),
}
DTYPES = ("float32", "float16", *INTEGER_RANGES, "bool")


@dataclass(frozen=True, slots=True)
class CoreClass:
    name: str
    cpus: tuple[int, ...]
    max_clock_khz: int | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """One physical unit, as its agent describes it.

    confinement: what its kernel holds the runner back with while it reads a program,
    "seccomp" and "landlock"; empty where it has neither, or the agent does not say.
    """

    serial: str
    model: str
    soc: str
    os_build: str
    abi: str
    runtime_version: str
    runner_build: str
    backends: tuple[str, ...]
    core_classes: tuple[CoreClass, ...]
    memory_bytes: int
    max_program_bytes: int
    confinement: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """What a latency is valid for. Never pool across targets."""

    device_model: str
    os_build: str
    runtime_version: str
    runner_build: str
    backend: str
    threads: int
    core_class: str

    @cached_property
    def id(self) -> str:
        canonical = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """For people; two builds of one device share it, the id tells them apart."""
        model = "".join(c if c.isalnum() else "-" for c in self.device_model.lower())
        model = "-".join(part for part in model.split("-") if part)
        return f"{model}/{self.core_class}/{self.threads}t"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input of a program, and what it is filled with.

    Floats are standard normal, a bool is either value. low, high: the inclusive range of an
    integer's values (token ids, say); without one the runner takes a range that is safe for
    an index: 0 and 1 for int64 and int32, and the whole dtype for int8 and uint8.
    """

    shape: Shape
    dtype: str = "float32"
    low: int | None = None
    high: int | None = None

    def __post_init__(self) -> None:
        """Raises ValueError, in a sentence for a person."""
        if self.dtype not in DTYPES:
            raise ValueError(f"an input's dtype must be one of {', '.join(DTYPES)}: {self.dtype}")
        if self.low is None and self.high is None:
            return
        if self.low is None or self.high is None:
            raise ValueError("an input's range needs both its lowest and its highest value")
        if self.dtype not in INTEGER_RANGES:
            raise ValueError(f"only integers are drawn from a range, not {self.dtype}")
        lowest, highest = INTEGER_RANGES[self.dtype]
        if not lowest <= self.low <= self.high <= highest:
            raise ValueError(
                f"the range {self.low} to {self.high} of an input is empty, or reaches beyond"
                f" {self.dtype}: {lowest} to {highest}"
            )

    def __str__(self) -> str:
        """As the command line takes it: 1x128:int64:0..30521."""
        text = f"{'x'.join(map(str, self.shape))}:{self.dtype}"
        return text if self.low is None else f"{text}:{self.low}..{self.high}"


@dataclass(frozen=True, slots=True)
class Program:
    """An exported `.pte` without its bytes. `kernels` in the order the backend runs them."""

    sha256: str
    size_bytes: int
    backend: str
    inputs: tuple[TensorSpec, ...]
    kernels: tuple[Kernel, ...]
    undelegated: tuple[str, ...]
    exporter: str

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        return tuple(spec.shape for spec in self.inputs)


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


class FailureKind(str, Enum):
    NOT_A_PROGRAM = "not_a_program"
    BAD_INPUT = "bad_input"
    UNSUPPORTED = "unsupported"
    CRASHED = "crashed"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    EXECUTION_ERROR = "execution_error"
    TRACE_MISMATCH = "trace_mismatch"
    DISTURBED = "disturbed"
    DEVICE_LOST = "device_lost"
    CANCELLED = "cancelled"
    AGENT_ERROR = "agent_error"


@dataclass(frozen=True, slots=True)
class Failure:
    """A measurement that did not come about: a type, never a number."""

    kind: FailureKind
    message: str


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
class Job:
    """A request to measure one Program on one Target; ends as a Measurement or a Failure.
    A sentinel's is the lab's own: nobody asked for it, and no predictor learns from it.
    A higher `priority` comes first."""

    id: str
    target_id: str
    program_sha256: str
    spec: BenchmarkSpec
    created_unix_ns: int
    is_sentinel: bool = False
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    device_serial: str
    holder: str
    token: int
    expires_unix_ns: int


@dataclass(frozen=True, slots=True)
class ProgramFile:
    """A Program and where its bytes lie."""

    program: Program
    path: Path


class EventKind(str, Enum):
    CONNECTED = "connected"
    LOST = "lost"
    STOPPED = "stopped"  # with the lab
    QUARANTINED = "quarantined"
    RECOVERED = "recovered"
    DRAINED = "drained"
    UNDRAINED = "undrained"
    NOTED = "noted"


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    unix_ns: int
    kind: EventKind
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SentinelReading:
    unix_ns: int
    target_id: str
    latency_ns: int
    suspect: bool


@dataclass(frozen=True, slots=True)
class DeviceHistory:
    """visits: that brought samples; failures: visits that brought none, by kind. Events and
    sentinels are the newest, and these first."""

    serial: str
    note: str
    first_seen_unix_ns: int
    connected_ns: int
    visits: int
    failures: dict[FailureKind, int]
    events: tuple[DeviceEvent, ...]
    sentinels: tuple[SentinelReading, ...]
