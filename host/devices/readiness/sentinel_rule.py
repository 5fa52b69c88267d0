"""Pure rules for whether a target still measures as it did.

A reference program, the sentinel, is measured now and then and compared with its first
measurement, the baseline. A shared machine has moods that last for many seconds. So a sentinel
counts as off its baseline only if the whole interval of its latency is, and as drifted only if
a second one, after a pause, is off as well. On 580 s of a virtual machine whose visits vary by
5.6 %, 8 % of single sentinels were off for no reason and 3 % of pairs. Three quarters of drifts
by 8 % were seen at once, and nearly all drifts by 15 %.
"""

from __future__ import annotations

from dataclasses import dataclass

from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.measurement import Summary

# Jobs wait for the sentinel, so its visits follow each other without a pause.
SPEC = BenchmarkSpec(traced_visits=0, spacing_ns=0)
JOBS_BETWEEN = 32
MAX_DRIFT = 0.03
CONFIRM_S = 20.0
FIRST_PAUSE_S = 15.0
MAX_PAUSE_S = 300.0


@dataclass(frozen=True, slots=True)
class Watch:
    """The sentinel's verdict about one target on one device.

    Attributes:
        drift: How far its last latency is from the baseline, as a share of the baseline.
        misses: How many of its last measurements in a row were off the baseline.
    """

    drift: float = 0.0
    misses: int = 0

    @property
    def drifted(self) -> bool:
        """True if the target has drifted beyond doubt."""
        return self.misses > 1

    @property
    def pause_s(self) -> float:
        """How long the target's jobs wait for the sentinel's next measurement, from its last one.

        They wait while it may have drifted: the device may have become slower or faster.
        """
        if not self.drifted:
            return CONFIRM_S * self.misses
        return min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self.misses - 2, 10))


def judge(before: Watch, sentinel: Summary, baseline_ns: float) -> Watch:
    """Return what a new measurement of the sentinel shows.

    Args:
        before: What the measurements before it have shown.
        sentinel: The summary of the new measurement.
        baseline_ns: The latency of the baseline.
    """
    off = (
        sentinel.lower_ns > (1 + MAX_DRIFT) * baseline_ns
        or sentinel.upper_ns < (1 - MAX_DRIFT) * baseline_ns
    )
    return Watch(sentinel.latency_ns / baseline_ns - 1, before.misses + 1 if off else 0)
