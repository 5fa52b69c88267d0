"""The quiet latency of a measurement with its 90 % interval, from the latencies of its visits.

Order statistics cannot give this interval. The fastest of six visits lies above the lower quartile
of all visits with a probability of 18 %, and visits depend on each other: a machine has moods that
last several visits, in which visits agree and are wrong together.

The interval is latency × exp(-a (s + s0)) to latency × exp(b (s + s0)). Here s is the spread of the
visits, in which the slowest quarter counts as its fastest visit, and s0 is LEAST_SPREAD: moods that
a measurement has not met. The margins a and b depend on the number of clean visits. They were
calibrated so that the truth lies beyond each bound in 5 % of the windows of consecutive visits of
1,500 simulated machines (`tests.host.measuring.simulated_visits`), whose moods last 2 to 30
visits, that is, seconds to minutes. In a recording of 200 visits of each of ten networks, none was
without moods. The intervals hold 94 % on machines with moods of 2 to 4 visits, and 86 % on those
with moods of more than 15.

LEAST_SPREAD was chosen such that visits that agree and visits that do not get intervals that are
right equally often. So it makes little difference that a measurement ends when its visits agree.

One or two visits say next to nothing about their spread. While a measurement is under way, its
first intervals rest on the usual spread of the target instead: the median of s + s0 over the newest
measurements there. The margins FIRST_MARGINS were chosen so that the truth lies beyond each bound
in 5 % of the visits of five networks of a recording, with the spread of the other four networks
just before. On the recording's five other networks, the interval of one visit held the truth in
90 % and the final value of the measurement in 93 %; that of two visits, in 93 % and 96 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from latlab.domain.measurement import Summary

QUANTILE = 0.25
LEAST_SPREAD = 0.006
# A larger spread says only that the latencies are of no use. Bounds stay finite with it.
_LARGEST_SPREAD = 1.0

# (clean visits, a, b). Between these numbers, logarithms are interpolated.
MARGINS = (
    (1, 14.5, 1.89),
    (2, 4.75, 0.981),
    (3, 3.42, 0.806),
    (4, 2.95, 0.752),
    (6, 2.54, 0.669),
    (8, 2.13, 0.628),
    (11, 1.92, 0.565),
    (15, 1.63, 0.52),
    (20, 1.45, 0.482),
    (30, 1.14, 0.419),
    (50, 0.816, 0.353),
    (100, 0.503, 0.281),
    (200, 0.302, 0.208),
)
_SIZES, _BELOW, _ABOVE = np.log(MARGINS).T

# By the number of clean visits: a and b where the usual spread of the target is known.
FIRST_MARGINS = {1: (5.0, 1.14), 2: (3.34, 1.13)}
# The usual spread where too little was measured to know it: that of the recorded networks.
UNKNOWN_SPREAD = 0.03
# It is known from so many measurements of so many clean visits each.
_LEAST_MEASUREMENTS = 3
_LEAST_VISITS = 4


def quiet_latency(
    latencies_ns: Sequence[float], usual_spread: float | None = None
) -> tuple[float, float, float]:
    """Return the quiet latency of clean visits, and the bounds of its 90 % interval, in ns.

    Args:
        latencies_ns: The latencies of at least one clean visit, each above 0, in any order.
        usual_spread: The usual spread of the target, on which the interval of one or two visits
            rests; None: it rests on their own spread, as that of more visits does.
    """
    latency_ns = float(np.quantile(latencies_ns, QUANTILE))
    count = len(latencies_ns)
    if usual_spread is not None and count in FIRST_MARGINS:
        spread, (below, above) = usual_spread, FIRST_MARGINS[count]
    else:
        spread = relative_spread(np.asarray(latencies_ns, np.float64)) + LEAST_SPREAD
        below, above = _margins(count)
    return (
        latency_ns,
        float(latency_ns * np.exp(-below * spread)),
        float(latency_ns * np.exp(above * spread)),
    )


def usual_spread(summaries: Sequence[Summary]) -> float:
    """Return the median of the spreads, LEAST_SPREAD included, on which stored intervals rest.

    It is UNKNOWN_SPREAD where too little was measured.
    """
    spreads = [
        float(np.log(each.upper_ns / each.lower_ns)) / sum(_margins(each.clean_visits))
        for each in summaries
        if each.clean_visits >= _LEAST_VISITS
    ]
    return median(spreads) if len(spreads) >= _LEAST_MEASUREMENTS else UNKNOWN_SPREAD


def disagreement(latencies_ns: Sequence[float]) -> float:
    """Return half of the range of the faster half of the visits, as a share of the latency.

    A measurement ends when this is small. It does not depend on the margins, so that a measurement
    takes no more visits where the printed interval is wider than the visits differ.
    """
    latency_ns, middle_ns = np.quantile(latencies_ns, (QUANTILE, 0.5))
    return float((middle_ns - np.min(latencies_ns)) / (2 * latency_ns))


def half_width(latencies_ns: Sequence[float]) -> float:
    """Return half of the width of the 90 % interval, as a share of the latency."""
    latency_ns, lower_ns, upper_ns = quiet_latency(latencies_ns)
    return (upper_ns - lower_ns) / (2 * latency_ns)


def _margins(count: int) -> tuple[float, float]:
    """Return the margins a and b of so many clean visits."""
    below, above = (np.interp(np.log(count), _SIZES, log) for log in (_BELOW, _ABOVE))
    return float(np.exp(below)), float(np.exp(above))


def relative_spread(latencies_ns: NDArray[np.float64]) -> float:
    """Return the root mean square of the visits' logarithmic distances from the quiet latency.

    Visits in the slowest quarter count as if they were at its fast end, because what slows a few
    visits says nothing about the quiet latency.
    """
    latency_ns, slow_ns = np.quantile(latencies_ns, (QUANTILE, 0.75))
    distances = np.log(np.minimum(latencies_ns, slow_ns) / latency_ns)
    return min(float(np.sqrt(np.mean(distances**2))), _LARGEST_SPREAD)
