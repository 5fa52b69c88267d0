"""Decide when a measurement is finished."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from host.measuring.interval import disagreement, half_width
from host.measuring.statistics import visit_latency_ns
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Visit

# A disturbed measurement is tried so often in all, with a longer rest each time.
MAX_ROUNDS = 3
FIRST_REST_S = 15.0


@dataclass(frozen=True, slots=True)
class NextVisit:
    """A visit that a measurement needs.

    Attributes:
        traced: Whether kernels are traced.
        rest_s: How long it must come after the previous visit was asked for.
    """

    traced: bool
    rest_s: float = 0.0


def progress(spec: BenchmarkSpec, visits: Sequence[Visit]) -> NextVisit | Failure | None:
    """Return what a measurement still needs.

    Returns:
        The next visit; None once the visits agree or are as many as allowed. If too few of them
        were clean, the measurement rests and then tries as many again. After `MAX_ROUNDS` such
        rounds it is a Failure.

        Traced visits are spread over the first untraced ones, and each comes at once after one of
        them. So they cost no pause, and lie far enough apart to meet several moods of a machine.

        Where a spec asks for pairs of an untraced and a traced visit, the second visit of a pair
        comes at once. Pairs begin with either visit in turn, so that neither is always the later
        one.
    """
    if spec.is_paired and len(visits) % 2:
        return NextVisit(traced=not visits[-1].traced)
    begins_traced = spec.is_paired and len(visits) // 2 % 2 == 1
    traced = sum(visit.traced for visit in visits)
    untraced = len(visits) - traced
    latencies_ns = [ns for v in visits if not v.traced and (ns := visit_latency_ns(v)) is not None]
    clean = len(latencies_ns)
    agreed = clean >= spec.min_visits and _agree(spec, latencies_ns)
    rounds, in_round = divmod(untraced, spec.max_visits)
    enough = clean >= math.ceil(spec.min_visits / 2)
    spacing_s = spec.spacing_ns / 1e9
    due = spec.traced_visits * min(untraced, spec.min_visits) // spec.min_visits
    if traced < due and not spec.is_paired:
        return NextVisit(traced=True, rest_s=spacing_s if visits[-1].traced else 0.0)
    if not agreed and (untraced == 0 or in_round):
        return NextVisit(begins_traced, rest_s=spacing_s)
    if not enough and rounds < MAX_ROUNDS:
        rest_s = max(spacing_s, FIRST_REST_S * 2 ** (rounds - 1))
        return NextVisit(begins_traced, rest_s=rest_s)
    if not enough:
        return Failure(
            FailureKind.DISTURBED,
            f"{clean} of {untraced} visits were clean: something else ran on the measured"
            " cores; free them and measure again",
        )
    return None


def _agree(spec: BenchmarkSpec, latencies_ns: Sequence[float]) -> bool:
    """Return whether clean visits agree as well as the spec asks for."""
    if spec.half_width:
        return half_width(latencies_ns) <= spec.half_width
    return disagreement(latencies_ns) <= spec.tolerance
