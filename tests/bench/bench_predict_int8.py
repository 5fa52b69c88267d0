"""int8.within_10pct, int8.kendall: predictions of random int8 architectures from sixty others.

The networks are measured first where the lab's default target has not measured them yet. Their
seed is no study's, no calibration's, and none that predictors were developed with.

python -m tests.bench.bench_predict_int8 [SPLITS]: by default 20.
"""

from __future__ import annotations

import sys
from functools import partial

from latency_models.evaluate import repeat_cv
from latlab.domain.precision import Precision
from search.latency.networks import export_spec
from search.space.deployment import Deployment
from tests.bench.bench_predict60 import SPLITS, evaluations, new_networks, report_splits
from tests.bench.figures import at_least
from tests.bench.real_lab import real_lab

SEED = 20261148
TRAIN = TEST = 60


def main() -> None:
    splits = int(sys.argv[1]) if len(sys.argv) > 1 else SPLITS
    int8 = partial(export_spec, deployment=Deployment(precision=Precision.INT8))
    with real_lab() as opened:
        found = opened.measured(list(map(int8, new_networks(TRAIN + TEST, SEED))))
    networks = list(filter(None, found))
    conditions: dict[str, object] = {
        "target": opened.target.name,
        "networks": len(networks),
        "splits": splits,
        "seed": SEED,
        "repeat_cv": repeat_cv(networks),
    }
    found_errors = evaluations(networks, min(TRAIN, len(networks) - TEST), splits)
    shares = [each.predictor.within_10pct for each in found_errors]
    report_splits("int8.within_10pct", shares, at_least(0.98), conditions)
    kendalls = [each.predictor.kendall for each in found_errors]
    report_splits("int8.kendall", kendalls, at_least(0.97), conditions, unit="tau")
    errors = [each.predictor.mean_error for each in found_errors]
    report_splits("int8.mean_error", errors, None, conditions)
    coverages = [each.interval_coverage for each in found_errors]
    report_splits("int8.interval_coverage", coverages, None, conditions)


if __name__ == "__main__":
    main()
