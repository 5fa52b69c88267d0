"""interval.coverage_selected: do intervals hold for the networks that a search prefers?

Three searches use one predictor, which learned from sixty random networks and learns nothing more.
They prefer networks that it takes for faster than they are. The best twenty of each are measured
afterwards. The accuracy is a stand-in that grows with the multiply-adds.

python -m tests.bench.bench_selected
"""

from __future__ import annotations

from statistics import median

import numpy as np

from latency_models.evaluate import score
from latency_models.kernel_predictor import KernelPredictor
from latency_models.measured_networks import each_once
from latency_models.packing import pack
from search.latency.networks import export_spec
from search.space.architecture import Architecture
from search.space.counts import counts
from search.space.kernels import kernels
from search.space.space import mnasnet_space
from search.strategies.strategy import make_strategy
from search.study.settings import SoftReward, StrategyName
from search.study.settings.reward import SOFT_EXPONENT
from search.study.trial import Trial, best_by_reward
from tests.bench.bench_predict60 import SEED, new_networks
from tests.bench.figures import at_least, quick, report
from tests.bench.real_lab import real_lab

TRAIN = 60
SEEDS = (SEED + 10, SEED + 11, SEED + 12)
ROUNDS, ROUND_SIZE = quick(30, 3), 20
SELECTED = quick(20, 3)


def main() -> None:
    with real_lab() as opened:
        found = opened.measured(list(map(export_spec, new_networks(TRAIN))))
        known = each_once(list(filter(None, found)))
        predictor = KernelPredictor.fit(known)
        target_ns = median(network.latency_ns for network in known)
        chosen = [select(predictor, target_ns, seed) for seed in SEEDS]
        distinct = list(dict.fromkeys(network for some in chosen for network in some))
        measured = list(filter(None, opened.measured(list(map(export_spec, distinct)))))
    fresh = {network.kernels for network in known}
    scored = score(predictor, [network for network in measured if network.kernels not in fresh])
    margin = 1.64 * float(np.sqrt(0.09 / scored.networks))
    report(
        "interval.coverage_selected",
        round(scored.inside_interval, 4),
        "share",
        at_least(0.85),
        networks=scored.networks,
        margin_at_90_pct=round(margin, 3),
        mean_error=round(scored.mean_error, 4),
        within_5pct=round(scored.within_5pct, 4),
        learned_from=len(known),
        searches=len(SEEDS),
        candidates_of_each=ROUNDS * ROUND_SIZE,
        seeds=SEEDS,
    )


def select(predictor: KernelPredictor, target_ns: float, seed: int) -> list[Architecture]:
    """Return the networks of the highest rewards that a search finds with predictions alone."""
    strategy = make_strategy(StrategyName.PPO, mnasnet_space(), seed)
    reward = SoftReward()
    found: dict[Architecture, Trial] = {}
    for number in range(ROUNDS):
        asked = strategy.ask(ROUND_SIZE)
        predicted = predictor.predict(*pack(map(kernels, asked)), now_unix_ns=0)
        trials = []
        for architecture, estimate in zip(asked, predicted, strict=True):
            accuracy = stand_in_accuracy(architecture)
            value = reward.value(accuracy, estimate.latency_ns, target_ns)
            trials.append(Trial(architecture, number, accuracy, estimate, value))
        strategy.tell(trials)
        found |= {trial.architecture: trial for trial in trials}
    return [trial.architecture for trial in best_by_reward(found.values(), SELECTED)]


def stand_in_accuracy(architecture: Architecture) -> float:
    """Return an accuracy that gains as much by twice the work as the reward loses by it."""
    giga = counts(architecture).multiply_adds / 1e9
    return float(0.7 * min(giga, 2.0) ** -SOFT_EXPONENT)


if __name__ == "__main__":
    main()
