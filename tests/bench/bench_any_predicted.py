"""any.predicted_*, any.coverage: predictions of the corpus's foreign networks.

The predictor learns from the standard calibration, and from the single operators that
`latlab calibrate --for` measures for five of the networks. It predicts the others. What the lab's
default target has not measured yet is measured first.

python -m tests.bench.bench_any_predicted
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latency_models.evaluate import Parity, metrics
from latency_models.kernel_predictor import KernelPredictor
from latency_models.packing import pack
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.precision import Precision
from search.latency.calibration import random_networks
from search.latency.lab import Measured
from search.latency.missing_kernels import missing_kernels, operator_programs
from search.latency.networks import ProgramSource, export_spec
from search.latency.probes import probe_specs
from search.latency.target_lab import TargetLab
from search.space.space import mnasnet_space
from search.study.settings import CalibrationSettings
from tests.bench import corpus
from tests.bench.bench_any import export_spec as foreign_spec
from tests.bench.figures import at_least, report, within
from tests.bench.real_lab import RealLab, real_lab

SEED = 20261129  # draws the networks that are calibrated for
CALIBRATED_FOR = 5


def main() -> None:
    networks = corpus.available()
    names = [network.name for network in networks]
    specs = [foreign_spec(network, Precision.FP32) for network in networks]
    rows = np.random.default_rng(SEED).permutation(len(networks)).tolist()
    chosen, others = rows[:CALIBRATED_FOR], rows[CALIBRATED_FOR:]
    with real_lab() as opened:
        calibration = [
            *map(export_spec, random_networks(mnasnet_space(), CalibrationSettings().networks)),
            *probe_specs(),
        ]
        known = list(filter(None, measured(opened, calibration)))
        foreign = measured(opened, specs)
        kernels = [k for row in chosen if (found := foreign[row]) for k in found.kernels]
        operators = operator_programs(
            [specs[row] for row in chosen], missing_kernels(kernels, known), opened.pool
        )
        known += filter(None, measured(opened, operators))
    held_out = {names[row]: found for row in others if (found := foreign[row])}
    predictor = KernelPredictor.fit(known)
    parity = predicted(predictor, list(held_out.values()))
    errors = parity.predicted_ns / parity.measured_ns - 1
    conditions = {
        "networks": len(held_out),
        "calibrated_for": [names[row] for row in chosen],
        "operators": len(operators),
        "seed": SEED,
    }
    report(
        "any.predicted_within_20pct",
        round(float((np.abs(errors) <= 0.2).mean()), 3),
        "share",
        at_least(0.80),
        **conditions,
        kendall=round(metrics(parity.measured_ns, parity.predicted_ns).kendall, 3),
        errors={name: round(float(e), 3) for name, e in zip(held_out, errors, strict=True)},
    )
    report(
        "any.coverage",
        round(float(parity.inside.mean()), 3),
        "share",
        within(0.9, 0.05),
        **conditions,
        median_width=round(float(np.median(parity.widths)), 3),
        outside=[n for n, inside in zip(held_out, parity.inside, strict=True) if not inside],
    )


def predicted(predictor: KernelPredictor, networks: Sequence[MeasuredNetwork]) -> Parity:
    """Return steadied latencies beside predicted ones, guesses included."""
    truths = [predictor.steadying(network) for network in networks]
    found = predictor.predict(*pack(n.kernels for n in truths), now_unix_ns=0, guess=True)
    return Parity(
        np.array([network.latency_ns for network in truths]),
        np.array([float(each.latency_ns) for each in found]),
        np.array([float(each.lower_ns) for each in found]),
        np.array([float(each.upper_ns) for each in found]),
    )


def measured(opened: RealLab, sources: Sequence[ProgramSource]) -> list[MeasuredNetwork | None]:
    """Return the measurement of each program; None if it failed."""
    lab = TargetLab(opened.client, opened.target, opened.pool)
    outcomes = lab.measure_specs(sources)
    by_id = opened.client.measured_networks_by_id(opened.target.id)
    return [
        by_id.get(outcome.measurement_id) if isinstance(outcome, Measured) else None
        for outcome in outcomes
    ]


if __name__ == "__main__":
    main()
