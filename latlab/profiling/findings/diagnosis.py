"""Find what makes a network slow, from the profile of its kernels alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from latlab.profiling.findings.convolutions import (
    narrow_groups,
    partial_vectors,
    spread_convolutions,
    uncached_weights,
)
from latlab.profiling.findings.delegation import operators_outside, paddings, resized_inputs
from latlab.profiling.findings.evidence import Evidence, Site
from latlab.profiling.findings.finding import Finding, Processor
from latlab.profiling.findings.fusion import separate_activations, unfolded_norms
from latlab.profiling.findings.layouts import broken_graph, conversions
from latlab.profiling.findings.quantization import dynamic_quantization, float_islands
from latlab.profiling.profile import Profile, Span

Detector = Callable[[Evidence], Iterator[Site]]

SMALLEST_SHARE = 0.005  # of the latency: a smaller finding is not worth a change of the network

# A row belongs to the first of them that claims it.
_DETECTORS: tuple[Detector, ...] = (
    dynamic_quantization,
    float_islands,
    resized_inputs,
    paddings,
    operators_outside,
    conversions,
    broken_graph,
    unfolded_norms,
    narrow_groups,
    spread_convolutions,
    uncached_weights,
    partial_vectors,
    separate_activations,
)


def findings(profile: Profile, processor: Processor | None = None) -> list[Finding]:
    """Return why a network is slow, the costliest reason first.

    Each row belongs to at most one finding, and together the findings cost at most the latency.
    What costs less than 0.5 % of the latency, or possibly nothing, is left out.

    Args:
        profile: The profile. Its rows may be measured or predicted.
        processor: The target's processor; None for the default.
    """
    evidence = Evidence.of(profile, processor or Processor())
    scale = _scale(profile)
    found = [_finding(sites, scale) for sites in _equal(_claimed(evidence))]
    smallest_ns = SMALLEST_SHARE * profile.latency.time_ns
    kept = [each for each in found if each.cost.time_ns >= smallest_ns and each.cost.lower_ns > 0]
    return sorted(kept, key=lambda finding: -finding.cost.time_ns)


def _claimed(evidence: Evidence) -> Iterator[Site]:
    """Yield the sites in order of precedence, without those that claim a row a second time."""
    taken: set[int] = set()
    for detector in _DETECTORS:
        for site in detector(evidence):
            if site.cost.time_ns > 0 and taken.isdisjoint(site.rows):
                taken.update(site.rows)
                yield site


def _equal(sites: Iterable[Site]) -> list[list[Site]]:
    groups: dict[tuple[str, str, str], list[Site]] = {}
    for site in sites:
        groups.setdefault((site.kind, site.what, site.remedy), []).append(site)
    return list(groups.values())


def _finding(sites: list[Site], scale: float) -> Finding:
    first = sites[0]
    return Finding(
        first.kind,
        Span(
            sum(site.cost.time_ns for site in sites) * scale,
            sum(site.cost.lower_ns for site in sites) * scale,
            sum(site.cost.upper_ns for site in sites) * scale,
        ),
        tuple(sorted(place for site in sites for place in site.rows)),
        first.what,
        first.remedy,
    )


def _scale(profile: Profile) -> float:
    """Return what kernel times are multiplied by, so that they fit into the latency.

    Tracing lengthens kernels, and disturbances may lengthen single ones.
    """
    accounted_ns = sum(row.time_ns for row in profile.rows)
    if profile.rest is not None:
        accounted_ns += max(0.0, profile.rest.time_ns)
    return min(1.0, profile.latency.time_ns / accounted_ns) if accounted_ns > 0 else 1.0
