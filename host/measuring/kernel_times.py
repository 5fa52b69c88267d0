"""Compute the times of single kernels from traced visits."""

from __future__ import annotations

import numpy as np

from host.measuring.statistics import QUANTILE
from latency_models.alignment import align
from latlab.domain.errors import TraceMismatch
from latlab.domain.measurement import Visit
from latlab.domain.program import Program


def kernel_times_ns(program: Program, visits: list[Visit]) -> tuple[float, ...] | None:
    """Return the mean time of each kernel over the fastest quarter of all traced runs.

    The fastest runs are used because interference only adds time.

    Returns:
        A time in ns for each kernel of the program, in its order; None without a traced visit.

    Raises:
        TraceMismatch: The kernels and the traces do not align.
    """
    traced = [visit for visit in visits if visit.traced]
    if not traced:
        return None
    names = [trace.name for trace in traced[0].kernel_traces]
    for visit in traced:
        if [trace.name for trace in visit.kernel_traces] != names:
            raise TraceMismatch("two traced visits of one program ran different kernels")
        if len({len(trace.durations_ns) for trace in visit.kernel_traces}) > 1:
            raise TraceMismatch("kernels of one visit were traced in different numbers of runs")
    if not any(trace.durations_ns for visit in traced for trace in visit.kernel_traces):
        return align(program.kernels, [(name, ()) for name in names])
    durations_ns = np.hstack([[trace.durations_ns for trace in v.kernel_traces] for v in traced])
    totals_ns = durations_ns.sum(axis=0)
    fastest = durations_ns[:, totals_ns <= np.quantile(totals_ns, QUANTILE)]
    return align(program.kernels, list(zip(names, fastest.tolist(), strict=True)))
