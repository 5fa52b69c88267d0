"""Simulated visits of machines that have moods, from which the margins of intervals come.

python -m tests.host.measuring.simulated_visits     prints the table `MARGINS` of host/measuring

Each machine has visits that differ by chance, moods that last several visits, and perhaps single
visits that something slowed down. All of these are drawn anew for each machine, so that margins
that hold on average hold for machines that nobody has seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.measuring.interval import LEAST_SPREAD, QUANTILE, relative_spread

FloatArray = NDArray[np.float64]

VISITS = 3_000  # of each machine: its truth
TYPICAL_SPREAD = 0.02
MOOD_VISITS = (2.0, 30.0)  # no recorded machine was without moods
FIT_SEED, FIT_MACHINES, FIT_WINDOWS = 1, 1_500, 40
SIZES = (1, 2, 3, 4, 6, 8, 11, 15, 20, 30, 50, 100, 200)


def machine(rng: np.random.Generator) -> FloatArray:
    """Return (VISITS,) the latencies of one network on one machine, in order, in ns."""
    spread = TYPICAL_SPREAD * np.exp(rng.normal(0, 0.7))
    share = rng.uniform()  # of the spread that is due to moods
    mean_length = float(np.exp(rng.uniform(*np.log(MOOD_VISITS))))
    count = round(3 * VISITS / mean_length) + 60
    levels = _levels(rng, count)
    moods = np.repeat(levels, rng.geometric(1 / mean_length, count))[:VISITS]
    slower = spread * (share * moods + (1 - share) * _noise(rng))
    if rng.uniform() < 0.5:
        is_hit = rng.uniform(size=VISITS) < rng.uniform(0, 0.15)
        slower += is_hit * rng.exponential(10 * spread, VISITS)
    latencies_ns: FloatArray = 1e7 * np.exp(slower)
    return latencies_ns


def windows(
    machines: list[FloatArray], size: int, count: int, rng: np.random.Generator
) -> FloatArray:
    """Return (machines, count, size) consecutive visits, from where the generator says."""
    starts = rng.integers(0, VISITS - size, (len(machines), count))
    rows = starts[:, :, None] + np.arange(size)
    return np.stack([each[row] for each, row in zip(machines, rows, strict=True)])


def truth_ns(latencies_ns: FloatArray) -> float:
    """Return the quiet latency of a whole series."""
    return float(np.quantile(latencies_ns, QUANTILE))


def main() -> None:
    """Fit the margins for each number of clean visits, 5 % of the truth beyond each, and print."""
    rng = np.random.default_rng(FIT_SEED)
    machines = [machine(rng) for _ in range(FIT_MACHINES)]
    truths_ns = np.array(list(map(truth_ns, machines)))
    for size in SIZES:
        drawn = windows(machines, size, FIT_WINDOWS, rng)
        latencies_ns = np.quantile(drawn, QUANTILE, axis=-1)
        spreads = np.apply_along_axis(relative_spread, -1, drawn)
        errors = np.log(truths_ns[:, None] / latencies_ns) / (spreads + LEAST_SPREAD)
        below, above = np.quantile(errors, (0.05, 0.95))
        print(f"    ({size}, {-below:.3g}, {above:.3g}),")


def _levels(rng: np.random.Generator, count: int) -> Any:  # noqa: ANN401 -- an array
    match rng.integers(3):
        case 0:
            return rng.exponential(1, count)
        case 1:  # a fast and a slow one
            return (rng.uniform(size=count) < rng.uniform(0.2, 0.8)) * rng.uniform(1, 3)
        case _:
            return rng.normal(0, 1, count)


def _noise(rng: np.random.Generator) -> FloatArray:
    match rng.integers(3):
        case 0:
            return rng.normal(0, 1, VISITS)
        case 1:
            return rng.exponential(1, VISITS)
        case _:
            return rng.lognormal(0, 0.8, VISITS)


if __name__ == "__main__":
    main()
