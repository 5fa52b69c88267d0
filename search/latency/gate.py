"""A gate for changes: is a new program slower than an old one by more than a limit?

Both are measured in turn, in batches of a few pairs of visits, until a sequential test decides or
the time is spent. The batches begin with one program and with the other in turn, so that a machine
that grows slower or faster favours neither.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from host.measuring.breakdown import timed_kernels
from host.measuring.sequential import BATCH, RatioEstimate, SequentialTest, Verdict
from host.measuring.statistics import visit_latency_ns
from latlab.client.client import LatencyClient
from latlab.client.profiling.measured import timed_rows
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import InvalidRequest, TraceMismatch
from latlab.domain.estimate import MeasuredLatency
from latlab.domain.failure import Failure
from latlab.domain.measurement import Visit
from latlab.domain.program import Program, ProgramFile, program_of
from latlab.domain.target import Target
from latlab.profiling.differences import Difference, differences

Source = ProgramFile | Program  # a program that the lab has needs no file

PAIRS = BenchmarkSpec(min_visits=BATCH, max_visits=BATCH, traced_visits=0, spacing_ns=0)
# What comes after the decision. Its untraced visits are as many as in an ordinary measurement,
# because a predictor learns from measurements that have kernel times.
TRACED = BenchmarkSpec(min_visits=6, max_visits=6, traced_visits=3, spacing_ns=0)
# A device that is away for a moment is waited for, even where hardly any time is left.
LEAST_PATIENCE_S = 60.0

OLD, NEW = 0, 1


@dataclass(frozen=True, slots=True)
class Limits:
    """When a new program counts as slower, and how long finding out may take.

    Attributes:
        max_ratio: The new program is slower if it takes more than this times as long as the old.
        max_minutes: The time for measuring, on the clock of the wall.
    """

    max_ratio: float
    max_minutes: float


@dataclass(frozen=True, slots=True)
class GateResult:
    """The result of a comparison of two programs.

    Attributes:
        verdict: Whether the new program is slower than the limit allows.
        limit: The limit of new / old.
        estimate: The ratio new / old with its interval.
        latencies_ns: The median over clean visits of the old and of the new program; None where
            nothing was measured, because the programs are the same.
        pairs: How many pairs were measured, disturbed ones included.
        device_s: How long the device was kept.
        floor: The smallest limit above 1 for which equal programs are decided within the time,
            by the noise that was seen; None for a verdict.
        is_hopeless: Whether measuring ended early because more pairs would hardly have decided.
        heat_unknown: Whether the device could not report its heat.
        measurement_ids: The measurements, which the lab keeps.
        kernels: The kernels of both programs side by side, the largest change first. They are
            empty where the programs do not differ measurably or kernels could not be traced.
        note: Why there are no kernels; "" if there are.
    """

    verdict: Verdict
    limit: float
    estimate: RatioEstimate
    latencies_ns: tuple[float, float] | None
    pairs: int
    device_s: float
    floor: float | None
    is_hopeless: bool
    heat_unknown: bool
    measurement_ids: tuple[str, ...]
    kernels: tuple[Difference, ...] = ()
    note: str = ""


def check_inputs(names: tuple[str, str], old: Program, new: Program) -> None:
    """Raise InvalidRequest, which lists both, if the programs take different inputs."""
    kinds = [[(spec.shape, spec.dtype) for spec in program.inputs] for program in (old, new)]
    if kinds[OLD] != kinds[NEW]:
        listed = [", ".join(map(str, program.inputs)) or "no inputs" for program in (old, new)]
        raise InvalidRequest(
            f"{names[OLD]} takes {listed[OLD]}, and {names[NEW]} takes {listed[NEW]}: the ratio of"
            " their latencies would say nothing. Compare programs that take the same inputs"
        )


def run_gate(
    client: LatencyClient,
    target: Target,
    programs: tuple[Source, Source],
    limits: Limits,
    on_batch: Callable[[RatioEstimate], None] = lambda estimate: None,
) -> GateResult | Failure:
    """Measure two programs in turn until it is clear whether the new one is slower.

    Args:
        client: The lab.
        target: Where to measure.
        programs: The old and the new program, which take the same inputs.
        limits: What is allowed.
        on_batch: Called with the ratio after each batch of pairs.

    Returns:
        The result; a Failure if one of the programs could not be measured.
    """
    if program_of(programs[OLD]).sha256 == program_of(programs[NEW]).sha256:
        return _of_same_programs(limits.max_ratio)
    run = _Run(client, target, programs)
    test = SequentialTest(limits.max_ratio)
    start_s, budget_s = time.monotonic(), limits.max_minutes * 60
    measured_batches, is_hopeless = 0, False
    while True:
        elapsed_s = time.monotonic() - start_s
        patience_s = max(LEAST_PATIENCE_S, budget_s - elapsed_s)
        failure = run.measure(PAIRS, patience_s, new_first=measured_batches % 2 == 1)
        if failure is not None:
            return failure
        measured_batches += 1
        test.add(run.clean_ratios())
        on_batch(test.estimate())
        elapsed_s = time.monotonic() - start_s
        possible_batches = test.batches * budget_s / max(elapsed_s, 1e-9)
        if test.verdict() is not Verdict.UNDECIDED:
            break
        if elapsed_s * (1 + 1 / measured_batches) > budget_s:  # when another batch would end
            break
        if is_hopeless := test.is_hopeless(possible_batches):
            break
    verdict, estimate = test.verdict(), test.estimate()
    kernels, note = _kernels(run, estimate)
    return GateResult(
        verdict,
        limits.max_ratio,
        estimate,
        run.latencies_ns(),
        BATCH * measured_batches,
        run.device_s,
        test.floor(possible_batches) if verdict is Verdict.UNDECIDED else None,
        is_hopeless,
        run.heat_unknown,
        tuple(run.measurement_ids),
        kernels,
        note,
    )


class _Run:
    """The visits of one comparison so far."""

    def __init__(self, client: LatencyClient, target: Target, programs: Sequence[Source]) -> None:
        self.measurement_ids: list[str] = []
        self.device_s = 0.0
        self.heat_unknown = False
        self.programs = programs
        self.last: list[tuple[Visit, ...]] = [(), ()]  # of the newest batch, by program
        self._latencies_ns: tuple[list[float], list[float]] = ([], [])
        self._client = client
        self._target = target

    def measure(self, spec: BenchmarkSpec, patience_s: float, new_first: bool) -> Failure | None:
        """Measure both programs in turn. Returns the Failure of one of them."""
        order = (NEW, OLD) if new_first else (OLD, NEW)
        outcomes = self._client.measure(
            self._target.id,
            [self.programs[number] for number in order],
            spec,
            fresh=True,
            patience_s=patience_s,
        )
        for number, outcome in zip(order, outcomes, strict=True):
            if isinstance(outcome, Failure):
                return outcome
            self._take(number, outcome)
        return None

    def clean_ratios(self) -> list[float]:
        """Return the ratios new / old of the newest batch's pairs whose visits are both clean."""
        pairs = zip(self.last[OLD][:BATCH], self.last[NEW][:BATCH], strict=False)
        latencies_ns = [(visit_latency_ns(old), visit_latency_ns(new)) for old, new in pairs]
        return [new / old for old, new in latencies_ns if old is not None and new is not None]

    def latencies_ns(self) -> tuple[float, float] | None:
        """Return the median over the clean visits of each program; None without one of each."""
        old, new = self._latencies_ns
        return (float(np.median(old)), float(np.median(new))) if old and new else None

    def _take(self, number: int, outcome: MeasuredLatency) -> None:
        visits = self._client.measurement(outcome.measurement_id).visits
        self.last[number] = visits
        self.measurement_ids.append(outcome.measurement_id)
        self.device_s += outcome.device_s
        self.heat_unknown |= outcome.heat_unknown
        untraced = (visit for visit in visits if not visit.traced)
        latencies_ns = filter(None, map(visit_latency_ns, untraced))
        self._latencies_ns[number].extend(latencies_ns)


def _kernels(run: _Run, estimate: RatioEstimate) -> tuple[tuple[Difference, ...], str]:
    """Trace both programs and return their kernels side by side, or why there are none."""
    if estimate.lower <= 1 <= estimate.upper:
        return (), "no kernel was timed, because the programs do not differ measurably"
    failure = run.measure(TRACED, LEAST_PATIENCE_S, new_first=False)
    if failure is not None:
        return (), f"the kernels could not be timed: {failure.message}"
    rows = []
    for source, visits in zip(run.programs, run.last, strict=True):
        try:
            timed = timed_kernels(program_of(source), visits)
        except TraceMismatch as error:
            return (), f"the kernels could not be timed: {error}"
        if timed is None:
            return (), "the kernels could not be timed: the device traces none"
        rows.append(list(timed_rows(source, timed)))
    return differences(*rows), ""


def _of_same_programs(limit: float) -> GateResult:
    """Return the result for two programs with the same bytes, which need no measuring."""
    return GateResult(
        Verdict.NOT_SLOWER if limit >= 1 else Verdict.SLOWER,
        limit,
        RatioEstimate(1.0, 1.0, 1.0, 0),
        latencies_ns=None,
        pairs=0,
        device_s=0.0,
        floor=None,
        is_hopeless=False,
        heat_unknown=False,
        measurement_ids=(),
        note="the programs are the same, byte for byte, so nothing was measured",
    )
