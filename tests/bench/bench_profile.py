"""profile.rest, profile.tracing_overhead: what no kernel of twenty networks accounts for.

Half of the networks are from MnasNet's space, and half from the corpus of foreign ones. They are
measured on this machine's lab, which keeps the measurements.

python -m tests.bench.bench_profile
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence

from latlab.client.measuring import Outcome
from latlab.client.profiling.measured import measured_profile
from latlab.domain.benchmark_spec import PROFILE_PAIRS, BenchmarkSpec
from latlab.domain.errors import ExportError
from latlab.domain.failure import Failure
from latlab.domain.precision import Precision
from latlab.domain.program import ProgramFile
from latlab.export import ExportSpec
from latlab.profiling.profile import Profile
from search.latency.calibration import random_networks
from search.latency.networks import export_spec
from search.space.space import mnasnet_space
from tests.bench import corpus
from tests.bench.bench_any import export_spec as foreign_spec
from tests.bench.figures import at_most, quick, report
from tests.bench.real_lab import RealLab, real_lab

NETWORKS = 20
PAIRS = PROFILE_PAIRS


def main() -> None:
    with real_lab() as opened:
        specs = networks(quick(NETWORKS, least=4))
        profiles = profiled(opened, specs)
    rests = {name: each.share(each.rest.time_ns) for name, each in profiles.items() if each.rest}
    overheads = {
        name: each.share(each.tracing.time_ns) for name, each in profiles.items() if each.tracing
    }
    shares = [abs(rest) for rest in rests.values()]
    worst = max(rests, key=lambda name: abs(rests[name]))
    conditions = {
        "networks": len(rests),
        "asked_for": len(specs),
        "pairs": PAIRS,
        "predicted": [name for name, each in profiles.items() if each.is_predicted],
    }
    report("profile.rest", statistics.median(shares), "share", at_most(0.03), **conditions)
    report(
        "profile.rest_worst",
        abs(rests[worst]),
        "share",
        at_most(0.08),
        network=worst,
        all={name: round(rest, 4) for name, rest in rests.items()},
        **conditions,
    )
    report(
        "profile.tracing_overhead",
        statistics.median(overheads.values()),
        "share",
        None,
        worst=round(max(overheads.values()), 4),
        **conditions,
    )


def networks(count: int) -> dict[str, ExportSpec]:
    """Return networks for export by their names: half of the space, half of the corpus."""
    own = random_networks(mnasnet_space(), count // 2)
    step = max(1, len(corpus.CORPUS) // (count - len(own)))
    foreign = corpus.CORPUS[::step][: count - len(own)]
    return {f"space/{each.id}": export_spec(each) for each in own} | {
        each.name: foreign_spec(each, Precision.FP32) for each in foreign
    }


def profiled(opened: RealLab, specs: dict[str, ExportSpec]) -> dict[str, Profile]:
    """Return the profiles of the networks that can be measured, by their names."""
    exports = dict(zip(specs, opened.pool.export_all(list(specs.values())), strict=True))
    for name, export in exports.items():
        if isinstance(export, ExportError):
            print(f"{name}: {export}", file=sys.stderr)
    files = {name: file for name, file in exports.items() if isinstance(file, ProgramFile)}
    outcomes = measured(opened, list(files.values()))
    profiles = {}
    for (name, file), outcome in zip(files.items(), outcomes, strict=True):
        if isinstance(outcome, Failure):
            print(f"{name}: {outcome.message}", file=sys.stderr)
        else:
            profiles[name] = measured_profile(name, opened.client, opened.target, file, outcome)
    return profiles


def measured(opened: RealLab, files: Sequence[ProgramFile]) -> list[Outcome]:
    """Return the outcomes of programs, which the lab measures in pairs of visits."""
    visits = 2 * PAIRS * len(files)
    outcomes = opened.client.measure(
        opened.target.id,
        files,
        BenchmarkSpec.paired(PAIRS),
        fresh=True,
        on_progress=lambda done, _: print(f"\r{done}/{visits}", end="", file=sys.stderr),
    )
    print(file=sys.stderr)
    return outcomes


if __name__ == "__main__":
    main()
