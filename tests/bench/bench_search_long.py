"""search.full8000_*: the cost of a whole search of 8,000 samples, 2,000 of them measured.

Everything counts but device time: proposals, the table's accuracies, predictions, choices, the
journal and the measuring at the end. The table's lab predicts by a predictor that knows 300
networks, and a measurement takes no time. Each strategy searches in a process of its own, whose
peak memory is reported.

python -m tests.bench.bench_search_long
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from latlab.domain.estimate import LatencyEstimate, Source
from latlab.domain.failure import Failure
from search.latency.lab import Measured
from search.loop import run_search
from search.space.architecture import Architecture
from search.strategies.strategy import make_strategy
from search.study.settings import (
    LoopSettings,
    StrategyName,
)
from search.study.study import open_study
from search.study.trial import is_measured
from tests.bench.figures import at_most, quick, report
from tests.bench.public_data import public_data
from tests.bench.table_lab import SPACE, TableLab, table_settings

SAMPLES = quick(8_000)
# Of the distinct candidates, so that a quarter of the samples are measured: PPO proposes many
# candidates again. Few remain for the end that may be on the front.
MEASURED_SHARES = {StrategyName.PPO: 0.75, StrategyName.NSGA2: 0.4, StrategyName.TPE: 0.3}
FINAL_SHARE = 0.1  # of the measurements
ROUND_SIZE = 20
# Optuna's TPE fits its estimators to all trials before each draw, so its time grows with the
# square of the samples. None of its options makes it look at fewer trials.
TPE_SAMPLES = SAMPLES // 4
DEADLINE_S = 1_800.0  # for each search
DEVICE_S = 3.0  # of each measurement, which the bookkeeping counts
HALF_WIDTH = 1.645  # standard deviations: half a 90 % interval
NOISE = 0.005  # of a measurement


@dataclass
class MeasuringTableLab:
    """A search's `Lab`: the table's, whose measurements deviate as the predictions expect."""

    lab: TableLab
    _predicted: dict[Architecture, LatencyEstimate] = field(default_factory=dict)
    _measured: dict[str, LatencyEstimate] = field(default_factory=dict)

    def predict(self, architectures: Sequence[Architecture]) -> list[LatencyEstimate]:
        estimates = self.lab.predict(architectures)
        self._predicted |= zip(architectures, estimates, strict=True)
        return estimates

    def measure(
        self, architectures: Sequence[Architecture], on_done: Callable[[int], None]
    ) -> list[Measured | Failure]:
        outcomes: list[Measured | Failure] = []
        for architecture in architectures:
            estimate = _measured(self._predicted[architecture], random.Random(architecture.id))
            self._measured[architecture.id] = estimate
            outcomes.append(Measured(estimate, architecture.id, DEVICE_S))
        on_done(len(architectures))
        return outcomes

    def look_up(self, measurement_ids: Sequence[str]) -> list[LatencyEstimate]:
        return [self._measured[id_] for id_ in measurement_ids]


def main() -> None:
    path = public_data("anb_dev.csv")
    if path is None:
        return
    ppo = searched(path, StrategyName.PPO, SAMPLES)
    report("search.full8000_s", ppo.pop("seconds"), "s", at_most(180), **ppo)
    report("search.full8000_mb", ppo["megabytes"], "MB", None, **ppo)
    for strategy, samples in ((StrategyName.NSGA2, SAMPLES), (StrategyName.TPE, TPE_SAMPLES)):
        found = searched(path, strategy, samples)
        report(f"search.full{samples}_{strategy.value}_s", found.pop("seconds"), "s", None, **found)


def searched(path: Path, strategy: StrategyName, samples: int) -> dict[str, Any]:
    """Search in a process of its own, and return its time, its memory and what it found."""
    command = [
        sys.executable,
        "-m",
        "tests.bench.bench_search_long",
        str(path),
        strategy.value,
        str(samples),
    ]
    done = subprocess.run(
        command, check=True, timeout=DEADLINE_S, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def search(path: str, strategy_name: str, samples: str) -> None:
    """Search by the product's own loop and print the time and memory that it took as JSON."""
    torch.set_num_threads(1)
    table = TableLab.of(Path(path))
    strategy = StrategyName(strategy_name)
    settings = table_settings(strategy, table.target_ns, round_size=ROUND_SIZE)
    loop = LoopSettings(int(samples) // ROUND_SIZE, MEASURED_SHARES[strategy], FINAL_SHARE)
    before_mb, start_s, start_cpu_s = _peak_mb(), time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder, open_study(Path(folder), settings) as study:
        front = run_search(
            study,
            make_strategy(strategy, SPACE, settings.seed),
            table.accuracy,
            MeasuringTableLab(table),
            loop,
            on_progress=lambda progress: None,
            on_note=lambda note: None,
        )
    latest = study.latest().values()
    found = {
        "seconds": round(time.perf_counter() - start_s, 1),
        "cpu_seconds": round(time.process_time() - start_cpu_s, 1),
        "megabytes": round(_peak_mb()),
        "megabytes_before": round(before_mb),
        "strategy": strategy.value,
        "samples": int(samples),
        "distinct": len(latest),
        "measured": sum(map(is_measured, latest)),
        "front": len(front),
    }
    print(json.dumps(found))


def _peak_mb() -> float:
    """Return the largest amount of memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _measured(predicted: LatencyEstimate, draw: random.Random) -> LatencyEstimate:
    deviation_ns = (predicted.upper_ns - predicted.lower_ns) / 2 / HALF_WIDTH
    ns = max(1, round(predicted.latency_ns + draw.gauss(0, deviation_ns)))
    half_ns = round(HALF_WIDTH * NOISE * ns)
    return LatencyEstimate(
        ns, ns - half_ns, ns + half_ns, Source.MEASURED, coverage=1.0, samples=1, age_s=0.0
    )


if __name__ == "__main__":
    search(*sys.argv[1:]) if sys.argv[1:] else main()
