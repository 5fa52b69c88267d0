"""profile.remedies, profile.false_findings: are findings true, and do their remedies help?

profile.remedies        planted defects, one of each kind, that are found, and whose remedy gains
                        at least half of the time that the finding names
profile.false_findings  findings above 5 % of the latency on networks that have no defect

python -m tests.bench.bench_profile_findings

The bare runner runs the network with the defect and the one with its remedy in turn, on the last
core of this machine, which must be left alone. QUICK=1 takes fewer turns.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latency_models.alignment import align
from latlab.domain.estimate import Footprint
from latlab.domain.kernel import Kernel
from latlab.domain.program import Program
from latlab.export import export_program
from latlab.profiling.findings import Finding, Processor, findings
from latlab.profiling.profile import Profile, ProfileRow, Span
from tests.bench.bench_agent import RUNNER
from tests.bench.bench_runner import output_of
from tests.bench.figures import at_least, at_most, quick, report
from tests.bench.planted_defects import Defect, Variant, defects, healthy

TURNS = quick(12, 3)
VISIT_NS = 300_000_000
LARGE_SHARE = 0.05
PROCESSOR = Processor.of_abi(platform.machine())


@dataclass(frozen=True)
class Exported:
    """A program in a file."""

    program: Program
    path: Path


def exported(variant: Variant, path: Path) -> Exported:
    import torch

    torch.manual_seed(0)
    program, data = export_program(variant.make().eval(), variant.shape, variant.precision)
    path.write_bytes(data)
    return Exported(program, path)


def visit(network: Exported, is_traced: bool = False) -> dict[str, Any]:
    """Return what the runner reports about one visit."""
    cpu = max(os.sched_getaffinity(0))
    options = {
        "--program": network.path,
        "--cpus": cpu,
        "--seed": 1,
        "--warmup-runs": 5,
        "--warmup-ns": VISIT_NS // 3,
        "--timed-runs": 10,
        "--timed-ns": VISIT_NS,
        "--max-timed-runs": 2_000,
    }
    words = [str(word) for option in options.items() for word in option]
    for spec in network.program.inputs:
        words += ["--input", str(spec)]
    told: dict[str, Any] = json.loads(
        output_of([str(RUNNER), *words, *(["--traced"] if is_traced else [])])
    )
    return told


def quiet_ns(told: dict[str, Any]) -> float:
    """Return the lower quartile of a visit's runs."""
    return float(statistics.quantiles(told["wall_ns"], n=4)[0])


def kernel_times(kernels: Sequence[Kernel], told: dict[str, Any]) -> tuple[float, ...]:
    """Return the kernels' times in the faster half of a traced visit's runs."""
    limit = statistics.median(told["wall_ns"])
    quiet = [index for index, wall_ns in enumerate(told["wall_ns"]) if wall_ns <= limit]
    traces = [
        (kernel["name"], [kernel["ns"][index] for index in quiet]) for kernel in told["kernels"]
    ]
    return align(kernels, traces)


def span(values: Sequence[float]) -> Span:
    """Return the median of some visits' values, and the range of their middle half."""
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else [*values] * 3
    return Span(middle, low, high)


def profile_of(
    network: Exported, untraced: Sequence[dict[str, Any]], traced: Sequence[dict[str, Any]]
) -> Profile:
    """Return the profile that visits of one network show."""
    kernels = network.program.kernels
    times = zip(*(kernel_times(kernels, told) for told in traced), strict=True)
    rows = [
        ProfileRow(kernel, each.time_ns, each.lower_ns, each.upper_ns)
        for kernel, each in zip(kernels, map(span, times), strict=True)
    ]
    latency = span([quiet_ns(told) for told in untraced])
    rest_ns = latency.time_ns - sum(row.time_ns for row in rows)
    return Profile(
        network=network.path.stem,
        target="this machine",
        latency=latency,
        rows=tuple(rows),
        rest=Span(rest_ns, rest_ns, rest_ns),
        tracing=None,
        is_predicted=False,
        footprint=Footprint(network.program.size_bytes),
    )


def tried(defect: Defect, folder: Path) -> dict[str, Any]:
    """Return what the finding of a planted defect names, and what its remedy gains."""
    planted = exported(defect.planted, folder / "planted.pte")
    remedied = exported(defect.remedied, folder / "remedied.pte")
    before: list[dict[str, Any]] = []
    after: list[dict[str, Any]] = []
    traced: list[dict[str, Any]] = []
    for turn in range(TURNS):
        for network, visits in ((planted, before), (remedied, after))[:: -1 if turn % 2 else 1]:
            visits.append(visit(network))
        traced.append(visit(planted, is_traced=True))
    profile = profile_of(planted, before, traced)
    found = [each for each in findings(profile, PROCESSOR) if each.kind is defect.kind]
    gains = [
        quiet_ns(first) - quiet_ns(second) for first, second in zip(before, after, strict=True)
    ]
    gain_ns = statistics.median(gains)
    cost_ns = sum(each.cost.time_ns for each in found)
    return {
        "defect": defect.kind.name,
        "latency_ms": round(profile.latency.time_ns / 1e6, 3),
        "found_ms": round(cost_ns / 1e6, 4),
        "interval_ms": [
            round(sum(getattr(each.cost, side) for each in found) / 1e6, 4)
            for side in ("lower_ns", "upper_ns")
        ],
        "gain_ms": round(gain_ns / 1e6, 4),
        "helps": bool(found) and gain_ns >= 0.5 * cost_ns,
    }


def false_findings(variant: Variant, path: Path) -> list[Finding]:
    """Return the findings of a healthy network that name more than 5 % of its latency."""
    network = exported(variant, path)
    untraced, traced = [], []
    for _ in range(TURNS):
        untraced.append(visit(network))
        traced.append(visit(network, is_traced=True))
    profile = profile_of(network, untraced, traced)
    return [
        each
        for each in findings(profile, PROCESSOR)
        if profile.share(each.cost.time_ns) > LARGE_SHARE
    ]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trials = [tried(defect, folder) for defect in defects()]
        variants = healthy()
        wrong = [false_findings(variant, folder / "healthy.pte") for variant in variants]
    report(
        "profile.remedies",
        sum(trial["helps"] for trial in trials),
        "defects",
        at_least(len(trials)),
        defects=len(trials),
        turns=TURNS,
        trials=trials,
    )
    report(
        "profile.false_findings",
        sum(map(len, wrong)),
        "findings",
        at_most(0),
        networks=len(variants),
        findings=[each.what for found in wrong for each in found],
    )


if __name__ == "__main__":
    main()
