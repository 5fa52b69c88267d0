"""predict.*, interval.*, repeat.cv_pct: the accuracy of predictions of held-out networks.

They are networks that the lab has measured on its default target. Missing ones are measured
first.

python -m tests.bench.bench_predict [TRAIN TEST SPLITS]: the numbers of networks and splits, by
default 40 20 5.
"""

from __future__ import annotations

import sys

from latency_models.evaluate import evaluate
from tests.bench.figures import at_least, report
from tests.bench.real_lab import calibrated

SEED = 20260


def main() -> None:
    train_size, test_size, splits = map(int, sys.argv[1:] or ("40", "20", "5"))
    with calibrated(train_size + test_size) as (client, target):
        networks = client.measured_networks(target.id)
    result = evaluate(
        networks, train_size=train_size, test_size=test_size, splits=splits, seed=SEED
    )
    predictor, work = result.predictor, result.multiply_adds
    figures = [
        ("predict.within_10pct", predictor.within_10pct, "share", at_least(0.90)),
        ("predict.within_5pct", predictor.within_5pct, "share", None),
        ("predict.kendall", predictor.kendall, "tau", at_least(0.92)),
        ("predict.kendall_madds", work.kendall, "tau", None),
        ("predict.mean_error", predictor.mean_error, "share", None),
        ("interval.coverage", result.interval_coverage, "share", None),
        ("interval.width_pct", 100 * result.interval_width, "%", None),
        ("repeat.cv_pct", 100 * result.repeat_cv, "%", None),
    ]
    conditions = {
        "target": target.name,
        "measured_networks": len(networks),
        "train": train_size,
        "test": test_size,
        "splits": splits,
        "seed": SEED,
    }
    for name, value, unit, goal in figures:
        report(name, value, unit, goal, **conditions)


if __name__ == "__main__":
    main()
