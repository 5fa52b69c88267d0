"""anb.*, nb201.*: how well published latencies are ranked from a few of them.

The predictor knows the networks' architectures and a few of their latencies, but no kernel times
and no other device.

python -m tests.bench.bench_public
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from latency_models.packing import pack
from latency_models.whole_network_predictor import WholeNetworkPredictor
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from search.space.architecture import Architecture, Block
from search.space.kernels import kernels
from tests.bench import nas_bench_201
from tests.bench.figures import Goal, at_least, report
from tests.bench.public_data import public_data

DRAWS = 5
# The goals, by the number of networks to learn from.
ACCEL_NAS_BENCH = {30: at_least(0.935), 100: at_least(0.982), 300: at_least(0.992)}
ACCEL_NAS_BENCH_HELD_OUT = 500
NAS_BENCH_201_TRAIN = 614
NAS_BENCH_201_HELD_OUT = 625

CHANNELS = (16, 24, 40, 80, 112, 192, 320)
STRIDES = (1, 2, 2, 2, 1, 2, 1)


def main() -> None:
    if path := public_data("anb_dev.csv"):
        accel_nas_bench(path)
    if path := public_data("nb201_dev.npz"):
        nas_bench_201_pixel3(path)


def accel_nas_bench(path: Path) -> None:
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["latency_zcu102_mean"]]
    networks = [measured(mnasnet_like(row), float(row["latency_zcu102_mean"])) for row in rows]
    order = np.random.default_rng(0).permutation(len(networks))
    held_out, others = np.split(order, [ACCEL_NAS_BENCH_HELD_OUT])
    for train_size, goal in ACCEL_NAS_BENCH.items():
        splits = [
            (np.random.default_rng(draw).choice(others, train_size, replace=False), held_out)
            for draw in range(DRAWS)
        ]
        report_splits(f"anb.zcu102_n{train_size}_kendall", goal, networks, splits)


def nas_bench_201_pixel3(path: Path) -> None:
    with np.load(path, allow_pickle=False) as data:
        operations, edges = data["ops"], data["arch_ops"]
        latencies_ms = data["latency_ms"][:, data["devices"].tolist().index("pixel3")]
    networks = [
        measured(nas_bench_201.kernels(cell), latency_ms)
        for cell, latency_ms in zip(operations[edges].tolist(), latencies_ms.tolist(), strict=True)
    ]
    splits = []
    for draw in range(DRAWS):
        order = np.random.default_rng(draw).permutation(len(networks))
        train, held_out, _ = np.split(
            order, np.cumsum([NAS_BENCH_201_TRAIN, NAS_BENCH_201_HELD_OUT])
        )
        splits.append((train, held_out))
    report_splits(f"nb201.pixel3_n{NAS_BENCH_201_TRAIN}_kendall", at_least(0.855), networks, splits)


def report_splits(
    name: str,
    goal: Goal,
    networks: Sequence[MeasuredNetwork],
    splits: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> None:
    """Report the figures of one table.

    Args:
        splits: The rows to learn from and the rows to predict.
    """
    kendalls, shares_inside = [], []
    for train, held_out in splits:
        predictor = WholeNetworkPredictor.fit([networks[i] for i in train])
        test = [networks[i] for i in held_out]
        estimates = predictor.predict(*pack(n.kernels for n in test), now_unix_ns=0)
        kendalls.append(
            float(
                kendalltau(
                    [estimate.latency_ns for estimate in estimates],
                    [network.latency_ns for network in test],
                ).statistic
            )
        )
        shares_inside.append(
            mean(
                estimate.lower_ns <= network.latency_ns <= estimate.upper_ns
                for estimate, network in zip(estimates, test, strict=True)
            )
        )
    report(
        name,
        mean(kendalls),
        "tau",
        goal,
        train=len(splits[0][0]),
        held_out=len(splits[0][1]),
        draws=[round(kendall, 4) for kendall in kendalls],
        interval_coverage=round(mean(shares_inside), 3),
    )


def measured(kernels: tuple[Kernel, ...], latency_ms: float) -> MeasuredNetwork:
    """Return a measured network; the tables have no errors of latencies."""
    latency_ns = 1e6 * latency_ms
    return MeasuredNetwork(kernels, None, latency_ns, latency_ns, latency_ns, unix_ns=0)


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


if __name__ == "__main__":
    main()
