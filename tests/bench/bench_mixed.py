"""interval.width_ratio*, interval.error_rank: are intervals wide where predictions are wrong?

The predictor learns from the standard calibration. It predicts a mixed set: random networks of the
space, networks with widths off the space's grid, networks at other resolutions, and foreign
networks. What the lab's default target has not measured yet is measured first.

The control is one relative interval for all networks, as wide as it must be to hold as many of
the mixed set's latencies as the predictor's intervals do.

python -m tests.bench.bench_mixed
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, spearmanr

from latency_models.evaluate import Parity
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

FloatArray = NDArray[np.float64]

SEED = 20261130
RESAMPLES = 2_000
OF_EACH = 24
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
    columns = [
        np.concatenate([getattr(parity, field.name) for parity in parities.values()])
        for field in fields(Parity)
    ]
    everything = Parity(*columns)
    conditions = {
        "networks": {name: len(parity.measured_ns) for name, parity in parities.items()},
        "coverage": round(float(everything.inside.mean()), 3),
        "coverages": {name: round(float(p.inside.mean()), 2) for name, p in parities.items()},
        "mean_errors": {
            name: round(float(np.mean(np.abs(p.predicted_ns / p.measured_ns - 1))), 3)
            for name, p in parities.items()
        },
        "mean_widths": {name: round(float(p.widths.mean()), 3) for name, p in parities.items()},
        "seed": SEED,
    }
    for name, figure, unit, goal in (
        ("width_ratio", width_ratio, "ratio", at_most(0.7)),
        ("width_ratio_of_logarithms", log_width_ratio, "ratio", None),
        ("error_rank", error_rank, "rho", at_least(0.4)),
    ):
        interval = bootstrap(
            columns,
            lambda *drawn, figure=figure: figure(Parity(*drawn)),
            n_resamples=RESAMPLES,
            paired=True,
            vectorized=False,
            confidence_level=0.9,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        report(
            f"interval.{name}",
            round(figure(everything), 3),
            unit,
            goal,
            **conditions,
            bootstrap_90pct=[round(float(interval.low), 3), round(float(interval.high), 3)],
        )


def width_ratio(parity: Parity) -> float:
    """Return the mean width of the intervals by the control's, as shares of predictions."""
    return float(parity.widths.mean() / (2 * np.sinh(constant_margin(parity))))


def log_width_ratio(parity: Parity) -> float:
    """Return the same ratio for the logarithms of upper by lower bounds."""
    return float(margins(parity).mean() / constant_margin(parity))


def error_rank(parity: Parity) -> float:
    """Return how well the order of the widths tells the order of the errors."""
    return float(spearmanr(margins(parity), np.abs(errors(parity))).statistic)


def constant_margin(parity: Parity) -> float:
    """Return the least margin that holds as many latencies as the predictor's intervals do."""
    covered = float(parity.inside.mean())
    return float(np.quantile(np.abs(errors(parity)), covered, method="inverted_cdf"))


def errors(parity: Parity) -> FloatArray:
    """Return the (networks,) logarithms of predicted by measured latencies."""
    logs: FloatArray = np.log(parity.predicted_ns / parity.measured_ns)
    return logs


def margins(parity: Parity) -> FloatArray:
    """Return (networks,): half the logarithm of the upper by the lower bound."""
    logs: FloatArray = np.log(parity.upper_ns / parity.lower_ns) / 2
    return logs


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
