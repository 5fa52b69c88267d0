"""active.measurements_saved: the share of measurements that choosing networks saves.

The comparison is with random networks at the same error. Networks that the lab's default target
has not measured yet are measured first.

python -m tests.bench.bench_active [POOL TEST]: the numbers of networks to learn from and to test
on, by default 60 60.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from latency_models.active_selection import most_informative
from latency_models.evaluate import metrics
from latency_models.kernel_predictor import KernelPredictor
from latency_models.packing import pack
from latlab.domain.measured_network import MeasuredNetwork
from search.latency.calibration import random_networks
from search.latency.networks import export_spec
from search.space.space import mnasnet_space
from tests.bench.figures import report
from tests.bench.real_lab import real_lab

SEED = 20265
DRAWS = 5
SIZES = (8, 10, 12, 15, 20, 25, 30, 40, 50, 60)
MATCHED = 30  # chosen networks must reach the error of so many random ones


def main() -> None:
    pool_size, test_size = map(int, sys.argv[1:] or ("60", "60"))
    # The first network is the reference, which is not random.
    networks = random_networks(mnasnet_space(), 1 + pool_size + test_size)[1:]
    specs = list(map(export_spec, networks))
    with real_lab() as opened:
        measured = opened.measured(specs)
    pool = [network for network in measured[:pool_size] if network]
    steadying = KernelPredictor.fit(pool).steadying
    test = [steadying(network) for network in measured[pool_size:] if network]
    sizes = [size for size in SIZES if size <= len(pool)]
    chosen = most_informative([network.kernels for network in pool], [], len(pool))
    rng = np.random.default_rng(SEED)
    draws = [rng.permutation(len(pool)).tolist() for _ in range(DRAWS)]
    chosen_errors = learning_curve(pool, chosen, sizes, test)
    random_errors = np.mean([learning_curve(pool, draw, sizes, test) for draw in draws], axis=0)
    matched = min(MATCHED, sizes[-1])
    needed = size_for(random_errors[sizes.index(matched)], sizes, chosen_errors)
    report(
        "active.measurements_saved",
        round(1 - needed / matched, 3),
        "share",
        None,
        target=opened.target.name,
        pool=len(pool),
        test=len(test),
        random_draws=DRAWS,
        seed=SEED,
        matched=f"the error of {matched} random networks",
        networks=sizes,
        mean_error_chosen_pct=[round(100 * error, 2) for error in chosen_errors],
        mean_error_random_pct=[round(100 * error, 2) for error in random_errors],
    )


def learning_curve(
    pool: Sequence[MeasuredNetwork],
    order: Sequence[int],
    sizes: Sequence[int],
    test: Sequence[MeasuredNetwork],
) -> list[float]:
    """Return the mean relative error on `test` after fitting on the first networks in `order`."""
    measured_ns = np.array([network.latency_ns for network in test])
    packed = pack(network.kernels for network in test)
    errors = []
    for size in sizes:
        estimates = KernelPredictor.fit([pool[row] for row in order[:size]]).predict(*packed, 0)
        predicted_ns = np.array([float(estimate.latency_ns) for estimate in estimates])
        errors.append(metrics(measured_ns, predicted_ns).mean_error)
    return errors


def size_for(error: float, sizes: Sequence[int], errors: Sequence[float]) -> float:
    """Return how many networks reach the error, interpolated between sizes.

    It is the smallest size if that reaches the error already, and the largest size if none does.
    """
    best_yet = np.minimum.accumulate(errors)
    return float(np.interp(error, best_yet[::-1], sizes[::-1]))


if __name__ == "__main__":
    main()
