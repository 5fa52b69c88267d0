"""supernet.*: whether networks cut out of a supernet rank as those trained from scratch.

python -m tests.bench.bench_supernet

Found on networks of seed 100, on digits at 16 pixels, beside proxy trainings of seeds 0 and 1,
which agree with a tau of 0.65 (90 % interval 0.56 to 0.73, 64 networks; of 8 epochs instead of 2,
0.73 over 44). Over 48 networks, with the ten steps of each by itself, and without where it says so:

  0.52, 0.40  this training, 6 epochs; without the steps 0.00
  0.24        12 epochs; without -0.02
  0.53        four networks a step on labels alone, each choice equally often, 6 epochs
  0.46        the same, 12 epochs; 20 epochs 0.37
  0.48, 0.51  the same, 10 epochs, kinds of skips share no weights; without 0.14, 0.15
  0.45, 0.39  random weights, no supernet; without 0.24
  0.50, 0.48  random weights, 42 steps: half a proxy training

So what a supernet adds is within chance, and the longer it trains on so few images, the less its
weights suit any one network. About 20 variants were looked at. Few networks mislead: before there
were those steps, where 24 gave a tau of 0.42, all 96 together gave 0.19, after 35 epochs.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from search.accuracy.agreement import agreement_where_both
from search.accuracy.datasets import load_dataset
from search.accuracy.proxy import ProxyAccuracy
from search.accuracy.supernet_training import SupernetAccuracy, SupernetBudget, train_supernet
from search.accuracy.training import AccuracyFailure, ProxyBudget
from search.space import mnasnet_space
from tests.bench.figures import report

NETWORKS = 24
RESOLUTION = 16  # twice that of the images
SEED = 20265  # the budget was chosen on networks of seed 100

Outcome = float | AccuracyFailure


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
        random = train_supernet(
            space, dataset, task, replace(budget, epochs=0), Path(folder) / "random"
        )
    start_s = time.perf_counter()
    shared = SupernetAccuracy(supernet, dataset).evaluate(networks)
    evaluate_s = (time.perf_counter() - start_s) / NETWORKS
    untrained = SupernetAccuracy(random, dataset).evaluate(networks)
    start_s = time.perf_counter()
    alone = ProxyAccuracy(dataset, task).evaluate(networks)
    proxy_s = (time.perf_counter() - start_s) / NETWORKS
    found, control = agreement_where_both(shared, alone), agreement_where_both(untrained, alone)
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
        mean_accuracy=mean(shared),
        mean_proxy_accuracy=mean(alone),
        **conditions,
    )
    report(
        "supernet.kendall_untrained",
        round(control.kendall, 3),
        "tau",
        None,
        interval_90=[round(control.lower, 3), round(control.upper, 3)],
        mean_accuracy=mean(untrained),
        **conditions,
    )
    report("supernet.train_s", round(train_s), "s", None, epochs=budget.epochs, **conditions)
    report("supernet.evaluate_s", round(evaluate_s, 3), "s", "< 1", **conditions)
    report("supernet.proxy_s", round(proxy_s, 2), "s", None, **conditions)


def mean(outcomes: list[Outcome]) -> float:
    return round(statistics.fmean(each for each in outcomes if isinstance(each, float)), 3)


if __name__ == "__main__":
    main()
