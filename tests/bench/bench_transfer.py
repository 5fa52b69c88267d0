"""transfer.*: the order of networks on a phone, predicted from ten measurements on it.

The other latencies are those of 22 other devices (NAS-Bench-201).

python -m tests.bench.bench_transfer
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from latency_models.transfer import transfer
from tests.bench.figures import at_least, report
from tests.bench.public_data import public_data

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PHONES = ("pixel3", "samsung_a50", "samsung_s7", "essential_ph_1")
SAMPLES = 10
SEEDS = range(20)
ALPHAS = np.logspace(-3, 3, 13)
BASELINE = (
    "RidgeCV by leave-one-out, alphas 1e-3 to 1e3 in 13 steps, "
    "on the sources' latencies standardized over the samples"
)


def main() -> None:
    path = public_data("nb201_dev.npz")
    if path is None:
        return
    with np.load(path, allow_pickle=False) as data:
        devices, latencies_ns = data["devices"].tolist(), 1e6 * data["latency_ms"]
    conditions = {
        "data": "NAS-Bench-201",
        "networks": len(latencies_ns),
        "sources": len(devices) - 1,
        "samples": SAMPLES,
        "seeds": list(SEEDS),
        "statistic": "mean over seeds, on all networks not sampled",
    }
    for phone in PHONES:
        column = devices.index(phone)
        sources_ns, target_ns = np.delete(latencies_ns, column, axis=1), latencies_ns[:, column]
        draws = np.array([one_draw(sources_ns, target_ns, seed) for seed in SEEDS])
        transferred, baseline, default, covered, width = draws.mean(axis=0).tolist()
        gains = draws[:, 0] - draws[:, 1]
        resampled = np.random.default_rng(0).choice(gains, (10_000, len(gains))).mean(axis=1)
        report(
            f"transfer.{phone}_spearman",
            transferred,
            "rho",
            at_least(round(baseline, 4)),
            **conditions,
            draws_5_to_95pct=np.quantile(draws[:, 0], [0.05, 0.95]).round(4).tolist(),
            gain_90pct_bootstrap=np.quantile(resampled, [0.05, 0.95]).round(4).tolist(),
            draws_above_baseline=int((gains > 0).sum()),
            interval_coverage=round(covered, 3),
            interval_width_pct=round(100 * width, 1),
        )
        report(
            f"transfer.{phone}_baseline",
            baseline,
            "rho",
            None,
            **conditions,
            baseline=BASELINE,
            with_default_alphas=round(default, 4),
        )


def one_draw(
    sources_ns: FloatArray, target_ns: FloatArray, seed: int
) -> tuple[float, float, float, float, float]:
    """Return the figures of one draw of networks.

    They are Spearman's rho of the transfer, of the baseline and of the baseline with
    scikit-learn's default alphas, then the share of latencies inside the transfer's intervals and
    the median of width / latency.
    """
    order = np.random.default_rng(seed).permutation(len(target_ns))
    sampled, rest = order[:SAMPLES], order[SAMPLES:]
    result = transfer(sources_ns, sampled, target_ns[sampled])
    ridges_ns = [
        make_pipeline(StandardScaler(), ridge)
        .fit(sources_ns[sampled], target_ns[sampled])
        .predict(sources_ns)
        for ridge in (RidgeCV(ALPHAS), RidgeCV())
    ]
    inside = (result.lower_ns <= target_ns) & (target_ns <= result.upper_ns)
    width = (result.upper_ns - result.lower_ns) / result.latency_ns
    transferred, baseline, default = (
        float(spearmanr(latency_ns[rest], target_ns[rest]).statistic)
        for latency_ns in (result.latency_ns, *ridges_ns)
    )
    return transferred, baseline, default, float(inside[rest].mean()), float(np.median(width[rest]))


if __name__ == "__main__":
    main()
