"""One latency from those on several targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from latlab.domain.estimate import LatencyEstimate, Source

FROM_SURE_TO_UNSURE = (Source.MEASURED, Source.LOOKUP, Source.REGRESSION)


@dataclass(frozen=True, slots=True)
class CombinedEstimate(LatencyEstimate):
    """`parts` are those it was combined of, in the targets' order."""

    parts: tuple[LatencyEstimate, ...] = field(kw_only=True)


@dataclass(frozen=True)
class Combination:
    """Every latency is held against its own target's, LAT_i / T_i, and the result is said in
    the first target's time: max_i(LAT_i / T_i) · T_1, the worst of them, or with weights
    Σ w_i · LAT_i / T_i · T_1, where w_i is a weight's share of their sum. So it is within T_1
    where the worst, or the weighted mean, is within its target.

    Raises ValueError on what makes no sense.
    """

    targets_ns: tuple[int, ...]
    weights: tuple[float, ...] = ()  # none: the worst

    def __post_init__(self) -> None:
        for target_ns in self.targets_ns:
            if target_ns <= 0:
                raise ValueError(f"the target latency must be above zero, not {target_ns} ns")
        if self.weights and len(self.weights) != len(self.targets_ns):
            raise ValueError(
                f"give each of the {len(self.targets_ns)} targets a weight, in their order, or "
                f"none: there are {len(self.weights)}"
            )
        for weight in self.weights:
            if not weight > 0:
                raise ValueError(f"a weight is above zero, not {weight}")

    def latency_ns(self, parts_ns: Sequence[int]) -> int:
        """(targets,) to one."""
        ratios = [ns / target_ns for ns, target_ns in zip(parts_ns, self.targets_ns, strict=True)]
        if self.weights:
            weighted = sum(w * ratio for w, ratio in zip(self.weights, ratios, strict=True))
            return round(weighted / sum(self.weights) * self.targets_ns[0])
        return round(max(ratios) * self.targets_ns[0])

    def combine(self, parts: Sequence[LatencyEstimate]) -> LatencyEstimate:
        """(targets,) to one that is as sure as the least sure of them: a CombinedEstimate, or
        of one target what it is.

        Both ways of combining grow with every part, so the bounds are those of all bounds
        together: they hold the result whenever each part's hold its latency. A root of squares
        would be narrower, but only for errors that have nothing to do with one another: one
        network's on several targets have, for the same kernels are unlike those seen.
        """
        if len(self.targets_ns) == 1:
            return parts[0]
        return CombinedEstimate(
            latency_ns=self.latency_ns([part.latency_ns for part in parts]),
            lower_ns=self.latency_ns([part.lower_ns for part in parts]),
            upper_ns=self.latency_ns([part.upper_ns for part in parts]),
            source=max((part.source for part in parts), key=FROM_SURE_TO_UNSURE.index),
            coverage=min(part.coverage for part in parts),
            samples=min(part.samples for part in parts),
            age_s=max(part.age_s for part in parts),
            steadied=any(part.steadied for part in parts),
            parts=tuple(parts),
        )
