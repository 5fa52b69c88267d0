"""interval.width_ratio, interval.error_rank: are intervals wide where predictions are wrong?

The predictor learns from the standard calibration. It predicts a mixed set: random networks of the
space, networks with widths off the space's grid, networks at other resolutions, and foreign
networks. What the lab's default target has not measured yet is measured first.

The control is one relative interval for all networks, as wide as it must be to hold as many of
the mixed set's latencies as the predictor's intervals do.

python -m tests.bench.bench_mixed
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.stats import spearmanr

from latency_models.kernel_predictor import KernelPredictor
from latlab.domain.precision import Precision
from search.latency.calibration import random_networks
from search.latency.networks import ProgramSource, export_spec
from search.latency.probes import probe_specs
from search.space.architecture import Architecture
from search.space.deployment import Deployment
from search.space.space import mnasnet_space
from search.study.settings import CalibrationSettings
from tests.bench import corpus
from tests.bench.bench_any import export_spec as foreign_spec
from tests.bench.bench_any_predicted import measured, predicted
from tests.bench.bench_predict60 import new_networks
from tests.bench.figures import at_least, at_most, report
from tests.bench.real_lab import real_lab

SEED = 20261130
OF_EACH = 12
RESOLUTIONS = (128, 160, 192, 256)


def main() -> None:
    rng = np.random.default_rng(SEED)
    drawn = new_networks(3 * OF_EACH)
    plain, widened, resized = (drawn[start::3] for start in range(3))
    foreign = rng.permutation(np.array(corpus.available(), dtype=object)).tolist()[:OF_EACH]
    parts: dict[str, list[ProgramSource]] = {
        "in the space": [*map(export_spec, plain)],
        "other widths": [export_spec(with_other_widths(network, rng)) for network in widened],
        "other resolutions": [
            export_spec(network, deployment=Deployment(RESOLUTIONS[i % len(RESOLUTIONS)]))
            for i, network in enumerate(resized)
        ],
        "foreign": [foreign_spec(network, Precision.FP32) for network in foreign],
    }
    calibration = random_networks(mnasnet_space(), CalibrationSettings().networks)
    with real_lab() as opened:
        known = measured(opened, [*map(export_spec, calibration), *probe_specs()])
        predictor = KernelPredictor.fit(list(filter(None, known)))
        parities = {
            name: predicted(predictor, list(filter(None, measured(opened, specs))))
            for name, specs in parts.items()
        }
    errors = np.concatenate([np.log(p.predicted_ns / p.measured_ns) for p in parities.values()])
    margins = np.concatenate([np.log(p.upper_ns / p.lower_ns) / 2 for p in parities.values()])
    covered = float(np.mean(np.abs(errors) <= margins))
    constant = float(np.quantile(np.abs(errors), covered, method="inverted_cdf"))
    conditions = {
        "networks": {name: len(parity.measured_ns) for name, parity in parities.items()},
        "coverage": round(covered, 3),
        "coverages": {name: round(float(p.inside.mean()), 2) for name, p in parities.items()},
        "mean_errors": {
            name: round(float(np.mean(np.abs(p.predicted_ns / p.measured_ns - 1))), 3)
            for name, p in parities.items()
        },
        "seed": SEED,
    }
    ratio = float(np.mean(np.expm1(2 * margins)) / np.expm1(2 * constant))
    report("interval.width_ratio", round(ratio, 3), "ratio", at_most(0.7), **conditions)
    rank = float(spearmanr(margins, np.abs(errors)).statistic)
    report("interval.error_rank", round(rank, 3), "rho", at_least(0.4), **conditions)


def with_other_widths(network: Architecture, rng: np.random.Generator) -> Architecture:
    """Return the network with other widths, most of which are no multiples of 8."""
    blocks = tuple(
        replace(
            block,
            out_channels=max(4, round(block.out_channels * rng.uniform(0.7, 1.3))),
            skip=block.skip if block.layers > 1 else "none",
        )
        for block in network.blocks
    )
    return Architecture(network.stem_channels, blocks, network.head_channels)


if __name__ == "__main__":
    main()
