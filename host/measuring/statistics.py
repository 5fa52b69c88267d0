"""Summarise the visits of a measurement. Pure functions over raw samples.

The quiet latency estimates what the program takes when nothing else uses the machine. Whatever
shares the machine (neighbours behind a hypervisor, caches, memory) only adds time, often for
seconds, and clocks and probes mostly do not show it. So the estimator uses low quantiles: the
lower decile of each visit, and the lower quartile of these over the visits. Over 90 networks,
two halves of a measurement disagreed by 1.8 % in it, and by 3.0 % in the median of medians.
Minima, or the mean of the two fastest visits, did as well. Memory traffic of neighbours is
corrected for afterwards, by probes (see `latency_models.interference`).

A sample is spoiled if its thread was switched out involuntarily, in a long run more than once for
each 5 ms, or if its wall time exceeds its CPU time by more than in other samples of its visit.
A visit is spoiled if most of its samples are. Spoiled visits are kept and only left out of the
latency.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from host.measuring.interval import QUANTILE, quiet_latency
from latlab.domain.benchmark_spec import MAX_VISITS
from latlab.domain.measurement import Summary, Visit

VERSION = 4  # stored with each summary; every change of the statistic raises it

# Why visits have no summary, in words for people.
NONE_CLEAN = "none of its untraced visits is clean"

MIN_CLEAN_SHARE = 0.25
MIN_CLEAN_SAMPLES = 5
VISIT_QUANTILE = 0.1
RAW_QUANTILES = (0.5, 0.9, 0.99)
# A sample's wall time may always exceed its CPU time by this share before it counts as spoiled:
# timer interrupts alone cost about as much.
EXCESS_SLACK = 0.01
# Even on an idle machine, the kernel's own threads may run so often, each for some µs. A switch to
# a thread that computes costs more than EXCESS_SLACK, and so is found out by the excess.
NS_PER_SWITCH = 5_000_000


def clean_samples(visit: Visit) -> npt.NDArray[np.bool_]:
    """Return (runs,) whether each sample is undisturbed."""
    wall_ns = np.asarray(visit.wall_ns, dtype=np.float64)
    excess_ns = wall_ns - np.asarray(visit.cpu_ns, dtype=np.float64)
    allowed = wall_ns // NS_PER_SWITCH
    unswitched: npt.NDArray[np.bool_] = np.asarray(visit.involuntary_switches) <= allowed
    if not unswitched.any():
        return unswitched
    usual_ns = np.median(excess_ns[unswitched])
    spread_ns = np.median(np.abs(excess_ns[unswitched] - usual_ns))
    slack_ns = 5 * spread_ns + EXCESS_SLACK * np.median(wall_ns[unswitched])
    clean: npt.NDArray[np.bool_] = unswitched & (excess_ns <= usual_ns + slack_ns)
    return clean


@functools.lru_cache(maxsize=MAX_VISITS)  # those of a measurement, which are asked for repeatedly
def visit_latency_ns(visit: Visit) -> float | None:
    """Return the lower decile of the visit's clean samples, in ns.

    None: the visit is spoiled. So is one without samples, or with samples that took no time.
    """
    clean = clean_samples(visit)
    least = max(1, min(MIN_CLEAN_SAMPLES, len(clean)))
    if clean.sum() < least or clean.mean() < MIN_CLEAN_SHARE:
        return None
    latency_ns = float(np.quantile(np.asarray(visit.wall_ns)[clean], VISIT_QUANTILE))
    return latency_ns if latency_ns > 0 else None


def summarize(visits: Sequence[Visit], usual_spread: float | None = None) -> Summary | None:
    """Summarise the untraced visits; None if none of them is clean.

    The interval of few visits rests on `usual_spread`, as `quiet_latency` explains.
    """
    untraced = [visit for visit in visits if not visit.traced]
    traced = [visit for visit in visits if visit.traced]
    latencies_ns = [ns for ns in map(visit_latency_ns, untraced) if ns is not None]
    if not latencies_ns:
        return None
    latency_ns, lower_ns, upper_ns = quiet_latency(latencies_ns, usual_spread)
    runs_ns = np.concatenate([visit.wall_ns for visit in untraced])
    median_ns, p90_ns, p99_ns = np.quantile(runs_ns, RAW_QUANTILES).tolist()
    return Summary(
        latency_ns=latency_ns,
        lower_ns=lower_ns,
        upper_ns=upper_ns,
        clean_visits=len(latencies_ns),
        visits=len(untraced),
        median_ns=median_ns,
        p90_ns=p90_ns,
        p99_ns=p99_ns,
        runs=len(runs_ns),
        memory_probe_ns=memory_probe_ns(untraced),
        traced_memory_probe_ns=memory_probe_ns(traced),
    )


def summary_or_reason(visits: Sequence[Visit]) -> Summary | str:
    """Return the summary that is stored with a measurement, or why there is none."""
    return summarize(visits) or NONE_CLEAN


def memory_probe_ns(visits: Sequence[Visit]) -> float | None:
    """Return the lower quartile of the memory probes before and after the clean visits, in ns.

    Without a clean visit, the probes of all visits count. None: no probe was made.
    """
    clean = [visit for visit in visits if visit_latency_ns(visit) is not None]
    probes_ns = [
        conditions.memory_probe_ns
        for visit in clean or visits
        for conditions in (visit.before, visit.after)
        if conditions.memory_probe_ns is not None and conditions.memory_probe_ns > 0
    ]
    return float(np.quantile(probes_ns, QUANTILE)) if probes_ns else None
