"""Break the latency of a measurement down: into its kernels and a rest that none accounts for.

The rest is measured on its own. Each untraced visit has a traced visit right beside it, in the same
mood of the machine. The rest is the latency of the untraced one minus the sum of the kernels in
the traced one, by the same low quantile on both sides. So it does not hold what tracing adds
between kernels, and a slow mood cancels out. Overhead that tracing adds to the kernels themselves
makes the rest too small, which is why the overhead is reported beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from host.measuring.comparison import median_ranks
from host.measuring.interval import quiet_latency
from host.measuring.kernel_times import fastest_traces, kernel_times_ns
from host.measuring.statistics import VISIT_QUANTILE, clean_samples, visit_latency_ns
from latency_models.alignment import match
from latlab.domain.kernel import CONSTANT_PAD, Kernel
from latlab.domain.measurement import KernelTrace, Visit
from latlab.domain.program import Program

# A kernel that the profiler reads as 0 has no relative spread. It counts as one that takes this.
_LEAST_NS = 1.0


@dataclass(frozen=True, slots=True)
class Share:
    """A share of the latency of one untraced run, with its 90 % interval. It may be below 0."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Breakdown:
    """What visits in pairs say about a latency beside its kernels.

    Attributes:
        rest: The part of the latency that no kernel accounts for: the median over the pairs.
        tracing: By how much tracing lengthens a run: the median over the pairs.
        pairs: How many pairs were clean.
    """

    rest: Share
    tracing: Share
    pairs: int


@dataclass(frozen=True, slots=True)
class TimedKernel:
    """The time of one kernel of a program.

    Attributes:
        time_ns: The mean over the fastest quarter of all traced runs.
        lower_ns: The lower bound of the 90 % interval, from how much traced visits differ.
        upper_ns: The upper bound.
        name: The backend's name for the kernel; "" if it was fused into another one.
        instruction: The number of the program's instruction that ran it, also as a part of
            another kernel; None if the runner did not say.
    """

    time_ns: float
    lower_ns: float
    upper_ns: float
    name: str
    instruction: int | None


def break_down(visits: Sequence[Visit]) -> Breakdown | None:
    """Return what the pairs of an untraced and a traced visit say; None without a clean pair.

    Args:
        visits: The visits of a measurement in their order. The first untraced visit and the first
            traced one are a pair, and so on.
    """
    untraced = (visit for visit in visits if not visit.traced)
    traced = (visit for visit in visits if visit.traced)
    rests, overheads = [], []
    for plain, beside in zip(untraced, traced, strict=False):
        latency_ns, traced_ns = visit_latency_ns(plain), visit_latency_ns(beside)
        if latency_ns is not None and traced_ns is not None and beside.kernel_traces:
            rests.append(1 - _kernel_sum_ns(beside) / latency_ns)
            overheads.append(traced_ns / latency_ns - 1)
    if not rests:
        return None
    return Breakdown(_median(rests), _median(overheads), len(rests))


def timed_kernels(program: Program, visits: Sequence[Visit]) -> tuple[TimedKernel, ...] | None:
    """Return the time of each kernel of a program, in its order; None without a traced run.

    Raises:
        TraceMismatch: The kernels and the traces do not align.
    """
    found = fastest_traces(visits)
    if found is None or not found[1].size:
        return None
    traced = [visit for visit in visits if visit.traced and visit.wall_ns]
    times_ns = kernel_times_ns(program, traced) or ()
    by_visit_ns = np.array([kernel_times_ns(program, [visit]) for visit in traced])
    traces = traced[0].kernel_traces
    positions = match(program.kernels, [trace.name for trace in traces])
    instructions = _instructions(program.kernels, positions, traces)
    kernels = []
    for time_ns, of_visits_ns, matched, instruction in zip(
        times_ns, by_visit_ns.T, positions, instructions, strict=True
    ):
        usual_ns, lower_ns, upper_ns = quiet_latency(np.maximum(of_visits_ns, _LEAST_NS).tolist())
        own = [traces[position] for position in matched]
        kernels.append(
            TimedKernel(
                time_ns,
                time_ns * lower_ns / usual_ns,
                time_ns * upper_ns / usual_ns,
                " + ".join(trace.name for trace in own),
                instruction,
            )
        )
    return tuple(kernels)


def _instructions(
    kernels: Sequence[Kernel],
    positions: Sequence[tuple[int, ...]],
    traces: Sequence[KernelTrace],
) -> list[int | None]:
    """Return the instruction of each kernel. A fused one has that of the kernel it is part of."""
    found = [traces[matched[0]].instruction if matched else None for matched in positions]
    numbers = range(len(kernels))
    for i in reversed(numbers):
        if not positions[i] and kernels[i].kind == CONSTANT_PAD and i + 1 < len(kernels):
            found[i] = found[i + 1]
    for i in numbers:
        if not positions[i] and kernels[i].kind != CONSTANT_PAD and i:
            found[i] = found[i - 1]
    return found


def _kernel_sum_ns(visit: Visit) -> float:
    """Return the lower decile over a visit's clean runs of the sum of its kernels, in ns."""
    durations_ns = np.array([trace.durations_ns for trace in visit.kernel_traces], np.float64)
    return float(np.quantile(durations_ns.sum(axis=0)[clean_samples(visit)], VISIT_QUANTILE))


def _median(values: Sequence[float]) -> Share:
    """Return the median with its interval by the sign test, as for a comparison."""
    ranked = sorted(values)
    low, high = median_ranks(len(ranked))
    return Share(float(np.median(ranked)), ranked[low], ranked[high])
