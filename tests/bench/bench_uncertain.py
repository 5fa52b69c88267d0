"""search.uncertain_gain: what it brings to measure uncertain candidates in the rounds.

Of the measurements of a round, a share goes to the candidates from which a measurement is expected
to add most to the front, which takes their uncertainty into account. Without it, random candidates
get the share. Both arms search on Accel-NASBench's table for simulated devices, which the product's
own predictor learns, and may measure equally many. The gain is that of hypervolume per measurement,
of the measured front at true latencies: the arm with the share over the one without, less 1, paired
by seed. The second figure is for searches that keep no measurements for the front at their end.

python -m tests.bench.bench_uncertain
"""

from __future__ import annotations

from statistics import fmean
from unittest.mock import patch

import torch

from search.latency.selection import split
from search.study.settings import LoopSettings, StrategyName
from tests.bench.figures import at_least, quick, report
from tests.bench.public_data import public_data
from tests.bench.table_search import Searched, Table, mean_with_interval, search

SEEDS = range(quick(20, 2))
CANDIDATES = 300
ROUND_SIZE = 60  # so that every round measures some of each kind
MEASUREMENTS = 30
FINAL_SHARE = LoopSettings().final_share
ABOVE_ZERO = at_least(1e-6)


def main() -> None:
    path = public_data("anb_dev.csv")
    if path is None:
        return
    torch.set_num_threads(1)
    table = Table.of(path)
    show("search.uncertain_gain", table, FINAL_SHARE)
    show("search.uncertain_gain_in_rounds", table, 0.0)


def show(name: str, table: Table, final_share: float) -> None:
    """Report the mean gain, and whether its interval lies above zero."""
    gains, on_shares, off_shares = [], [], []
    for seed in SEEDS:
        on = searched(table, seed, final_share)
        with patch("search.loop.split", without_uncertain):
            off = searched(table, seed, final_share)
        gains.append(per_measurement(on) / per_measurement(off) - 1)
        on_shares.append(on.hypervolume_share(on.measured_front))
        off_shares.append(off.hypervolume_share(off.measured_front))
    mean, interval = mean_with_interval(gains)
    conditions = {
        "interval_95": [round(bound, 4) for bound in interval],
        "each": [round(gain, 4) for gain in gains],
        "hypervolume_share_on": round(fmean(on_shares), 4),
        "hypervolume_share_off": round(fmean(off_shares), 4),
        "candidates": CANDIDATES,
        "measurements": MEASUREMENTS,
        "final_share": final_share,
    }
    report(name, round(mean, 4), "share", None, **conditions)
    report(f"{name}_at_least", round(interval[0], 4), "share", ABOVE_ZERO)


def per_measurement(searched: Searched) -> float:
    """Return the hypervolume share of the measured front for each measurement."""
    return searched.hypervolume_share(searched.measured_front) / len(searched.measured)


def searched(table: Table, seed: int, final_share: float) -> Searched:
    loop = LoopSettings(CANDIDATES // ROUND_SIZE, 1, final_share, max_measurements=MEASUREMENTS)
    return search(table, seed, loop, round_size=ROUND_SIZE, strategy=StrategyName.RANDOM)


def without_uncertain(n: int) -> tuple[int, int, int]:
    """Give the share of the uncertain candidates to random ones."""
    top_k, uncertain_k, random_k = split(n)
    return top_k, 0, random_k + uncertain_k


if __name__ == "__main__":
    main()
