"""predict.one_ms, predict.networks_per_s: how quickly fresh random architectures are predicted.

Their kernels are extracted within the time. One network at a time is predicted in this process,
and batches through the lab's API. The lab's default target is calibrated first if it is not yet.

python -m tests.bench.bench_predict_speed
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import numpy as np

from latency_models.kernel_predictor import KernelPredictor
from latency_models.packing import pack
from search.space.architecture import Architecture
from search.space.kernels import kernels
from search.space.space import mnasnet_space
from tests.bench.figures import at_least, at_most, quick, report
from tests.bench.real_lab import calibrated

SEED = 20262
ONES = quick(500, 50)
BATCH, BATCHES = 1_000, quick(20, 3)


def main() -> None:
    fresh = fresh_networks()
    with calibrated(16) as (client, target):
        predictor = KernelPredictor.fit(client.measured_networks(target.id))
        ones_s = []
        for _ in range(ONES):
            network = next(fresh)
            start_s = time.perf_counter()
            predictor.predict(*pack([kernels(network)]), now_unix_ns=0)
            ones_s.append(time.perf_counter() - start_s)
        client.predict(target.id, [kernels(next(fresh))])  # fits the predictor
        batches_s = []
        for _ in range(BATCHES):
            batch = [next(fresh) for _ in range(BATCH)]
            start_s = time.perf_counter()
            client.predict(target.id, list(map(kernels, batch)))
            batches_s.append(time.perf_counter() - start_s)
    report(
        "predict.one_ms",
        round(1e3 * statistics.median(ones_s), 3),
        "ms",
        at_most(0.8),
        p99_ms=round(1e3 * float(np.quantile(ones_s, 0.99)), 3),
        networks=ONES,
        seed=SEED,
    )
    rates = [BATCH / batch_s for batch_s in batches_s]
    report(
        "predict.networks_per_s",
        round(statistics.median(rates)),
        "networks/s",
        at_least(20_000),
        slowest=round(min(rates)),
        fastest=round(max(rates)),
        networks_a_call=BATCH,
        calls=BATCHES,
        seed=SEED,
    )


def fresh_networks() -> Iterator[Architecture]:
    """Yield random architectures of the space, seldom one twice."""
    rng, space = np.random.default_rng(SEED), mnasnet_space()
    while True:
        yield space.resolve(space.sample(rng))


if __name__ == "__main__":
    main()
