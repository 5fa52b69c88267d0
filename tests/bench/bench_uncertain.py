"""search.uncertain_gain: what it brings to measure uncertain candidates in the rounds.

Of the measurements of a round, a share goes to the candidates from which a measurement is expected
to add most to the front, which takes their uncertainty into account. Without it, random candidates
get the share. Both arms search on Accel-NASBench's table for simulated devices, which the product's
own predictor learns, and may measure equally many. The gain is that of hypervolume per measurement,
of the measured front at true latencies: the arm with the share over the one without, less 1, paired
by seed. At the end a search measures until no other candidate may be on the front, so the arms
differ in how many measurements that takes. The second figure is for searches that measure in their
rounds alone. There the arms measure equally many, and differ in what these find.

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
ROUND_SIZE = 20
WHOLE = LoopSettings(CANDIDATES // ROUND_SIZE)  # the product's defaults
LARGE_ROUND_SIZE = 60  # so that each round measures some of each kind, though they are few
ROUNDS_ALONE = LoopSettings(
    CANDIDATES // LARGE_ROUND_SIZE, max_measured_share=1, final_share=0, max_measurements=30
)
ABOVE_ZERO = at_least(1e-6)


def main() -> None:
    path = public_data("anb_dev.csv")
    if path is None:
        return
    torch.set_num_threads(1)
    table = Table.of(path)
    show("search.uncertain_gain", table, WHOLE, ROUND_SIZE)
    show("search.uncertain_gain_in_rounds", table, ROUNDS_ALONE, LARGE_ROUND_SIZE)


def show(name: str, table: Table, loop: LoopSettings, round_size: int) -> None:
    """Report the mean gain, and whether its interval lies above zero."""
    gains, on, off = [], [], []
    for seed in SEEDS:
        on.append(searched(table, seed, loop, round_size))
        with patch("search.round_choice.split", without_uncertain):
            off.append(searched(table, seed, loop, round_size))
        gains.append(per_measurement(on[-1]) / per_measurement(off[-1]) - 1)
    mean, interval = mean_with_interval(gains)
    conditions = {
        "interval_95": [round(bound, 4) for bound in interval],
        "each": [round(gain, 4) for gain in gains],
        "hypervolume_shares": [mean_share(on), mean_share(off)],
        "measured": [fmean(len(each.measured) for each in arm) for arm in (on, off)],
        "candidates": CANDIDATES,
        "final_share": loop.final_share,
    }
    report(name, round(mean, 4), "share", None, **conditions)
    report(f"{name}_at_least", round(interval[0], 4), "share", ABOVE_ZERO)


def mean_share(arm: list[Searched]) -> float:
    return round(fmean(each.hypervolume_share(each.measured_front) for each in arm), 4)


def per_measurement(searched: Searched) -> float:
    """Return the hypervolume share of the measured front for each measurement."""
    return searched.hypervolume_share(searched.measured_front) / len(searched.measured)


def searched(table: Table, seed: int, loop: LoopSettings, round_size: int) -> Searched:
    # Random candidates are the same in both arms, whatever is measured.
    return search(table, seed, loop, round_size=round_size, strategy=StrategyName.RANDOM)


def without_uncertain(n: int) -> tuple[int, int, int]:
    """Give the share of the uncertain candidates to random ones."""
    top_k, uncertain_k, random_k = split(n)
    return top_k, 0, random_k + uncertain_k


if __name__ == "__main__":
    main()
