"""supernet.*: whether networks cut out of a supernet rank as those trained from scratch.

python -m tests.bench.bench_supernet

Found on networks of seed 100, on digits at 16 pixels, beside proxy trainings of seeds 0 and 1,
which agree with a tau of 0.65 (90 % interval 0.56 to 0.73, 64 networks; of 8 epochs instead of 2,
0.73 over 44). Over 48 networks, with the ten steps of each by itself:

  0.52, 0.40  this training, 6 epochs
  0.52, 0.47  four networks a step on labels alone, each choice equally often, 10 epochs
  0.48, 0.51  the same, kinds of skips share no weights; without the ten steps 0.14, 0.15
  0.45, 0.39  random weights, no supernet: of the differences from these all are within chance
  0.50, 0.48  random weights, 42 steps: half a proxy training

Few networks mislead: before there were those steps, where 24 gave a tau of 0.42, all 96 together
gave 0.19 (0.08 to 0.28), after 35 epochs.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from search.accuracy.agreement import agreement
from search.accuracy.datasets import load_dataset
from search.accuracy.proxy import ProxyAccuracy
from search.accuracy.supernet_training import SupernetAccuracy, SupernetBudget, train_supernet
from search.accuracy.training import ProxyBudget
from search.space import mnasnet_space
from tests.bench.figures import report

NETWORKS = 24
RESOLUTION = 16  # twice that of the images
SEED = 20265  # the budget was chosen on networks of seed 100


def main() -> None:
    task, budget, space = ProxyBudget(resolution=RESOLUTION), SupernetBudget(), mnasnet_space()
    dataset = load_dataset(
        "digits",
        resolution=task.resolution,
        train_images=task.train_images,
        val_images=task.val_images,
    )
    rng = np.random.default_rng(SEED)
    networks = [space.resolve(space.sample(rng)) for _ in range(NETWORKS)]
    with tempfile.TemporaryDirectory(prefix="latlab-supernet-") as folder:
        start_s = time.perf_counter()
        supernet = train_supernet(space, dataset, task, budget, Path(folder) / "supernet")
        train_s = time.perf_counter() - start_s
    start_s = time.perf_counter()
    shared = SupernetAccuracy(supernet, dataset).evaluate(networks)
    evaluate_s = (time.perf_counter() - start_s) / NETWORKS
    start_s = time.perf_counter()
    alone = ProxyAccuracy(dataset, task).evaluate(networks)
    proxy_s = (time.perf_counter() - start_s) / NETWORKS
    pairs = [
        (one, other)
        for one, other in zip(shared, alone, strict=True)
        if isinstance(one, float) and isinstance(other, float)
    ]
    found = agreement(*zip(*pairs, strict=True))
    conditions = {
        "resolution": RESOLUTION,
        "data": dataset.note,
        "networks": found.networks,
        "seed": SEED,
    }
    report(
        "supernet.kendall",
        round(found.kendall, 3),
        "tau",
        "interval above 0",
        interval_90=[round(found.lower, 3), round(found.upper, 3)],
        mean_accuracy=round(statistics.fmean(one for one, _ in pairs), 3),
        mean_proxy_accuracy=round(statistics.fmean(other for _, other in pairs), 3),
        **conditions,
    )
    report("supernet.train_s", round(train_s), "s", None, epochs=budget.epochs, **conditions)
    report("supernet.evaluate_s", round(evaluate_s, 3), "s", "< 1", **conditions)
    report("supernet.proxy_s", round(proxy_s, 2), "s", None, **conditions)


if __name__ == "__main__":
    main()
