"""A lab for comparisons: its visits take what a test says, with a little noise, and no time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from latlab.client.measuring import Outcome
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import NotFound
from latlab.domain.estimate import LatencyEstimate, MeasuredLatency, Source
from latlab.domain.failure import Failure
from latlab.domain.kernel import Kernel
from latlab.domain.measurement import Conditions, KernelTrace, Measurement, Visit
from latlab.domain.program import Baseline, Program, ProgramFile, TensorSpec, program_of
from latlab.domain.target import Target
from search.latency import gate
from tests.host.fake_lab import TARGET

ADD = Kernel("add", ((1, 8), (1, 8)), (1, 8))
MUL = Kernel("multiply", ((1, 8), (1, 8)), (1, 8))
NAMES = {"add": "Add (ND)", "multiply": "Multiply (ND)"}
RUNS = 20
VISIT_S = 0.5
HERE = Conditions(unix_ns=0, temperature_c=40.0)


def program_file(letter: str, *kernels: Kernel, shape: tuple[int, ...] = (1, 8)) -> ProgramFile:
    program = Program(letter * 64, 1, "xnnpack", (TensorSpec(shape),), kernels or (ADD,), (), "t")
    return ProgramFile(program, Path("none"))


@dataclass
class GateLab:
    """A client whose programs take `kernel_ns` for each kernel, and for the same kernel the same.

    Attributes:
        slowness: By which factor each program takes longer beside that, by SHA-256.
        noise: The standard deviation of a visit's logarithm.
        traces: Whether traced visits have kernels, and the right ones.
        disturbed: Whether every visit is.
        asked: The SHA-256 of the programs of each call, in order, and its spec.
    """

    slowness: dict[str, float] = field(default_factory=dict)
    kernel_ns: float = 1e6
    noise: float = 0.01
    traces: bool = True
    disturbed: bool = False
    failure: Failure | None = None
    asked: list[tuple[list[str], BenchmarkSpec]] = field(default_factory=list)
    kept: dict[str, Program] = field(default_factory=dict)
    now_s: float = 0.0

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(0)
        self._measurements: dict[str, Measurement] = {}
        self.baselines = self

    @contextmanager
    def clock(self) -> Iterator[None]:
        """Let the gate's time pass as visits do."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gate, "time", SimpleNamespace(monotonic=lambda: self.now_s))
            yield

    def measure(
        self,
        target: str,
        programs: Iterable[ProgramFile | Program],
        spec: BenchmarkSpec,
        *,
        fresh: bool,
        patience_s: float,
    ) -> list[Outcome]:
        assert fresh
        assert patience_s > 0
        found = list(map(program_of, programs))
        self.asked.append(([program.sha256 for program in found], spec))
        return [self._measured(program, spec) for program in found]

    def measurement(self, measurement_id: str) -> Measurement:
        return self._measurements[measurement_id]

    def targets(self) -> list[object]:
        return []

    def default_target(self) -> Target:
        return TARGET

    def set(self, name: str, file: ProgramFile) -> None:
        self.kept[name] = file.program

    def get(self, name: str) -> Program:
        if name not in self.kept:
            raise NotFound(f"no baseline {name!r}")
        return self.kept[name]

    def list(self) -> Sequence[Baseline]:
        return [Baseline(name, each.sha256, each.size_bytes, 0) for name, each in self.kept.items()]

    def remove(self, name: str) -> None:
        del self.kept[name]

    def _measured(self, program: Program, spec: BenchmarkSpec) -> Outcome:
        if self.failure is not None:
            return self.failure
        visits = [self._visit(program, False) for _ in range(spec.min_visits)]
        visits += [self._visit(program, True) for _ in range(spec.traced_visits)]
        self.now_s += VISIT_S * len(visits)
        id_ = f"measurement {len(self._measurements)}"
        self._measurements[id_] = Measurement(
            id_, TARGET.id, program.sha256, spec, 0, tuple(visits)
        )
        latency = LatencyEstimate(1, 1, 1, Source.MEASURED, 1, 1, 0)
        return MeasuredLatency(id_, program.sha256, latency, 1, 0, VISIT_S * len(visits))

    def _visit(self, program: Program, traced: bool) -> Visit:
        slowness = self.slowness.get(program.sha256, 1.0) * math.exp(
            self._rng.normal(0, self.noise)
        )
        ns = round(self.kernel_ns * len(program.kernels) * slowness)
        series = (ns,) * RUNS
        switches = (1_000,) * RUNS if self.disturbed else (0,) * RUNS
        names = [NAMES[kernel.kind] if self.traces else "Unknown" for kernel in program.kernels]
        times_ns = (round(self.kernel_ns),) * RUNS
        kernels = tuple(KernelTrace(name, times_ns) for name in names) if traced else ()
        return Visit("v", traced, series, series, switches, 10, 1, 1, HERE, HERE, kernels)
