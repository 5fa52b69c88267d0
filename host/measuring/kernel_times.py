"""Compute the times of single kernels from traced visits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from host.measuring.interval import QUANTILE
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
    found = fastest_traces(visits)
    if found is None:
        return None
    names, durations_ns = found
    return align(program.kernels, list(zip(names, durations_ns.tolist(), strict=True)))


def fastest_traces(visits: Sequence[Visit]) -> tuple[list[str], NDArray[np.float64]] | None:
    """Return the kernels' names and how long each took in the fastest quarter of all traced runs.

    Returns:
        The backend's names of the kernels in the order in which they run, and (kernels, runs)
        times in ns; None without a traced visit.

    Raises:
        TraceMismatch: The traces do not fit together.
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
        return names, np.empty((len(names), 0))
    durations_ns = np.hstack(
        [np.array([t.durations_ns for t in v.kernel_traces], np.float64) for v in traced]
    )
    totals_ns = durations_ns.sum(axis=0)
    return names, durations_ns[:, totals_ns <= np.quantile(totals_ns, QUANTILE)]
