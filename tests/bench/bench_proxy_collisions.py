"""search.proxy_collisions: different candidates that the proxy task trains as equal networks.

python -m tests.bench.bench_proxy_collisions
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from search.space.architecture import Architecture
from search.space.space import SPACES, Space
from search.study.settings import ProxyBudget
from tests.bench.figures import exactly, quick, report
from tests.search.space.families import are_equal, neighbours

PAIRS = 2_000
NETWORKS = 50  # whose neighbours by one decision are all compared with them
BUDGET = ProxyBudget()
# What studies of earlier versions train, for comparison.
EARLIER = replace(BUDGET, resolution=32, distinct_networks=False)


def main() -> None:
    for space in SPACES.values():
        pairs, near = random_pairs(space, quick(PAIRS)), neighbouring_pairs(space, quick(NETWORKS))
        found = {
            name: [sum(are_equal(*pair, budget) for pair in each) for each in (pairs, near)]
            for name, budget in (("now", BUDGET), ("earlier", EARLIER))
        }
        report(
            "search.proxy_collisions",
            sum(found["now"]),
            "pairs",
            exactly(0),
            space=space.name,
            random_pairs=len(pairs),
            neighbours=len(near),
            of_random_and_neighbours=found["now"],
            in_earlier_versions=found["earlier"],
        )


def random_pairs(space: Space, count: int) -> list[tuple[Architecture, Architecture]]:
    rng = np.random.default_rng(0)
    return [
        (space.resolve(space.sample(rng)), space.resolve(space.sample(rng))) for _ in range(count)
    ]


def neighbouring_pairs(space: Space, count: int) -> list[tuple[Architecture, Architecture]]:
    rng = np.random.default_rng(1)
    drawn = [space.sample(rng) for _ in range(count)]
    return [
        (space.resolve(choices), neighbour)
        for choices in drawn
        for neighbour in neighbours(space, choices)
    ]


if __name__ == "__main__":
    main()
