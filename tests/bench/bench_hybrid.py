"""search.hybrid_*: the loss of measuring a few candidates compared with measuring all.

The networks are from Accel-NASBench's space, with accuracies fitted on its table. They are
measured on this machine by a lab with a home of its own.

python -m tests.bench.bench_hybrid [CANDIDATES]: by default 300.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from host.home import lab_process
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.domain.failure import Failure
from latlab.export import ExportPool, ProgramCache
from search.accuracy.table import FittedTable, read_table
from search.cli.calibration_run import run_calibration
from search.cli.networks.calibrate import DEFAULT_NETWORKS
from search.cli.session import EXPORT_WORKERS, Session
from search.latency.target_lab import TargetLab
from search.loop import run_search
from search.space.space import accel_nas_bench_space
from search.strategies.strategy import make_strategy
from search.study.pareto import hypervolume, reference_point
from search.study.settings import (
    LoopSettings,
    OtherSource,
    SearchTarget,
    StrategyName,
    StudySettings,
)
from search.study.study import Study, open_study
from search.study.trial import is_measured, is_settled
from tests.bench.figures import at_least, at_most, report
from tests.bench.public_data import public_data

SPACE = accel_nas_bench_space()
SEED = 0
ROUND_SIZE = 20
MEASURED_SHARE = 0.15  # measured networks over candidates, calibration included

Point = tuple[float, int]  # accuracy, latency in ns


def main() -> None:
    candidates = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    path = public_data("anb_dev.csv")
    if path is None:
        return
    accuracy = FittedTable.fit(read_table(path, SPACE, "val_top1"), seed=SEED)
    with tempfile.TemporaryDirectory(prefix="latlab-bench-") as folder:
        home = LabHome(Path(folder) / "home")
        lab_process.up(home)
        try:
            with (
                LatencyClient.connect(home.root) as client,
                ExportPool(ProgramCache(home.exports), EXPORT_WORKERS) as pool,
            ):
                target = client.default_target()
                opened = Session(client, target, TargetLab(client, target, pool), pool)
                study = search(opened, accuracy, candidates, Path(folder) / "study")
                failed = sum(
                    is_settled(trial) and not is_measured(trial)
                    for trial in study.latest().values()
                )
                attempted = len(client.measured_networks(target.id)) + failed
                some, everything = measured_and_all(opened, study)
        finally:
            lab_process.down(home)
    share = hypervolume_share(some, everything)
    conditions = {
        "candidates": candidates,
        "distinct": len(study.latest()),
        "calibration": DEFAULT_NETWORKS,
        "measured": len(some),
        "failed": failed,
        "strategy": study.settings.strategy,
    }
    report("search.hybrid_hv_share", round(share, 4), "share", at_least(0.99), **conditions)
    attempted_share = round(attempted / candidates, 4)
    report("search.hybrid_measured_share", attempted_share, "share", at_most(0.15), **conditions)


def search(opened: Session, accuracy: FittedTable, candidates: int, directory: Path) -> Study:
    """Search with the product's own loop and defaults, except for the share it may measure."""
    run_calibration(opened, SPACE, DEFAULT_NETWORKS)
    calibrating = opened.client.measured_networks(opened.target.id)
    target_ns = round(float(np.median([network.latency_ns for network in calibrating])))
    settings = StudySettings(
        space=SPACE.name,
        strategy=StrategyName.PPO,
        targets=(SearchTarget(opened.target.id, target_ns),),
        accuracy=OtherSource({"table": "anb_dev.csv"}),
        round_size=ROUND_SIZE,
        seed=SEED,
    )
    with open_study(directory, settings) as study:
        run_search(
            study,
            make_strategy(StrategyName.PPO, SPACE, SEED),
            accuracy,
            opened.lab,
            LoopSettings(
                rounds=candidates // ROUND_SIZE,
                max_measured_share=1,
                max_measurements=int(MEASURED_SHARE * candidates) - len(calibrating),
            ),
            on_progress=lambda progress: None,
            on_note=lambda note: print(note, file=sys.stderr),
        )
        return study


def measured_and_all(opened: Session, study: Study) -> tuple[list[Point], list[Point]]:
    """Return the candidates that the search measured, and all candidates, measured now.

    A candidate that cannot be measured is in neither list.
    """
    trials = list(study.latest().values())
    outcomes = opened.lab.measure(
        [trial.architecture for trial in trials],
        lambda done: print(f"\r{done}/{len(trials)}", end="", file=sys.stderr),
    )
    points = [
        (is_measured(trial), (trial.accuracy, outcome[0].latency_ns))
        for trial, outcome in zip(trials, outcomes, strict=True)
        if trial.accuracy is not None and not isinstance(outcome, Failure)
    ]
    return [point for measured, point in points if measured], [point for _, point in points]


def hypervolume_share(some: Sequence[Point], everything: Sequence[Point]) -> float:
    """Return the hypervolume of some points as a share of that of all of them."""
    reference = reference_point(*zip(*everything, strict=True))

    def volume(points: Sequence[Point]) -> float:
        accuracies, latencies_ns = zip(*points, strict=True) if points else ((), ())
        return hypervolume(accuracies, latencies_ns, *reference)

    return volume(some) / volume(everything)


if __name__ == "__main__":
    main()
