"""active.error_ratio: is it worth while to choose the networks that are measured?

The mean error after 16 chosen networks is compared with that after 16 random ones, paired over 20
draws of the candidates. The networks are those of bench_predict60, which are measured first if
they are not yet.

python -m tests.bench.bench_active_ratio
"""

from __future__ import annotations

import numpy as np

from latency_models.active_selection import most_informative
from latency_models.kernel_predictor import KernelPredictor
from search.latency.networks import export_spec
from tests.bench.bench_active import learning_curve
from tests.bench.bench_predict60 import NETWORKS, new_networks
from tests.bench.figures import quick, report
from tests.bench.real_lab import real_lab

CHOSEN, CANDIDATES, TEST = 16, 120, 60
DRAWS = quick(20, 2)
SEED = 20261131


def main() -> None:
    with real_lab() as opened:
        found = opened.measured(list(map(export_spec, new_networks(NETWORKS))))
    networks = list(filter(None, found))
    steadying = KernelPredictor.fit(networks).steadying
    ratios, chosen_errors, random_errors = [], [], []
    for draw in range(DRAWS):
        order = np.random.default_rng(SEED + draw).permutation(len(networks)).tolist()
        pool = [networks[row] for row in order[:CANDIDATES]]
        test = [steadying(networks[row]) for row in order[CANDIDATES : CANDIDATES + TEST]]
        chosen = most_informative([network.kernels for network in pool], [], CHOSEN)
        [chosen_error] = learning_curve(pool, chosen, [CHOSEN], test)
        [random_error] = learning_curve(pool, list(range(CHOSEN)), [CHOSEN], test)
        chosen_errors.append(chosen_error)
        random_errors.append(random_error)
        ratios.append(chosen_error / random_error)
    resampled = np.random.default_rng(0).choice(ratios, (10_000, len(ratios))).mean(axis=1)
    report(
        "active.error_ratio",
        round(float(np.mean(ratios)), 3),
        "ratio",
        None,
        interval_90=np.quantile(resampled, (0.05, 0.95)).round(3).tolist(),
        mean_error_chosen_pct=round(100 * float(np.mean(chosen_errors)), 2),
        mean_error_random_pct=round(100 * float(np.mean(random_errors)), 2),
        draws=DRAWS,
        candidates=CANDIDATES,
        seed=SEED,
    )


if __name__ == "__main__":
    main()
