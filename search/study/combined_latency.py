"""Combine the latencies of a network on several targets into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from latlab.domain.estimate import LatencyEstimate, Source
from search.study.settings import SearchTarget

FROM_SURE_TO_UNSURE = (
    Source.MEASURED,
    Source.LOOKUP,
    Source.REGRESSION,
    Source.TRANSFER,
    Source.BOUND,
)


@dataclass(frozen=True)
class Combination:
    """The rule that makes one latency of those on all targets of a study.

    Each latency is divided by its target latency, LAT_i / T_i. The combined latency is the
    largest of these ratios, or their weighted mean where the targets have weights. It is given in
    the first target's time: multiplied by T_1. So it is at most T_1 where the worst ratio, or
    the weighted mean, is at most 1.

    Attributes:
        targets: The study's targets, one or several.
    """

    targets: tuple[SearchTarget, ...]

    def latency_ns(self, latencies_ns: Sequence[int]) -> int:
        """Combine a network's latencies on the targets, in the targets' order, into one latency."""
        pairs = list(zip(self.targets, latencies_ns, strict=True))
        ratios = [latency_ns / target.latency_ns for target, latency_ns in pairs]
        weights = [target.weight for target in self.targets if target.weight is not None]
        if weights:
            weighted = sum(w * ratio for w, ratio in zip(weights, ratios, strict=True))
            return round(weighted / sum(weights) * self.targets[0].latency_ns)
        return round(max(ratios) * self.targets[0].latency_ns)

    def combine(self, parts: Sequence[LatencyEstimate]) -> LatencyEstimate:
        """Combine the estimates on the targets into one, as sure as the least sure of them.

        Both ways of combining grow with every part, so the combined bounds are those of all
        bounds together: they hold the result whenever the bounds of each part hold its latency.
        A root of squares would be narrower, but only for independent errors. The errors of one
        network on several targets depend on each other, because they come from the same kernels.
        """
        if len(self.targets) == 1:
            return parts[0]
        return LatencyEstimate(
            latency_ns=self.latency_ns([part.latency_ns for part in parts]),
            lower_ns=self.latency_ns([part.lower_ns for part in parts]),
            upper_ns=self.latency_ns([part.upper_ns for part in parts]),
            source=max((part.source for part in parts), key=FROM_SURE_TO_UNSURE.index),
            coverage=min(part.coverage for part in parts),
            samples=min(part.samples for part in parts),
            age_s=max(part.age_s for part in parts),
            steadied=any(part.steadied for part in parts),
            unknown_kinds=tuple(sorted({kind for part in parts for kind in part.unknown_kinds})),
            parts=tuple(parts),
        )


def on_each_target(latency: LatencyEstimate) -> tuple[LatencyEstimate, ...]:
    """Return the latency on each target: the parts on several, or itself if there is one."""
    return latency.parts or (latency,)
