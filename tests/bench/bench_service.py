"""service.predict_networks_per_s: predictions through the lab's API, 10,000 in a message.

python -m tests.bench.bench_service
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from search.space.kernels import kernels
from search.space.space import mnasnet_space
from tests.bench.figures import report
from tests.bench.real_lab import calibrated

SEED = 20261
NETWORKS = 10_000
CALLS = 5


def main() -> None:
    rng = np.random.default_rng(SEED)
    space = mnasnet_space()
    networks = [kernels(space.resolve(space.sample(rng))) for _ in range(NETWORKS)]
    calls_s = []
    with calibrated(16) as (client, target):
        client.predict(target.id, networks[:1])  # fits the predictor, which is not timed
        for _ in range(CALLS):
            start_s = time.perf_counter()
            client.predict(target.id, networks)
            calls_s.append(time.perf_counter() - start_s)
    report(
        "service.predict_networks_per_s",
        round(NETWORKS / statistics.median(calls_s)),
        "networks/s",
        None,
        networks_a_call=NETWORKS,
        calls=CALLS,
        seed=SEED,
    )


if __name__ == "__main__":
    main()
