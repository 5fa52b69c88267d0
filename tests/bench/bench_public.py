"""anb.*, nb201.*: how well published latencies are ranked from a few of them.

The predictor knows the networks' architectures and a few of their latencies, but no kernel times
and no other device. Its code is the same for all tables. The control is a ridge regression on the
one-hot decisions.

python -m tests.bench.bench_public
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau
from sklearn.linear_model import RidgeCV

from latency_models.packing import pack
from latency_models.whole_network_predictor import WholeNetworkPredictor
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork, Structure
from search.space.architecture import Architecture, Block
from search.space.kernels import kernels
from tests.bench import nas_bench_201
from tests.bench.figures import Goal, at_least, quick, report, within
from tests.bench.public_data import public_data

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DRAWS = quick(20, 2)
DRAWS_OF_OTHERS = quick(5, 2)  # of the 19 devices beside the phones
FIRST_SEED = 20_261_129  # no development has used these draws
COVERAGE = within(0.90, 0.03)

# Development used half of the networks, and the figures come from the other half.
HALVES_SEED = 1801
HELD_OUT = 600

ACCEL_NAS_BENCH = {30: at_least(0.96), 100: at_least(0.988), 300: at_least(0.993)}
CHANNELS = (16, 24, 40, 80, 112, 192, 320)
STRIDES = (1, 2, 2, 2, 1, 2, 1)

PHONES = {
    "pixel3": at_least(0.875),
    "samsung_a50": at_least(0.94),
    "samsung_s7": at_least(0.84),
    "essential_ph_1": at_least(0.82),
}
FEW, MANY = 100, 614
LEARNING = (30, 300, 2_000)  # beside FEW and MANY, for the phones
LEARNING_DRAWS = quick(3, 1)


@dataclass(frozen=True)
class Table:
    """Published latencies, one for each network."""

    networks: Sequence[tuple[Kernel, ...]]
    structures: Sequence[Structure | None]
    latencies_ns: FloatArray

    def measured(self, row: int) -> MeasuredNetwork:
        """Return one network as measured; the tables have no errors of latencies."""
        latency_ns = float(self.latencies_ns[row])
        return MeasuredNetwork(
            self.networks[row],
            None,
            latency_ns,
            latency_ns,
            latency_ns,
            unix_ns=0,
            structure=self.structures[row],
        )


@dataclass(frozen=True)
class Score:
    """How well one draw's held-out networks are ranked, and the share inside their intervals."""

    kendall: float
    coverage: float
    seconds: float


def main() -> None:
    if path := public_data("anb_dev.csv"):
        accel_nas_bench(path)
    if path := public_data("nb201_dev.npz"):
        nas_bench(path)


def accel_nas_bench(path: Path) -> None:
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["latency_zcu102_mean"]]
    latencies_ns = 1e6 * np.array([float(row["latency_zcu102_mean"]) for row in rows])
    table = Table([*map(mnasnet_like, rows)], [*map(block_decisions, rows)], latencies_ns)
    _, final = halves(len(rows))
    for size, goal in ACCEL_NAS_BENCH.items():
        scores = [score(table, *drawn) for drawn in draws(final, size)]
        show(f"anb.zcu102_n{size}", scores, goal)


def nas_bench(path: Path) -> None:
    """Report the phones' figures, and the worst of all devices."""
    with np.load(path, allow_pickle=False) as data:
        devices, latencies_ns = data["devices"].tolist(), 1e6 * data["latency_ms"]
    _, final = halves(len(latencies_ns))
    against_ridge, learning = {}, {}
    for column, device in enumerate(devices):
        table = Table(*nas_bench_networks(path), latencies_ns[:, column])
        goal = PHONES.get(device)
        count = DRAWS_OF_OTHERS if goal is None else DRAWS
        few, many = ([score(table, *rows) for rows in draws(final, n, count)] for n in (FEW, MANY))
        ridges = [[ridge(table, *rows) for rows in draws(final, n, count)] for n in (FEW, MANY)]
        gains = [mean_kendall(few) - fmean(ridges[0]), mean_kendall(many) - fmean(ridges[1])]
        against_ridge[device] = min(gains)
        learning[device] = mean_kendall(many) - mean_kendall(few)
        show(f"nb201.{device}_n{FEW}", few, None, ridge=round(fmean(ridges[0]), 4))
        show(f"nb201.{device}_n{MANY}", many, goal, ridge=round(fmean(ridges[1]), 4))
        if goal is not None:
            for size in LEARNING:
                drawn = [score(table, *rows) for rows in draws(final, size, LEARNING_DRAWS)]
                show(f"nb201.{device}_n{size}", drawn, None)
    report_worst("nb201.worst_against_ridge", against_ridge, at_least(-0.005))
    report_worst("nb201.worst_learning", learning, at_least(0.0))


@cache
def nas_bench_networks(path: Path) -> tuple[list[tuple[Kernel, ...]], list[Structure]]:
    with np.load(path, allow_pickle=False) as data:
        cells = data["ops"][data["arch_ops"]].tolist()
    return [*map(nas_bench_201.kernels, cells)], [*map(nas_bench_201.structure, cells)]


def halves(networks: int) -> tuple[IntArray, IntArray]:
    """Return the rows for development, and those for the figures."""
    order = np.random.default_rng(HALVES_SEED).permutation(networks)
    development, final = np.split(order, [networks // 2])
    return development, final


def seeds(count: int = DRAWS) -> range:
    return range(FIRST_SEED, FIRST_SEED + count)


def draws(rows: IntArray, size: int, count: int = DRAWS) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield, for each seed, the rows to learn from and others to predict."""
    for seed in seeds(count):
        order = np.random.default_rng(seed).permutation(rows)
        yield order[:size], order[size : size + HELD_OUT]


def score(table: Table, train: IntArray, held_out: IntArray) -> Score:
    start_s = time.perf_counter()
    predictor = WholeNetworkPredictor.fit([table.measured(row) for row in train])
    fitted_s = time.perf_counter() - start_s
    estimates = predictor.predict(
        *pack(table.networks[row] for row in held_out),
        now_unix_ns=0,
        structures=[table.structures[row] for row in held_out],
    )
    truths_ns = table.latencies_ns[held_out]
    inside = [e.lower_ns <= ns <= e.upper_ns for e, ns in zip(estimates, truths_ns, strict=True)]
    return Score(kendall([e.latency_ns for e in estimates], truths_ns), fmean(inside), fitted_s)


def ridge(table: Table, train: IntArray, held_out: IntArray) -> float:
    """Return the Kendall of a ridge regression on the one-hot decisions."""
    decisions = [structure.decisions for structure in table.structures if structure]
    columns = {
        decision: i for i, decision in enumerate(sorted({d for ds in decisions for d in ds}))
    }
    one_hot = np.zeros((len(decisions), len(columns)))
    for row, made in enumerate(decisions):
        one_hot[row, [columns[decision] for decision in made]] = 1.0
    model = RidgeCV(np.logspace(-3, 3, 13)).fit(one_hot[train], table.latencies_ns[train])
    return kendall(model.predict(one_hot[held_out]), table.latencies_ns[held_out])


def kendall(predicted_ns: Sequence[float] | FloatArray, truths_ns: FloatArray) -> float:
    return float(kendalltau(predicted_ns, truths_ns).statistic)


def mean_kendall(scores: Sequence[Score]) -> float:
    return fmean(each.kendall for each in scores)


def show(name: str, scores: Sequence[Score], goal: Goal | None, **conditions: object) -> None:
    """Report the mean over draws, with its 90 % interval, and how many intervals hold."""
    kendalls = [each.kendall for each in scores]
    resampled = np.random.default_rng(0).choice(kendalls, (10_000, len(kendalls))).mean(axis=1)
    report(
        f"{name}_kendall",
        round(fmean(kendalls), 4),
        "tau",
        goal,
        interval_90=np.quantile(resampled, (0.05, 0.95)).round(4).tolist(),
        draws=len(scores),
        fit_s=round(fmean(each.seconds for each in scores), 2),
        **conditions,
    )
    coverage = fmean(each.coverage for each in scores)
    report(f"{name}_coverage", round(coverage, 4), "share", COVERAGE if goal else None)


def report_worst(name: str, by_device: Mapping[str, float], goal: Goal) -> None:
    worst = min(by_device, key=lambda device: by_device[device])
    rounded = {device: round(value, 4) for device, value in by_device.items()}
    report(name, round(by_device[worst], 4), "tau", goal, device=worst, devices=rounded)


def mnasnet_like(row: dict[str, str]) -> tuple[Kernel, ...]:
    """Return the kernels of a network of Accel-NASBench's space, with the table's `params`."""
    blocks = tuple(
        Block(
            op="dconv" if row[f"block{i}_e"] == "1" else "mbconv",
            expansion=int(row[f"block{i}_e"]),
            kernel_size=int(row[f"block{i}_k"]),
            stride=stride,
            se_ratio=0.25 if row[f"block{i}_se"] == "True" else 0.0,
            skip="identity",
            out_channels=channels,
            layers=int(row[f"block{i}_l"]),
        )
        for i, (channels, stride) in enumerate(zip(CHANNELS, STRIDES, strict=True))
    )
    return kernels(Architecture(32, blocks, 1280))


def block_decisions(row: dict[str, str]) -> Structure:
    """Return the choices of a network of Accel-NASBench's space."""
    columns = [
        f"block{i}_{choice}" for i in range(len(CHANNELS)) for choice in ("e", "k", "l", "se")
    ]
    return Structure(decisions=tuple(f"{column}: {row[column]}" for column in columns))


if __name__ == "__main__":
    main()
