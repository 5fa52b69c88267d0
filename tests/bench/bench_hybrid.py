"""search.hybrid_*: the loss of measuring a few candidates compared with measuring all.

The candidates are from Accel-NASBench's space, with accuracies fitted on its table. The devices
are simulated, with latencies fitted on the table, and the product's own predictor learns them.
A search is scored by the hypervolume of the networks that it would name, at their true latencies,
as a share of the hypervolume of all its candidates. The controls are a search whose candidates
are all measured, one that measures as many at random, and one that names the front as predicted.

python -m tests.bench.bench_hybrid
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from search.study.front import front
from search.study.pareto import hypervolume, reference_point
from search.study.settings import LoopSettings
from search.study.trial import attempts
from tests.bench.figures import Goal, at_least, at_most, quick, report
from tests.bench.learning_table_lab import CALIBRATION
from tests.bench.public_data import public_data
from tests.bench.table_search import Searched, Table, mean_with_interval, search

SEEDS = range(quick(10, 2))
CANDIDATES = 300
ROUND_SIZE = 20
ROUNDS = CANDIDATES // ROUND_SIZE
MEASURED_SHARE = 0.15  # measured networks over candidates, calibration included
MEASUREMENTS = int(MEASURED_SHARE * CANDIDATES) - CALIBRATION


def main() -> None:
    path = public_data("anb_dev.csv")
    if path is None:
        return
    torch.set_num_threads(1)
    table = Table.of(path)
    hybrids, at_random, as_predicted, against_all = [], [], [], []
    attempted = 0
    for seed in SEEDS:
        hybrid = searched(table, seed, LoopSettings(ROUNDS, 1, max_measurements=MEASUREMENTS))
        hybrids.append(hybrid.hypervolume_share(hybrid.measured_front))
        attempted += CALIBRATION + sum(map(attempts, hybrid.trials))
        predicted = searched(table, seed, LoopSettings(ROUNDS, max_measured_share=0))
        drawn = np.random.default_rng(seed).permutation(len(predicted.trials))[:MEASUREMENTS]
        at_random.append(predicted.hypervolume_share([predicted.trials[i] for i in drawn]))
        as_predicted.append(predicted.hypervolume_share(front(predicted.trials)))
        every = LoopSettings(ROUNDS, max_measured_share=1, final_share=0)
        against_all.append(compared(hybrid, searched(table, seed, every, learns=False)))
    conditions = {"candidates": CANDIDATES, "calibration": CALIBRATION, "strategy": "ppo"}
    show("search.hybrid_hv_share", hybrids, at_least(0.99), conditions)
    report(
        "search.hybrid_measured_share",
        round(attempted / CANDIDATES / len(SEEDS), 4),
        "share",
        at_most(MEASURED_SHARE),
        **conditions,
    )
    show("search.random_measured_hv_share", at_random, None, conditions)
    show("search.predicted_only_hv_share", as_predicted, None, conditions)
    show("search.hybrid_hv_against_all_measured", against_all, None, conditions)


def searched(table: Table, seed: int, loop: LoopSettings, *, learns: bool = True) -> Searched:
    return search(table, seed, loop, round_size=ROUND_SIZE, learns=learns)


def compared(one: Searched, other: Searched) -> float:
    """Return the ratio of two searches' hypervolumes, from the reference point of both."""
    (some, some_ns), (others, others_ns) = (each.points(each.trials) for each in (one, other))
    reference = reference_point([*some, *others], [*some_ns, *others_ns])
    volumes = [hypervolume(*each.points(each.measured_front), *reference) for each in (one, other)]
    return volumes[0] / volumes[1]


def show(
    name: str, shares: Sequence[float], goal: Goal | None, conditions: Mapping[str, object]
) -> None:
    mean, interval = mean_with_interval(shares)
    report(
        name,
        round(mean, 4),
        "share",
        goal,
        interval_95=[round(bound, 4) for bound in interval],
        each=[round(share, 4) for share in shares],
        **conditions,
    )


if __name__ == "__main__":
    main()
