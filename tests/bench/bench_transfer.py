"""transfer.*: the order of networks on a phone, predicted from a few measurements on it.

The other latencies are those of 22 other devices (NAS-Bench-201). The controls are what the
phone's own measurements say alone, and what the other devices say alone.

python -m tests.bench.bench_transfer
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from latency_models.packing import pack
from latency_models.predictor import MIN_NETWORKS
from latency_models.targets.average import Transferred, blend
from latency_models.targets.blended_predictor import learned_trust
from latency_models.targets.transfer import Transfer
from latency_models.whole_network_predictor import WholeNetworkPredictor
from tests.bench.bench_public import FIRST_SEED, Table, halves, nas_bench_networks
from tests.bench.figures import at_least, quick, report, within
from tests.bench.public_data import public_data

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

GOALS_OF_10 = {"pixel3": 0.88, "samsung_a50": 0.965, "samsung_s7": 0.915, "essential_ph_1": 0.925}
SAMPLES = (0, 3, 10, 50)
DRAWS = quick(20, 2)
HELD_OUT = 1_000
MOST_BELOW_CONTROLS = 0.005
COVERAGE = within(0.90, 0.05)


@dataclass(frozen=True)
class Draw:
    """Spearman's rho of one draw: of the blend, the own predictor and the transfer."""

    blended: float
    own: float
    transferred: float
    coverage: float
    width: float


def main() -> None:
    path = public_data("nb201_dev.npz")
    if path is None:
        return
    with np.load(path, allow_pickle=False) as data:
        devices, latencies_ns = data["devices"].tolist(), 1e6 * data["latency_ms"]
    _, final = halves(len(latencies_ns))
    for phone, goal in GOALS_OF_10.items():
        for samples in SAMPLES:
            drawn = draws(path, latencies_ns, devices.index(phone), final, samples)
            show(phone, samples, drawn, goal)


def draws(
    path: Path, latencies_ns: FloatArray, column: int, rows: IntArray, samples: int
) -> list[Draw]:
    sources_ns = np.delete(latencies_ns, column, axis=1)
    table = Table(*nas_bench_networks(path), latencies_ns[:, column])
    found = []
    for seed in range(FIRST_SEED, FIRST_SEED + DRAWS):
        order = np.random.default_rng(seed).permutation(rows)
        sampled, held_out = order[:samples], order[samples : samples + HELD_OUT]
        found.append(one_draw(table, sources_ns, sampled, held_out))
    return found


def one_draw(table: Table, sources_ns: FloatArray, sampled: IntArray, held_out: IntArray) -> Draw:
    truths_ns = table.latencies_ns[held_out]
    fitted = Transfer.fit(sources_ns, sampled, table.latencies_ns[sampled])
    transferred = blended = fitted.predict(sources_ns[held_out])
    own = float("nan")
    if len(sampled) >= MIN_NETWORKS:
        measured = [table.measured(row) for row in sampled]
        predictor = WholeNetworkPredictor.fit(measured)
        predicted = own_prediction(predictor, table, held_out)
        own = rho(predicted, truths_ns)
        left_out = fitted.left_out(sources_ns[sampled])
        trust = learned_trust(predictor.left_out, left_out, measured)
        blended, _ = blend(predicted, transferred, trust)
    inside = (blended.lower_ns <= truths_ns) & (truths_ns <= blended.upper_ns)
    width = np.median((blended.upper_ns - blended.lower_ns) / blended.latency_ns)
    return Draw(
        rho(blended, truths_ns),
        own,
        rho(transferred, truths_ns),
        float(inside.mean()),
        float(width),
    )


def own_prediction(
    predictor: WholeNetworkPredictor, table: Table, held_out: IntArray
) -> Transferred:
    estimates = predictor.predict(
        *pack(table.networks[row] for row in held_out),
        now_unix_ns=0,
        guess=True,
        structures=[table.structures[row] for row in held_out],
    )
    return Transferred(
        np.array([float(e.latency_ns) for e in estimates]),
        np.array([max(1.0, e.lower_ns) for e in estimates]),
        np.array([float(e.upper_ns) for e in estimates]),
    )


def rho(predicted: Transferred, truths_ns: FloatArray) -> float:
    return float(spearmanr(predicted.latency_ns, truths_ns).statistic)


def show(phone: str, samples: int, drawn: Sequence[Draw], goal_of_10: float) -> None:
    """Report the blend beside the better control, and the share of latencies inside intervals."""
    blended, own, transferred = (
        float(np.mean([getattr(draw, name) for draw in drawn]))
        for name in ("blended", "own", "transferred")
    )
    better = float(np.nanmax([own, transferred]))
    name = f"transfer.{phone}_n{samples}"
    report(
        f"{name}_spearman",
        round(blended, 4),
        "rho",
        at_least(goal_of_10) if samples == 10 else None,
        own=None if np.isnan(own) else round(own, 4),
        transferred=round(transferred, 4),
        draws=len(drawn),
        interval_width_pct=round(100 * float(np.median([draw.width for draw in drawn])), 1),
    )
    report(f"{name}_gain", round(blended - better, 4), "rho", at_least(-MOST_BELOW_CONTROLS))
    coverage = float(np.mean([draw.coverage for draw in drawn]))
    report(f"{name}_coverage", round(coverage, 4), "share", COVERAGE)


if __name__ == "__main__":
    main()
