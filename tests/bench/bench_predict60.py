"""predict60.*, predict15.*, interval.*: predictions of random architectures from others.

The figures stand beside the repeatability of the measurements. Networks that the lab's default
target has not measured yet are measured first; the repetition is measured each time. Their seed
is no study's, no calibration's, and none that predictors were developed with.

python -m tests.bench.bench_predict60 [SPLITS]: by default 20.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from latency_models.evaluate import Evaluation, evaluate
from latency_models.kernel_predictor import KernelPredictor
from latency_models.measured_networks import newest_of_each
from latlab.domain.failure import Failure
from latlab.domain.measured_network import MeasuredNetwork
from latlab.export import ExportSpec
from search.latency.networks import export_spec
from search.latency.target_lab import TargetLab
from search.space.architecture import Architecture
from search.space.space import mnasnet_space
from tests.bench.figures import Goal, at_least, report, within
from tests.bench.real_lab import RealLab, real_lab

SEED = 20261147
NETWORKS = 300  # for the learning curve; the other figures use the first 120
USED = 120
TEST = 60
SPLITS = 20
LEARNING = (60, 240)


def main() -> None:
    splits = int(sys.argv[1]) if len(sys.argv) > 1 else SPLITS
    specs = list(map(export_spec, new_networks(NETWORKS)))
    with real_lab() as opened:
        found = opened.measured(specs)
        everything = list(filter(None, found))
        networks = list(filter(None, found[:USED]))
        device_s, repeat_kendall = _repeated(opened, specs[:TEST], networks)
    conditions = {
        "target": opened.target.name,
        "networks": len(networks),
        "splits": splits,
        "seed": SEED,
    }
    of_60 = evaluations(networks, 60, splits)
    conditions_60 = conditions | {"device_s_of_60": round(60 * device_s, 1)}
    for name, goal in (("within_10pct", at_least(1.0)), ("within_5pct", at_least(0.97))):
        report_splits(
            f"predict60.{name}", [getattr(e.predictor, name) for e in of_60], goal, conditions_60
        )
    unsteadied = evaluations(list(map(_unprobed, networks)), 60, splits)
    for name in ("within_10pct", "within_5pct"):
        values = [getattr(e.predictor, name) for e in unsteadied]
        report_splits(f"predict60.{name}_unsteadied", values, None, conditions_60)
    kendalls = [e.predictor.kendall for e in of_60]
    report_splits("predict60.kendall", kendalls, at_least(0.98), conditions_60, unit="tau")
    report("predict60.kendall_repeat", round(repeat_kendall, 4), "tau", None, **conditions)
    report_splits(
        "predict60.mean_error", [e.predictor.mean_error for e in of_60], None, conditions_60
    )
    report_splits(
        "interval.coverage", [e.interval_coverage for e in of_60], within(0.9, 0.02), conditions
    )
    thirds = np.mean([e.coverage_by_third for e in of_60], axis=0)
    report(
        "interval.coverage_by_third",
        round(float(thirds.min()), 4),
        "share",
        at_least(0.85),
        **conditions,
        from_narrow_to_wide=thirds.round(3).tolist(),
    )
    widths_pct = [100 * e.interval_width for e in of_60]
    report_splits("interval.width_pct", widths_pct, None, conditions, unit="%")
    of_15 = evaluations(networks, 15, splits)
    shares = [e.predictor.within_10pct for e in of_15]
    report_splits("predict15.within_10pct", shares, at_least(0.95), conditions)
    for train_size in LEARNING:
        curve = evaluations(everything, train_size, splits)
        errors = [e.predictor.mean_error for e in curve]
        learned = conditions | {"networks": len(everything), "train": train_size}
        report_splits(f"predict60.learning_n{train_size}", errors, None, learned)


def new_networks(count: int, seed: int = SEED) -> list[Architecture]:
    """Return distinct random networks of the space, the same ones every time."""
    rng, space = np.random.default_rng(seed), mnasnet_space()
    networks: dict[Architecture, None] = {}
    while len(networks) < count:
        networks[space.resolve(space.sample(rng))] = None
    return list(networks)


def evaluations(
    networks: Sequence[MeasuredNetwork], train_size: int, splits: int
) -> list[Evaluation]:
    """Return the errors on held-out networks, for each random split."""
    return [
        evaluate(networks, train_size=train_size, test_size=TEST, splits=1, seed=split)
        for split in range(splits)
    ]


def _unprobed(network: MeasuredNetwork) -> MeasuredNetwork:
    return replace(network, memory_probe_ns=None, traced_memory_probe_ns=None)


def _repeated(
    opened: RealLab, specs: Sequence[ExportSpec], networks: Sequence[MeasuredNetwork]
) -> tuple[float, float]:
    """Measure all networks again.

    Returns:
        The mean device time of a measurement in s, and Kendall's tau of first and second
        measurements, both steadied.
    """
    lab = TargetLab(opened.client, opened.target, opened.pool)
    outcomes = lab.measure_specs(specs, fresh=True)
    device_ns = [
        sum(v.after.unix_ns - v.before.unix_ns for v in opened.client.measurement(o[1]).visits)
        for o in outcomes
        if not isinstance(o, Failure)
    ]
    second = newest_of_each(opened.client.measured_networks(opened.target.id))
    steadying = KernelPredictor.fit(networks).steadying
    pairs = [
        (steadying(network).latency_ns, steadying(again).latency_ns)
        for network in networks
        if (again := second[network.kernels]).unix_ns != network.unix_ns
    ]
    return float(np.mean(device_ns)) / 1e9, float(stats.kendalltau(*zip(*pairs, strict=True))[0])


def report_splits(
    name: str,
    values: Sequence[float],
    goal: Goal | None,
    conditions: dict[str, object],
    unit: str = "share",
) -> None:
    """Report the mean over the splits and the range of 90 % of the splits."""
    low, high = np.quantile(values, [0.05, 0.95])
    interval = [round(float(low), 4), round(float(high), 4)]
    report(name, round(float(np.mean(values)), 4), unit, goal, **conditions, splits_90pct=interval)


if __name__ == "__main__":
    main()
