"""any.*: the shares of sixty foreign networks that the lab measures, in float32 and in int8.

They are measured on this machine's lab, which keeps the measurements. Exported programs are kept
as well, so an interrupted run continues where it stopped.

python -m tests.bench.bench_any
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from latlab.domain.failure import Failure
from latlab.domain.precision import Precision
from latlab.export import ExportSpec
from search.latency.lab import Measured
from search.latency.target_lab import TargetLab
from tests.bench import corpus
from tests.bench.corpus import ForeignNetwork
from tests.bench.figures import Goal, at_least, report
from tests.bench.real_lab import RealLab, real_lab

FIGURES = (
    (Precision.FP32, "any.answered", at_least(0.95)),
    (Precision.INT8, "any.int8_answered", at_least(0.90)),
)


def main() -> None:
    networks = corpus.available()
    aligned: dict[str, bool] = {}
    with real_lab() as opened:
        for precision, figure, goal in FIGURES:
            outcomes = measure(opened, networks, precision)
            report_answered(figure, goal, outcomes)
            traces = opened.client.measured_networks_by_id(opened.target.id)
            for name, outcome in outcomes.items():
                if isinstance(outcome, Measured):
                    traced = traces[outcome.measurement_id]
                    aligned[f"{name} {precision.value}"] = traced.kernel_ns is not None
    report(
        "any.aligned",
        sum(aligned.values()) / max(1, len(aligned)),
        "share",
        at_least(0.95),
        measured=len(aligned),
        unaligned=[name for name, is_aligned in aligned.items() if not is_aligned],
    )


def measure(
    opened: RealLab, networks: Sequence[ForeignNetwork], precision: Precision
) -> dict[str, Measured | Failure]:
    """Return the outcome of each network by its name."""
    print(f"{len(networks)} networks in {precision.value}", file=sys.stderr)
    outcomes = TargetLab(opened.client, opened.target, opened.pool).measure_specs(
        [export_spec(network, precision) for network in networks],
        lambda done: print(f"\r{done}/{len(networks)}", end="", file=sys.stderr),
    )
    print(file=sys.stderr)
    names = [network.name for network in networks]
    return dict(zip(names, outcomes, strict=True))


def report_answered(figure: str, goal: Goal, outcomes: dict[str, Measured | Failure]) -> None:
    refused = {
        name: outcome.message for name, outcome in outcomes.items() if isinstance(outcome, Failure)
    }
    report(
        figure,
        1 - len(refused) / len(outcomes),
        "share",
        goal,
        networks=len(outcomes),
        refused=refused,
    )


def export_spec(network: ForeignNetwork, precision: Precision) -> ExportSpec:
    """Return a network for export. Its key names the code that its weights depend on."""
    versions = [f"{package} {version(package)}" for package in ("torch", *corpus.PACKAGES)]
    code = hashlib.sha256()
    for path in sorted(Path(corpus.__file__).parent.glob("*.py")):
        code.update(path.read_bytes())
    key = f"foreign {network.name}, {', '.join(versions)}, corpus {code.hexdigest()}"
    return ExportSpec(f"{key}, {precision.value}", network.make, precision)


if __name__ == "__main__":
    main()
