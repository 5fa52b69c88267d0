"""Whether a target still measures as it did. Pure functions.

A reference program, the sentinel, is measured now and then and held against its first
measurement, the baseline. A shared machine has moods that last for many seconds, so a
sentinel counts as off its baseline only when the whole interval of its latency is, and as
drifted only when a second one, after a pause, is off as well. On 580 s of a virtual machine
whose visits vary by 5.6 %, 8 % of single sentinels stood off for nothing and 3 % of pairs;
of drifts by 8 % three quarters were seen at once, of drifts by 15 % nearly all.
"""

from __future__ import annotations

from dataclasses import dataclass

from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.measurement import Summary

# Jobs wait for it, so its visits follow on each other.
SPEC = BenchmarkSpec(traced_visits=0, spacing_ns=0)
JOBS_BETWEEN = 32
MAX_DRIFT = 0.03
CONFIRM_S = 20.0
FIRST_PAUSE_S = 15.0
MAX_PAUSE_S = 300.0


@dataclass(frozen=True, slots=True)
class Watch:
    """What the sentinel has said of one target on one device. drift: of its last latency
    from the baseline, as a share; misses: how many in a row were off it, up to the last."""

    drift: float = 0.0
    misses: int = 0

    @property
    def drifted(self) -> bool:
        return self.misses > 1

    @property
    def pause_s(self) -> float:
        """For which the target's jobs wait before the sentinel is measured again."""
        if not self.drifted:
            return CONFIRM_S * self.misses
        return min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self.misses - 2, 10))


def judge(before: Watch, sentinel: Summary, baseline_ns: float) -> Watch:
    off = (
        sentinel.lower_ns > (1 + MAX_DRIFT) * baseline_ns
        or sentinel.upper_ns < (1 - MAX_DRIFT) * baseline_ns
    )
    return Watch(sentinel.latency_ns / baseline_ns - 1, before.misses + 1 if off else 0)
