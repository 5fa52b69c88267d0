"""zoo.*: parameters and multiply-adds of the published networks, to the digit.

python -m tests.bench.bench_zoo
"""

from __future__ import annotations

from search.space.counts import counts
from search.space.zoo import ZOO
from tests.bench.figures import exactly, report, within

# Parameters and millions of multiply-adds.
GOALS = {
    "a1": ("mnasnet-a1", 3_887_038, 311.6),
    "b1": ("mnasnet-b1", 4_383_312, 314.4),
    "small": ("mnasnet-small", 2_030_264, 68.3),
    "mbv2": ("mobilenet-v2", 3_504_872, 300.8),
}


def main() -> None:
    for short, (name, parameters, multiply_adds_m) in GOALS.items():
        counted = counts(ZOO[name])
        madds_m = round(counted.multiply_adds / 1e6, 1)
        for figure, value, unit, goal in (
            ("params", counted.parameters, "parameters", exactly(parameters)),
            ("madds_m", madds_m, "million multiply-adds", within(multiply_adds_m, 0.05)),
        ):
            conditions = {"network": name, "resolution": 224, "classes": 1000}
            report(f"zoo.{short}_{figure}", value, unit, goal, **conditions)


if __name__ == "__main__":
    main()
