"""Break the latency of a measurement down: into its kernels and a rest that none accounts for.

The rest is measured on its own. Each untraced visit has a traced visit right beside it. The rest is
the quiet latency of the untraced ones minus the quiet sum of the kernels in the traced ones, by the
same low quantiles over runs and over visits on both sides. So it does not hold what tracing adds
between kernels, and a slow mood cancels out. Moods of the whole machine last for both visits of a
pair. But a visit also has a mood of its own, from where in memory its process lies, and so a
median of the pairs' differences spreads twice as far as the difference of the quiet visits: over
19 networks, from -13 to 13 % of the latency instead of -2 to 7 %. Overhead that tracing adds to
the kernels themselves makes the rest too small, which is why the overhead is reported beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from host.measuring.interval import QUANTILE, quiet_latency
from host.measuring.kernel_times import fastest_traces, kernel_times_ns
from host.measuring.statistics import VISIT_QUANTILE, clean_samples, visit_latency_ns
from latency_models.alignment import match
from latlab.domain.errors import TraceMismatch
from latlab.domain.kernel import CONSTANT_PAD, Kernel
from latlab.domain.measurement import KernelTrace, Measurement, Visit
from latlab.domain.program import Program
from latlab.domain.records.breakdown import Breakdown, PairedVisits, Share, TimedKernel

# A kernel that the profiler reads as 0 has no relative spread. It counts as one that takes this.
_LEAST_NS = 1.0
RESAMPLES = 2_000


def breakdown_of(program: Program, measurement: Measurement) -> Breakdown:
    """Return where the time of a measurement of a program goes."""
    if measurement.traces_removed_unix_ns is not None:
        return Breakdown(None, traces_removed_unix_ns=measurement.traces_removed_unix_ns)
    paired_visits = break_down(measurement.visits)
    try:
        kernels = timed_kernels(program, measurement.visits)
    except TraceMismatch as error:
        return Breakdown(paired_visits, untimed_because=str(error))
    return Breakdown(paired_visits, kernels or ())


def break_down(visits: Sequence[Visit]) -> PairedVisits | None:
    """Return what the pairs of an untraced and a traced visit say; None without a clean pair.

    Args:
        visits: The visits of a measurement in their order. The first untraced visit and the first
            traced one are a pair, and so on.
    """
    untraced = (visit for visit in visits if not visit.traced)
    traced = (visit for visit in visits if visit.traced)
    pairs_ns = []
    for plain, beside in zip(untraced, traced, strict=False):
        plain_ns, beside_ns = visit_latency_ns(plain), visit_latency_ns(beside)
        if plain_ns is not None and beside_ns is not None and beside.kernel_traces:
            pairs_ns.append((plain_ns, beside_ns, _kernel_sum_ns(beside)))
    if not pairs_ns:
        return None
    untraced_ns, traced_ns, kernels_ns = _with_resamples(np.array(pairs_ns))
    return PairedVisits(
        _share(1 - kernels_ns / untraced_ns), _share(traced_ns / untraced_ns - 1), len(pairs_ns)
    )


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


def _with_resamples(pairs_ns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the quiet value of each column: first of all pairs, then of each resample of them.

    Args:
        pairs_ns: (pairs, columns).

    Returns:
        (columns, 1 + RESAMPLES).
    """
    count = len(pairs_ns)
    chosen = np.random.default_rng(0).integers(count, size=(RESAMPLES, count))
    samples = np.concatenate([pairs_ns[None], pairs_ns[chosen]])
    quiet_ns: NDArray[np.float64] = np.quantile(samples, QUANTILE, axis=1)
    return quiet_ns.T


def _share(values: NDArray[np.float64]) -> Share:
    """Return the first value with the 90 % interval of the others, its resamples (bootstrap)."""
    value, (lower, upper) = float(values[0]), np.quantile(values, (0.05, 0.95)).tolist()
    return Share(value, min(value, lower), max(value, upper))
